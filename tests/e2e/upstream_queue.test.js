// How much a server is given: max_connections, the queue in front of it, and what an operator says.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { test } = require('node:test');
const { connect, refused } = require('./lib/client');
const { startFront, startServer, ask, askMany, tally } = require('./lib/faulty');
const { rawConnect, upgradeHead } = require('./lib/raw');
const { waitFor } = require('./lib/weir');

const startServers = (t, names) => Promise.all(names.map((name) => startServer(t, { name })));

// Lets every request wait until release() is called.
function hold(server) {
  const held = [];
  server.answer = (request, response) => {
    request.resume();
    held.push(() => response.end(server.name));
  };
  return {
    get count() {
      return held.length;
    },
    releaseOne: () => held.shift()(),
    releaseAll: () => {
      server.answer = null;
      held.splice(0).forEach((release) => release());
    },
  };
}

const whenWaiting = (weir, count) => waitFor(async () => (await weir.upstream()).waiting === count, { what: `${count} to wait` });

for (const workers of [1, 2]) {
  test(`max_connections is never passed; as many as queue.size wait, one more gets 503 (workers: ${workers})`, async (t) => {
    const [server] = await startServers(t, ['a']);
    const held = hold(server);
    const weir = await startFront(t, { servers: [{ address: server.address, max_connections: 3 }], queue: { size: 4, timeout: '8s' } }, { workers });
    const first = Array.from({ length: 7 }, () => ask(weir));
    await waitFor(() => held.count === 3, { what: 'three requests to arrive' });
    await whenWaiting(weir, 4);
    const started = Date.now();
    assert.equal((await ask(weir)).status, 503);
    assert.equal((await refused(weir.ws('/ws'))).status, 503);
    assert.equal((await refused(weir.ws('/tunnel'))).status, 503);
    assert.ok(Date.now() - started < 4000, 'at once, not after the queue’s timeout');
    await weir.waitForLog(/app: .*the queue is full, all servers are busy/);
    assert.equal(held.count, 3);
    held.releaseOne();
    await waitFor(() => held.count === 3, { what: 'one that waited to come next' });
    await whenWaiting(weir, 3);
    held.releaseAll();
    const answers = await Promise.all(first);
    assert.deepEqual(tally(answers.map(({ status, body }) => `${status} ${body}`)), { '200 a': 7 });
    await waitFor(async () => (await weir.server(server.address)).active === 0, { what: 'the places to be given back' });
  });
}

test('a request that waits longer than queue.timeout gets 503', async (t) => {
  const [server] = await startServers(t, ['a']);
  const weir = await startFront(t, { servers: [{ address: server.address, max_connections: 1 }], queue: { timeout: '300ms' } });
  const session = await connect(weir.ws('/ws'));
  for (const go of [() => ask(weir), () => refused(weir.ws('/ws')), () => refused(weir.ws('/tunnel'))]) {
    const started = Date.now();
    assert.equal((await go()).status, 503);
    assert.ok(Date.now() - started >= 290, `after ${Date.now() - started} ms`);
  }
  await weir.waitForLog(/waited too long, all servers are busy/);
  await session.close();
  assert.equal((await ask(weir)).status, 200);
});

test('with queue.size 0 nobody waits', async (t) => {
  const [server] = await startServers(t, ['a']);
  const weir = await startFront(t, { servers: [{ address: server.address, max_connections: 1 }], queue: { size: 0 } });
  const session = await connect(weir.ws('/tunnel'));
  assert.equal((await ask(weir)).status, 503);
  await session.close();
  await waitFor(async () => (await ask(weir)).status === 200, { what: 'the place to be free' });
});

test('a place that a session on one worker frees goes to a request that waits on the other', async (t) => {
  const [server] = await startServers(t, ['a']);
  const weir = await startFront(t, { servers: [{ address: server.address, max_connections: 2 }], queue: { timeout: '8s' } }, { workers: 2 });
  for (let round = 0; round < 10; round++) { // so that both workers have both parts
    const sessions = [await connect(weir.ws('/ws')), await connect(weir.ws('/tunnel'))];
    const waiting = [ask(weir), ask(weir), ask(weir), ask(weir)];
    await whenWaiting(weir, 4);
    await sessions[0].close();
    assert.deepEqual(tally((await Promise.all(waiting)).map(({ status }) => status)), { 200: 4 });
    await sessions[1].close();
    await waitFor(async () => (await weir.server(server.address)).active === 0, { what: 'the connections to end' });
  }
});

test('a client that leaves while it waits gives its place in the queue back', async (t) => {
  const [server] = await startServers(t, ['a']);
  const weir = await startFront(t, { servers: [{ address: server.address, max_connections: 1 }], queue: { size: 3, timeout: '8s' } });
  const session = await connect(weir.ws('/ws'));
  const heads = ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', upgradeHead({ target: '/ws' }), upgradeHead({ target: '/tunnel' })];
  const clients = [];
  for (const head of heads) {
    const client = await rawConnect(weir.port);
    client.send(head);
    clients.push(client);
  }
  await whenWaiting(weir, 3);
  assert.equal((await ask(weir)).status, 503);
  clients[0].destroy();
  await whenWaiting(weir, 2);
  clients[1].reset();
  await whenWaiting(weir, 1);
  clients[2].destroy();
  await whenWaiting(weir, 0);
  await session.close();
  assert.equal((await ask(weir)).status, 200);
  assert.equal(server.count, 2, 'those that left were never passed on');
});

test('who came first is served first', async (t) => {
  const [server] = await startServers(t, ['a']);
  const held = hold(server);
  const weir = await startFront(t, { servers: [{ address: server.address, max_connections: 1 }], queue: { timeout: '8s' } });
  const answers = [];
  const all = [];
  for (let i = 0; i < 5; i++) {
    all.push(ask(weir, `/${i}`).then(() => answers.push(i)));
    await (i === 0 ? waitFor(() => held.count === 1, { what: 'the first' }) : whenWaiting(weir, i));
  }
  held.releaseAll();
  await Promise.all(all);
  assert.deepEqual(answers, [0, 1, 2, 3, 4]);
});

test('a full server is passed over while another has room', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const [a, b] = servers.map(({ address }) => address);
  const weir = await startFront(t, { servers: [{ address: a, max_connections: 1 }, b] });
  const sessions = [];
  for (let i = 0; i < 6; i++) {
    sessions.push(await connect(weir.ws('/ws')));
  }
  assert.deepEqual([(await weir.server(a)).active, (await weir.server(b)).active], [1, 5]);
  await Promise.all(sessions.map((session) => session.close()));
});

// --- states ---

test('a server that is `down` by configuration gets nothing until an operator says `up`', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const [a, b] = servers.map(({ address }) => address);
  const weir = await startFront(t, { servers: [{ address: a, state: 'down' }, b] });
  assert.deepEqual(tally(await askMany(weir, '/', 4)), { b: 4 });
  assert.equal((await weir.server(a)).state, 'down');
  const answer = await weir.setState(a, 'up');
  assert.deepEqual(JSON.parse(answer.body), { upstream: 'app', server: a, state: 'up', changed: 1 });
  await weir.waitForLog(new RegExp(`upstream_admin 127\\.0\\.0\\.1 sets ${a} to up`));
  assert.deepEqual(tally(await askMany(weir, '/', 4)), { a: 2, b: 2 });
});

for (const how of ['by configuration', 'by an operator']) {
  test(`a draining server (${how}) serves those that stick to it, and takes nobody new`, async (t) => {
    const servers = await startServers(t, ['a', 'b']);
    const [a, b] = servers.map(({ address }) => address);
    const config = (state) => ({ servers: [{ address: a, state }, b], balance: 'sticky', sticky: { secret: '0123456789abcdef' } });
    const before = await startFront(t, config('up'));
    let mine = await ask(before);
    while (mine.body !== 'a') {
      mine = await ask(before);
    }
    const headers = { Cookie: mine.headers['set-cookie'][0].split(';')[0] };
    const weir = how === 'by configuration' ? await startFront(t, config('draining')) : before;
    if (how === 'by an operator') {
      assert.equal((await weir.setState(a, 'draining')).status, 200);
    }
    assert.equal((await weir.server(a)).state, 'draining');
    for (let i = 0; i < 4; i++) {
      assert.equal((await ask(weir)).body, 'b', 'a new client');
      assert.equal((await ask(weir, '/', { headers })).body, 'a', 'one of its own');
    }
    const session = await connect(weir.ws('/ws'), { headers });
    await session.send('who');
    assert.equal((await session.next()).text, 'a: who');
    await weir.setState(a, 'down');
    assert.equal((await ask(weir, '/', { headers })).body, 'b', 'down is for all');
    await session.send('still');
    assert.equal((await session.next()).text, 'a: still');
    await session.close();
  });
}

test('sessions and tunnels live on when their server is set to draining and to down', async (t) => {
  const [server] = await startServers(t, ['a']);
  const weir = await startFront(t, { servers: [server.address] }, { workers: 2 });
  const sessions = [await connect(weir.ws('/ws')), await connect(weir.ws('/tunnel')), await connect(weir.ws('/ws'))];
  for (const state of ['draining', 'down']) {
    await weir.setState(server.address, state);
    assert.equal((await ask(weir)).status, 503);
    assert.equal((await refused(weir.ws('/ws'))).status, 503);
    assert.equal((await refused(weir.ws('/tunnel'))).status, 503);
    for (const session of sessions) {
      await session.send(state);
      assert.equal((await session.next()).text, `a: ${state}`);
    }
  }
  await weir.waitForLog(/app: no server can be used/);
  assert.equal((await weir.server(server.address)).active, 3);
  await weir.setState(server.address, 'up');
  assert.equal((await ask(weir)).status, 200);
  await Promise.all(sessions.map((session) => session.close()));
});

test('the page for operators shows what is there, and refuses what makes no sense', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const [a, b] = servers.map(({ address }) => address);
  const weir = await startFront(t, { servers: [{ address: a, weight: 3, max_connections: 9 }, { address: b, backup: true }] });
  await askMany(weir, '/', 2);
  const answer = await ask(weir, '/upstreams');
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.equal(answer.headers['cache-control'], 'no-store');
  const [shown] = JSON.parse(answer.body).upstreams;
  assert.deepEqual([shown.name, shown.pending, shown.waiting, shown.servers.length], ['app', false, 0, 2]);
  const { id, ...first } = shown.servers[0];
  assert.match(id, /^[0-9a-f]{16}$/);
  assert.deepEqual(first, {
    address: a,
    configured: a,
    backup: false,
    weight: 3,
    max_connections: 9,
    state: 'up',
    healthy: true,
    takes_new: true,
    ejected_for_ms: 0,
    ejections: 0,
    failures: 0,
    active: 0,
    requests: 2,
    errors: 0,
  });
  assert.equal(shown.servers[1].backup, true);
  const wishes = [
    ['POST', `?server=${a}&state=away`, 400],
    ['POST', '?state=down', 400],
    ['POST', `?server=${a}&server=${b}&state=down`, 400],
    ['POST', `?server=${a}&state=down&force=1`, 400],
    ['POST', '?server=127.0.0.1:1&state=down', 404],
    ['POST', `?upstream=other&server=${a}&state=down`, 404],
    ['GET', `?server=${a}&state=down`, 400],
    ['GET', '?upstream=other', 404],
    ['DELETE', `?server=${a}`, 405],
    ['GET', '?upstream=app', 200],
    ['PUT', `?server=${a}&state=up`, 200],
  ];
  for (const [method, query, status] of wishes) {
    assert.equal((await ask(weir, `/upstreams${query}`, { method })).status, status, `${method} ${query}`);
  }
  const elsewhere = { method: 'POST', headers: { Origin: 'http://evil.example' } };
  assert.equal((await ask(weir, `/upstreams?server=${a}&state=down`, elsewhere)).status, 403);
  assert.equal((await weir.server(a)).state, 'up');
});

test('out of descriptors: 503, a warning, and no server is blamed for it', async (t) => {
  const [server] = await startServers(t, ['a']);
  const weir = await startFront(t, { servers: [server.address], keep_alive: { max_idle: 0 } });
  const limit = (soft, hard) => execFileSync('prlimit', [`--pid=${weir.pid}`, `--nofile=${soft}:${hard}`]);
  const hard = fs.readFileSync(`/proc/${weir.pid}/limits`, 'utf8').match(/Max open files +\S+ +(\S+)/)[1];
  const client = await rawConnect(weir.port);
  const get = async (target) => {
    client.send(`GET ${target} HTTP/1.1\r\nHost: example.com\r\n\r\n`);
    const { status, body } = await client.readResponse();
    return { status, body: body.toString() };
  };
  const descriptors = () => fs.readdirSync(`/proc/${weir.pid}/fd`);
  await get('/upstreams');
  const idle = descriptors().length;
  assert.equal((await get('/')).status, 200);
  await waitFor(() => descriptors().length === idle, { what: 'the connection to the server to be closed' });
  const used = new Set(descriptors());
  let lowest = 0;
  while (used.has(String(lowest))) {
    lowest++;
  }
  limit(lowest, hard); // not one more can be opened
  const refusal = await get('/');
  assert.equal(refusal.status, 503);
  assert.match(refusal.body, /the gateway is out of descriptors or memory/);
  await weir.waitForLog(/WARN +proxy app: .*Too many open files/);
  limit(hard, hard);
  assert.deepEqual(await get('/'), { status: 200, body: 'a' });
  assert.equal((await weir.server(server.address)).errors, 0);
  client.destroy();
});
