// Which server is asked: every way of balancing, stickiness, and the next server after one that refuses.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { test } = require('node:test');
const { connect, refused } = require('./lib/client');
const { makeCertificates } = require('./lib/certs');
const { startFaulty, startFront, startServer, ask, askMany, tally } = require('./lib/faulty');
const { rawRequest, rawUpgrade } = require('./lib/raw');
const { freePort, waitFor } = require('./lib/weir');

const startServers = (t, names) => Promise.all(names.map((name) => startServer(t, { name })));
const addresses = (servers) => servers.map((server) => server.address);
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

// Sessions, one after the other, each on a server that is known by its first echo: [{ client, name }].
async function openSessions(weir, count, target = '/ws', options = {}) {
  const opened = [];
  for (let i = 0; i < count; i++) {
    const client = await connect(weir.ws(target), options);
    await client.send('who');
    opened.push({ client, name: (await client.next()).text.split(':')[0] });
  }
  return opened;
}

const closeAll = (sessions) => Promise.all(sessions.map(({ client }) => client.close()));

const whenActive = (weir, total) =>
  waitFor(async () => sum((await weir.servers()).map(({ active }) => active)) === total, { what: `${total} connections to servers` });

test('round_robin shares exactly by weight, in every round', async (t) => {
  const servers = await startServers(t, ['a', 'b', 'c']);
  const weights = { a: 3, b: 1, c: 2 };
  const weir = await startFront(t, { servers: servers.map(({ name, address }) => ({ address, weight: weights[name] })) });
  const served = await askMany(weir, '/', 60);
  for (let at = 0; at < 60; at += 6) {
    assert.deepEqual(tally(served.slice(at, at + 6)), weights, `requests ${at} to ${at + 5}`);
  }
  assert.ok(!/a{3}/.test(served.join('').slice(0, 6).repeat(2)), 'the heavy server’s turns are spread over the round');
});

test('round_robin counts sessions and tunnels as it counts requests', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startFront(t, { servers: addresses(servers) });
  const sessions = [...(await openSessions(weir, 4)), ...(await openSessions(weir, 4, '/tunnel'))];
  assert.deepEqual(tally(sessions.map(({ name }) => name)), { a: 4, b: 4 });
  await closeAll(sessions);
});

test('least_connections counts sessions that last, and forgets those that end', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startFront(t, { servers: addresses(servers), balance: 'least_connections' });
  const sessions = [...(await openSessions(weir, 5)), ...(await openSessions(weir, 5, '/tunnel'))];
  assert.deepEqual(tally(sessions.map(({ name }) => name)), { a: 5, b: 5 });
  const leaving = sessions.filter(({ name }) => name === 'a').slice(0, 3);
  await closeAll(leaving);
  await whenActive(weir, 7);
  const next = await openSessions(weir, 3);
  assert.deepEqual(tally(next.map(({ name }) => name)), { a: 3 });
  assert.deepEqual((await weir.servers()).map(({ active }) => active), [5, 5]);
  await closeAll([...sessions.filter((one) => !leaving.includes(one)), ...next]);
});

test('least_connections weighs, and sees sessions of the other worker', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const [first, second] = addresses(servers);
  const weir = await startFront(t, { servers: [{ address: first, weight: 3 }, second], balance: 'least_connections' }, { workers: 2 });
  const sessions = await openSessions(weir, 16);
  assert.deepEqual(tally(sessions.map(({ name }) => name)), { a: 12, b: 4 });
  await closeAll(sessions);
});

test('least_connections fills up a server that a health check lets join', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const joining = await startServer(t, { name: 'c' });
  await joining.stop();
  const health = { type: 'tcp', interval: '50ms', rise: 1, fall: 1 };
  const weir = await startFront(t, { servers: addresses([...servers, joining]), balance: 'least_connections', health_check: health });
  await waitFor(async () => !(await weir.server(joining.address)).healthy, { what: 'the check to fail' });
  const sessions = await openSessions(weir, 6);
  assert.deepEqual(tally(sessions.map(({ name }) => name)), { a: 3, b: 3 });
  await joining.start();
  await waitFor(async () => (await weir.server(joining.address)).healthy, { what: 'the check to succeed' });
  sessions.push(...(await openSessions(weir, 3)));
  assert.deepEqual(tally(sessions.map(({ name }) => name)), { a: 3, b: 3, c: 3 });
  sessions.push(...(await openSessions(weir, 3)));
  assert.deepEqual(tally(sessions.map(({ name }) => name)), { a: 4, b: 4, c: 4 });
  await closeAll(sessions);
});

test('random_two never takes the server that bears the most, and uses all', async (t) => {
  const servers = await startServers(t, ['a', 'b', 'c']);
  const weir = await startFront(t, { servers: addresses(servers), balance: 'random_two' });
  const bears = { a: 0, b: 0, c: 0 };
  const sessions = [];
  for (let i = 0; i < 30; i++) {
    const [session] = await openSessions(weir, 1);
    const others = Object.entries(bears).filter(([name]) => name !== session.name);
    assert.ok(
      others.some(([, count]) => count >= bears[session.name]),
      `${session.name} was taken of ${JSON.stringify(bears)}`,
    );
    bears[session.name]++;
    sessions.push(session);
  }
  assert.ok(Object.values(bears).every((count) => count > 0), JSON.stringify(bears));
  await closeAll(sessions);
});

// How to send key `key`, for each thing that can be hashed.
const HASHES = {
  address: { hash: { by: 'address' }, request: (key) => ['/', { localAddress: `127.0.1.${key + 1}` }] },
  header: { hash: { by: 'header', name: 'X-User' }, request: (key) => ['/', { headers: { 'X-User': `user ${key}` } }] },
  cookie: { hash: { by: 'cookie', name: 'user' }, request: (key) => ['/', { headers: { Cookie: `other=1; user=u${key}` } }] },
  query: { hash: { by: 'query', name: 'user' }, request: (key) => [`/?x=1&user=u${key}`, {}] },
  path: { hash: { by: 'path' }, request: (key) => [`/room/${key}?x=${Math.random()}`, {}] },
};

for (const [by, { hash, request }] of Object.entries(HASHES)) {
  test(`hash by ${by} keeps each key on one server, also when another server has gone`, async (t) => {
    const servers = await startServers(t, ['a', 'b', 'c']);
    const weir = await startFront(t, { servers: addresses(servers), balance: 'hash', hash }, { workers: 2 });
    const keys = [...Array(24).keys()];
    const owners = async () => Promise.all(keys.map(async (key) => (await ask(weir, ...request(key))).body));
    const first = await owners();
    assert.equal(Object.keys(tally(first)).length, 3, `all servers have keys: ${first}`);
    assert.deepEqual(await owners(), first);
    assert.equal((await weir.setState(servers[0].address, 'down')).status, 200);
    const without = await owners();
    keys.forEach((key) => assert.ok(first[key] === 'a' ? without[key] !== 'a' : without[key] === first[key], `key ${key}`));
    await weir.setState(servers[0].address, 'up');
    assert.deepEqual(await owners(), first);
  });
}

test('hash sends what has no key to any server, and sessions where their key says', async (t) => {
  const servers = await startServers(t, ['a', 'b', 'c']);
  const weir = await startFront(t, { servers: addresses(servers), balance: 'hash', hash: { by: 'query', name: 'room' } });
  assert.equal(Object.keys(tally(await askMany(weir, '/', 12))).length, 3);
  for (const room of ['red', 'green', 'blue']) {
    const { body } = await ask(weir, `/?room=${room}`);
    const sessions = [...(await openSessions(weir, 1, `/ws?room=${room}`)), ...(await openSessions(weir, 1, `/tunnel?room=${room}`))];
    assert.deepEqual(sessions.map(({ name }) => name), [body, body]);
    await closeAll(sessions);
  }
});

// { name, value, attributes } of the one Set-Cookie of an answer.
function cookieOf({ headers }) {
  const lines = [].concat(headers['set-cookie'] || []);
  assert.equal(lines.length, 1, `Set-Cookie: ${JSON.stringify(lines)}`);
  const [pair, ...attributes] = lines[0].split('; ');
  return { pair, name: pair.split('=')[0], value: pair.slice(pair.indexOf('=') + 1), attributes: attributes.sort() };
}

const sticky = (servers, more = {}) => ({ servers: addresses(servers), balance: 'sticky', sticky: { secret: '0123456789abcdef', ...more } });

test('a sticky cookie keeps a client on its server, in requests, sessions and tunnels', async (t) => {
  const servers = await startServers(t, ['a', 'b', 'c']);
  const weir = await startFront(t, sticky(servers), { workers: 2 });
  for (let i = 0; i < 4; i++) {
    const first = await ask(weir);
    const { pair, name, attributes } = cookieOf(first);
    assert.equal(name, 'weir_backend');
    assert.deepEqual(attributes, ['HttpOnly', 'Path=/', 'SameSite=Lax']);
    const headers = { Cookie: `theme=dark; ${pair}` };
    for (let again = 0; again < 3; again++) {
      const answer = await ask(weir, '/', { headers });
      assert.equal(answer.body, first.body);
      assert.equal(answer.headers['set-cookie'], undefined, 'a client that has the cookie is not given it again');
    }
    const sessions = [...(await openSessions(weir, 1, '/ws', { headers })), ...(await openSessions(weir, 1, '/tunnel', { headers }))];
    assert.deepEqual(sessions.map((session) => session.name), [first.body, first.body]);
    await closeAll(sessions);
  }
});

test('the answer to an upgrade brings the cookie too', async (t) => {
  const servers = await startServers(t, ['a', 'b', 'c']);
  const weir = await startFront(t, sticky(servers));
  for (const target of ['/ws', '/tunnel']) {
    const [session] = await openSessions(weir, 1, target);
    const { pair } = cookieOf(session.client.response);
    assert.equal((await ask(weir, '/', { headers: { Cookie: pair } })).body, session.name);
    await closeAll([session]);
  }
});

test('a forged cookie is ignored and replaced', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startFront(t, sticky(servers));
  const { pair, value } = cookieOf(await ask(weir));
  const last = value.at(-1) === '0' ? '1' : '0';
  const first = value[0] === '0' ? '1' : '0';
  for (const forged of [value.slice(0, -1) + last, first + value.slice(1), value.slice(0, -1), `${value}0`, 'x', '', value.toUpperCase()]) {
    const served = [];
    for (let i = 0; i < 4; i++) {
      const answer = await ask(weir, '/', { headers: { Cookie: `weir_backend=${forged}` } });
      cookieOf(answer); // a new one is set
      served.push(answer.body);
    }
    assert.deepEqual(Object.keys(tally(served)).sort(), ['a', 'b'], `${forged} does not choose a server`);
  }
  assert.equal((await ask(weir, '/', { headers: { Cookie: pair } })).headers['set-cookie'], undefined);
});

test('a cookie of another secret is worth nothing, and of the same secret as much as one’s own', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startFront(t, sticky(servers));
  const same = await startFront(t, sticky(servers));
  const other = await startFront(t, sticky(servers, { secret: 'fedcba9876543210' }));
  const first = await ask(weir);
  const headers = { Cookie: cookieOf(first).pair };
  const there = await ask(same, '/', { headers });
  assert.equal(there.headers['set-cookie'], undefined);
  assert.equal(there.body, first.body);
  cookieOf(await ask(other, '/', { headers }));
});

test('a cookie’s name, age and SameSite are as configured, and it is Secure on TLS', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const pair = makeCertificates(t).pair('localhost');
  const listen = ({ addresses: [plain, secure] }) => [{ address: plain }, { address: secure, tls: pair }];
  const settings = { cookie: 'mine', max_age: '2h', same_site: 'strict' };
  const weir = await startFront(t, sticky(servers, settings), { portCount: 2, listen });
  const plain = cookieOf(await ask(weir));
  assert.equal(plain.name, 'mine');
  assert.deepEqual(plain.attributes, ['HttpOnly', 'Max-Age=7200', 'Path=/', 'SameSite=Strict']);
  await weir.waitForLog(/serving with/);
  const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const { response, connection } = await rawRequest({ port: weir.ports[1], tls: {} }, request);
  assert.deepEqual(cookieOf(response).attributes, ['HttpOnly', 'Max-Age=7200', 'Path=/', 'SameSite=Strict', 'Secure']);
  connection.destroy();
});

test('SameSite=None is written as such', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startFront(t, sticky(servers, { same_site: 'none' }));
  assert.ok(cookieOf(await ask(weir)).attributes.includes('SameSite=None'));
});

test('a client whose server is gone gets another one, and sticks to that', async (t) => {
  const servers = await startServers(t, ['a', 'b', 'c']);
  const weir = await startFront(t, sticky(servers));
  const first = await ask(weir);
  const gone = servers.find(({ name }) => name === first.body);
  await gone.stop();
  const moved = await ask(weir, '/', { headers: { Cookie: cookieOf(first).pair } });
  assert.equal(moved.status, 200);
  assert.notEqual(moved.body, gone.name);
  const headers = { Cookie: cookieOf(moved).pair };
  await gone.start();
  for (let i = 0; i < 4; i++) {
    const again = await ask(weir, '/', { headers });
    assert.equal(again.body, moved.body);
    assert.equal(again.headers['set-cookie'], undefined);
  }
});

// What a server says that gives out session ids of its own, and how a client brings one back.
const LEARNED = {
  'engine.io': {
    first: (weir) => ask(weir, '/socket.io/?EIO=4&transport=polling'),
    answer: (id) => `0{"sid":"${id}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}`,
    later: (id) => `/socket.io/?EIO=4&transport=polling&sid=${id}`,
    upgrade: (id) => `/tunnel?EIO=4&transport=websocket&sid=${id}`,
  },
  signalr: {
    first: (weir) => ask(weir, '/hub/negotiate?negotiateVersion=1', { method: 'POST' }),
    answer: (id) => JSON.stringify({ negotiateVersion: 1, connectionId: 'public', connectionToken: id, availableTransports: [] }),
    later: (id) => `/hub?id=${id}`,
    upgrade: (id) => `/tunnel?id=${id}`,
  },
};

for (const [learn, { first, answer, later, upgrade }] of Object.entries(LEARNED)) {
  test(`an id of ${learn} is learned from the first answer and leads to the same server, with no cookie`, async (t) => {
    const servers = await startServers(t, ['a', 'b', 'c']);
    let count = 0;
    for (const server of servers) {
      server.answer = (request, response) => {
        request.resume();
        const isFirst = !/[?&](sid|id)=/.test(request.url);
        response.end(isFirst ? answer(`${server.name}-${++count}-Zx_9`) : server.name);
      };
    }
    const weir = await startFront(t, { servers: addresses(servers), balance: 'sticky', sticky: { learn } }, { workers: 2 });
    const ids = [];
    for (let i = 0; i < 9; i++) {
      const given = await first(weir);
      assert.equal(given.headers['set-cookie'], undefined);
      ids.push(given.body.match(/[abc]-\d+-Zx_9/)[0]);
    }
    assert.deepEqual(Object.keys(tally(ids.map((id) => id[0]))).sort(), ['a', 'b', 'c']);
    for (const id of ids) {
      for (let again = 0; again < 3; again++) { // on either worker
        assert.equal((await ask(weir, later(id))).body, id[0], id);
      }
      const [session] = await openSessions(weir, 1, upgrade(id));
      assert.equal(session.name, id[0]);
      await closeAll([session]);
    }
    const strangers = [];
    for (let i = 0; i < 6; i++) {
      strangers.push((await ask(weir, later('unknown'))).body);
    }
    assert.ok(Object.keys(tally(strangers)).length > 1, `an unknown id goes to any: ${strangers}`);
  });
}

test('a learned id is forgotten after its ttl, and when there are too many', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  let count = 0;
  for (const server of servers) {
    server.answer = (request, response) => response.end(/[?&]sid=/.test(request.url) ? server.name : LEARNED['engine.io'].answer(`${server.name}${++count}`));
  }
  const { first, later } = LEARNED['engine.io'];
  const isKept = async (weir, id) => {
    for (let i = 0; i < 4; i++) {
      if ((await ask(weir, later(id))).body !== id[0]) {
        return false;
      }
    }
    return true;
  };
  const idOf = ({ body }) => body.match(/"sid":"(\w+)"/)[1];
  const config = (more) => ({ servers: addresses(servers), balance: 'sticky', sticky: { learn: 'engine.io', ...more } });
  const few = await startFront(t, config({ max_ids: 2 }));
  const ids = [idOf(await first(few)), idOf(await first(few)), idOf(await first(few))];
  assert.deepEqual([await isKept(few, ids[1]), await isKept(few, ids[2])], [true, true]);
  assert.equal(await isKept(few, ids[0]), false);
  const brief = await startFront(t, config({ ttl: '1s' }));
  const id = idOf(await first(brief));
  assert.equal(await isKept(brief, id), true);
  await new Promise((resolve) => setTimeout(resolve, 1500)); // its time is what is tested: no look may renew it
  assert.equal(await isKept(brief, id), false);
});

test('a server that refuses is skipped for the next, and counted', async (t) => {
  const servers = await startServers(t, ['b', 'c']);
  const dead = `127.0.0.1:${await freePort()}`;
  const weir = await startFront(t, { servers: [dead, ...addresses(servers)], ejection: false });
  const served = await askMany(weir, '/', 30);
  assert.equal(tally(served).b + tally(served).c, 30);
  const sessions = [...(await openSessions(weir, 3)), ...(await openSessions(weir, 3, '/tunnel'))];
  await closeAll(sessions);
  const { errors } = await weir.server(dead);
  assert.ok(errors >= 10, `${errors} of 36 began with the dead server`);
});

test('`tries` bounds how many servers one request asks', async (t) => {
  const dead = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const server = await startServer(t, { name: 'c' });
  const list = [...dead, server.address];
  const two = await startFront(t, { servers: list, tries: 2, balance: 'hash', hash: { by: 'path' }, ejection: false });
  const three = await startFront(t, { servers: list, tries: 3, balance: 'hash', hash: { by: 'path' }, ejection: false });
  const paths = [...Array(40).keys()].map((i) => `/${i}`);
  const statuses = await Promise.all(paths.map(async (path) => (await ask(two, path)).status));
  assert.deepEqual(Object.keys(tally(statuses)).sort(), ['200', '502'], 'a third of the keys finds two dead servers first');
  for (const path of paths) {
    assert.equal((await ask(three, path)).status, 200);
  }
});

test('no other server is asked once a byte of the request has been passed on', async (t) => {
  const faulty = await startFaulty(t);
  const server = await startServer(t, { name: 'b' });
  let heard = 0;
  faulty.behave = (peer) => {
    heard++;
    peer.reset();
  };
  const weir = await startFront(t, { servers: [{ address: faulty.address, weight: 1000 }, server.address], ejection: false, tries: 2 });
  for (const method of ['GET', 'PUT', 'POST']) {
    const before = heard;
    const { status } = await ask(weir, '/', { method, body: method === 'GET' ? '' : 'some bytes' });
    assert.equal(status, 502, method);
    assert.equal(heard, before + 1, method);
  }
  for (const target of ['/ws', '/tunnel']) {
    assert.equal((await refused(weir.ws(target))).status, 502);
  }
  assert.equal(server.count, 0);
});

test('a kept connection that turns out dead is replaced for what may be repeated, and not for a POST', async (t) => {
  const faulty = await startFaulty(t);
  const answered = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  // Answers once on each connection, and resets it when it is asked again.
  faulty.behave = (peer) => {
    peer.send(answered);
    peer.onData = () => peer.reset();
  };
  const weir = await startFront(t, { servers: [faulty.address], ejection: false });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal((await ask(weir, '/', { agent })).status, 200);
  assert.equal((await ask(weir, '/', { agent })).status, 200, 'repeated on a fresh connection');
  assert.equal(faulty.connections, 2);
  assert.equal((await ask(weir, '/', { agent, method: 'POST', body: 'x' })).status, 502);
  assert.equal(faulty.connections, 2);
});

test('a server with an IPv6 address, and one on a unix socket', async (t) => {
  const six = await startServer(t, { name: 'six', host: '::1' });
  const fs = require('node:fs');
  const os = require('node:os');
  const path = require('node:path');
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-sock-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  const local = await startServer(t, { name: 'local', path: path.join(dir, 'app.sock') });
  const weir = await startFront(t, { servers: [six.address, local.address] });
  assert.deepEqual(tally(await askMany(weir, '/', 10)), { six: 5, local: 5 });
  const sessions = [...(await openSessions(weir, 2)), ...(await openSessions(weir, 2, '/tunnel'))];
  assert.deepEqual(tally(sessions.map(({ name }) => name)), { six: 2, local: 2 });
  await closeAll(sessions);
  assert.deepEqual((await weir.servers()).map(({ address }) => address), [six.address, local.address]);
});

test('a backup serves only while no other server can', async (t) => {
  const [main, backup] = await startServers(t, ['main', 'backup']);
  const health = { type: 'http', path: '/healthz', interval: '50ms', rise: 1, fall: 1 };
  const weir = await startFront(t, { servers: [main.address, { address: backup.address, backup: true }], health_check: health });
  assert.deepEqual(tally(await askMany(weir, '/', 6)), { main: 6 });
  await main.stop();
  assert.deepEqual(tally(await askMany(weir, '/', 6)), { backup: 6 }, 'before the check has noticed, too');
  await waitFor(async () => !(await weir.server(main.address)).healthy, { what: 'the check to fail' });
  assert.deepEqual(tally(await askMany(weir, '/', 6)), { backup: 6 });
  await main.start();
  await waitFor(async () => (await weir.server(main.address)).healthy, { what: 'the check to succeed' });
  assert.deepEqual(tally(await askMany(weir, '/', 6)), { main: 6 });
});
