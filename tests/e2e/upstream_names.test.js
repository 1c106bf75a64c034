// Servers that are known by name: their addresses come from a name server, again and again.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { connect, refused } = require('./lib/client');
const { startDns } = require('./lib/dns');
const { startFront, startServer, ask, askMany, tally } = require('./lib/faulty');
const { freePort, waitFor } = require('./lib/weir');

const NAME = 'app.test';
const HOSTS = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];

// One server on each loopback address, all on one port: they are called by the last number of their address.
async function startServers(t, hosts = HOSTS) {
  const port = await freePort();
  return Promise.all(hosts.map((host) => startServer(t, { name: host.split('.').at(-1), host, port })));
}

const front = (t, dns, port, upstream = {}, { timeout = '300ms', ...options } = {}) =>
  startFront(
    t,
    { servers: [`${NAME}:${port}`], resolve_interval: '100ms', ...upstream },
    { top: `resolver: {nameservers: ["${dns.address}"], timeout: ${timeout}}`, ...options },
  );

const whenServers = (weir, hosts) =>
  waitFor(
    async () => (await weir.servers()).map(({ address }) => address.split(':')[0]).join() === hosts.join(),
    { what: `the servers ${hosts}` },
  );

async function openSession(weir, target = '/ws') {
  const client = await connect(weir.ws(target));
  await client.send('who');
  return { client, name: (await client.next()).text.split(':')[0] };
}

test('all addresses of a name become servers', async (t) => {
  const dns = await startDns(t);
  const [{ port }] = await startServers(t);
  dns.set(NAME, ['127.0.0.4', '127.0.0.2', '127.0.0.3']);
  const weir = await front(t, dns, port);
  await whenServers(weir, HOSTS);
  assert.deepEqual(tally(await askMany(weir, '/', 9)), { 2: 3, 3: 3, 4: 3 });
  assert.ok((await weir.servers()).every(({ configured }) => configured === `${NAME}:${port}`));
});

test('an IPv6 address of a name serves beside its IPv4 address', async (t) => {
  const dns = await startDns(t);
  const port = await freePort();
  await startServer(t, { name: 'four', host: '127.0.0.2', port });
  await startServer(t, { name: 'six', host: '::1', port });
  dns.set(NAME, ['127.0.0.2', '::1']);
  const weir = await front(t, dns, port);
  await waitFor(async () => (await weir.servers()).length === 2, { what: 'both addresses' });
  assert.deepEqual(tally(await askMany(weir, '/', 8)), { four: 4, six: 4 });
});

test('a new address gets traffic after resolve_interval, one that vanished gets none, and its sessions live on', async (t) => {
  const dns = await startDns(t);
  const servers = await startServers(t);
  dns.set(NAME, ['127.0.0.2', '127.0.0.3']);
  const weir = await front(t, dns, servers[0].port, {}, { workers: 2 });
  await whenServers(weir, ['127.0.0.2', '127.0.0.3']);
  const old = [];
  while (old.length < 2) {
    const session = await openSession(weir, old.length === 0 ? '/ws' : '/tunnel');
    if (session.name === '2') {
      old.push(session.client);
    } else {
      await session.client.close();
    }
  }
  dns.set(NAME, ['127.0.0.3', '127.0.0.4']);
  await whenServers(weir, ['127.0.0.3', '127.0.0.4']);
  await weir.waitForLog(/app: app\.test:\d+: server 127\.0\.0\.4:\d+ has joined/);
  await weir.waitForLog(/app: app\.test:\d+: server 127\.0\.0\.2:\d+ has left/);
  assert.deepEqual(tally(await askMany(weir, '/', 8)), { 3: 4, 4: 4 });
  const before = servers[0].requests.length;
  for (const client of old) {
    await client.send('still');
    assert.equal((await client.next()).text, '2: still');
    await client.close();
  }
  assert.equal(servers[0].requests.length, before);
});

test('least_connections fills up an address that joins', async (t) => {
  const dns = await startDns(t);
  const servers = await startServers(t);
  dns.set(NAME, ['127.0.0.2', '127.0.0.3']);
  const weir = await front(t, dns, servers[0].port, { balance: 'least_connections' });
  await whenServers(weir, ['127.0.0.2', '127.0.0.3']);
  const sessions = [];
  const open = async (count) => {
    for (let i = 0; i < count; i++) {
      sessions.push(await openSession(weir));
    }
    return tally(sessions.map(({ name }) => name));
  };
  assert.deepEqual(await open(6), { 2: 3, 3: 3 });
  dns.set(NAME, HOSTS);
  await whenServers(weir, HOSTS);
  assert.deepEqual(await open(3), { 2: 3, 3: 3, 4: 3 });
  assert.deepEqual(await open(3), { 2: 4, 3: 4, 4: 4 });
  await Promise.all(sessions.map(({ client }) => client.close()));
});

for (const mode of ['failed', 'refused', 'silent']) {
  test(`a resolver that fails keeps the last answer (${mode})`, async (t) => {
    const dns = await startDns(t);
    const [{ port }] = await startServers(t);
    dns.set(NAME, ['127.0.0.2', '127.0.0.3']);
    const weir = await front(t, dns, port);
    await whenServers(weir, ['127.0.0.2', '127.0.0.3']);
    dns.mode = mode;
    await weir.waitForLog(/app: app\.test cannot be resolved: .*; its servers stay as they are/);
    await dns.asked(2);
    assert.deepEqual(tally(await askMany(weir, '/', 6)), { 2: 3, 3: 3 });
    dns.mode = 'well';
    dns.set(NAME, HOSTS);
    await whenServers(weir, HOSTS);
    await weir.waitForLog(/app: app\.test is resolved again/);
    assert.equal(weir.log.match(/cannot be resolved/g).length, 1, 'said once, not at each failure');
  });
}

for (const [what, spoil] of [
  ['does not exist any more', (dns) => dns.names.delete(NAME)],
  ['has no address any more', (dns) => dns.set(NAME, [])],
]) {
  test(`a name that ${what} keeps its last addresses`, async (t) => {
    const dns = await startDns(t);
    const [{ port }] = await startServers(t);
    dns.set(NAME, ['127.0.0.2', '127.0.0.3']);
    const weir = await front(t, dns, port);
    await whenServers(weir, ['127.0.0.2', '127.0.0.3']);
    spoil(dns);
    await weir.waitForLog(/app: app\.test cannot be resolved: .*; its servers stay as they are/);
    assert.deepEqual(tally(await askMany(weir, '/', 6)), { 2: 3, 3: 3 });
  });
}

test('what comes before the name is resolved waits in the queue and is then served', async (t) => {
  const dns = await startDns(t);
  const [{ port }] = await startServers(t);
  dns.mode = 'failed';
  const weir = await front(t, dns, port, { queue: { timeout: '8s' } });
  await weir.waitForLog(/app: app\.test cannot be resolved/);
  const [waiting, session, tunnel] = [ask(weir), openSession(weir), openSession(weir, '/tunnel')];
  await waitFor(async () => (await weir.upstream()).waiting === 3, { what: 'three to wait' });
  assert.equal((await weir.upstream()).pending, true);
  dns.set(NAME, ['127.0.0.3']);
  dns.mode = 'well';
  assert.equal((await waiting).body, '3');
  for (const { name, client } of [await session, await tunnel]) {
    assert.equal(name, '3');
    await client.close();
  }
  assert.deepEqual((({ waiting: left, pending }) => [left, pending])(await weir.upstream()), [0, false]);
});

test('while no name is resolved the answer is 503, when the queue’s time is over or there is none', async (t) => {
  const dns = await startDns(t);
  const [{ port }] = await startServers(t);
  dns.mode = 'failed';
  const patient = await front(t, dns, port, { queue: { timeout: '200ms' } });
  const blunt = await front(t, dns, port, { queue: { size: 0 } });
  const started = Date.now();
  assert.equal((await ask(patient)).status, 503);
  assert.ok(Date.now() - started >= 190);
  assert.equal((await ask(blunt)).status, 503);
  for (const weir of [patient, blunt]) {
    assert.equal((await refused(weir.ws('/ws'))).status, 503);
    assert.equal((await refused(weir.ws('/tunnel'))).status, 503);
  }
  dns.set(NAME, ['127.0.0.3']);
  dns.mode = 'well';
  for (const weir of [patient, blunt]) {
    await waitFor(async () => (await ask(weir)).body === '3', { what: 'the gateway to recover' });
  }
});

test('a server with an address serves while the name beside it is unknown', async (t) => {
  const dns = await startDns(t);
  const [first, second] = await startServers(t);
  dns.mode = 'silent';
  const weir = await front(t, dns, first.port, { servers: [`${NAME}:${first.port}`, first.address] });
  assert.deepEqual(tally(await askMany(weir, '/', 4)), { 2: 4 });
  dns.set(NAME, ['127.0.0.3']);
  dns.mode = 'well';
  await waitFor(async () => (await weir.servers()).length === 2, { what: 'the name' });
  await askMany(weir, '/', 4);
  assert.equal(second.count, 2);
});

test('an operator’s word for a name reaches all its addresses', async (t) => {
  const dns = await startDns(t);
  const [{ port }] = await startServers(t);
  dns.set(NAME, HOSTS);
  const weir = await front(t, dns, port);
  await whenServers(weir, HOSTS);
  const set = await weir.setState(`127.0.0.2:${port}`, 'down');
  assert.deepEqual([set.status, JSON.parse(set.body).changed], [200, 1]);
  assert.deepEqual(Object.keys(tally(await askMany(weir, '/', 6))), ['3', '4']);
  const all = await weir.setState(`${NAME}:${port}`, 'down');
  assert.equal(JSON.parse(all.body).changed, 3);
  assert.equal((await ask(weir)).status, 503);
  await dns.asked(2);
  assert.equal((await ask(weir)).status, 503, 'a look-up changes nothing about it');
});
