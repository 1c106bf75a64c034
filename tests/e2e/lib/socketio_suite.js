// What must hold for socket.io behind the gateway, whoever speaks WebSocket with the client. The same
// tests for a route with `websocket: off` (socketio.test.js) and for one with `websocket: on`
// (socketio_websocket.test.js), each with clients that are known by a cookie and by what Weir learns.
'use strict';

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { isDeepStrictEqual } = require('node:util');
const { startWeir, waitFor } = require('./weir');
const { startRedis } = require('./redis');
const { startServers } = require('./socketio_servers');
const { startRelay } = require('./socketio_cut');
const { openClient, POLLING, WEBSOCKET, UPGRADED } = require('./socketio_client');

const TRANSPORTS = { 'polling only': POLLING, 'websocket only': WEBSOCKET, 'polling, then websocket': UPGRADED };
const WAYS = Object.values(TRANSPORTS);
const STICKY = {
  'a cookie': '{cookie: weir_backend, secret: a secret for the tests}',
  'a learned id': '{learn: engine.io}',
};
const WORKERS = 2; // so that what one learns the other must know
const MANY = 200;
const LOADED = 24; // clients that work while a server dies

// The gateway before two chat servers. Idle connections to them end soon, so that descriptors can be counted.
function gatewayConfig({ address }, { servers, websocket, sticky, health = 'off' }) {
  return `
workers: ${WORKERS}
listen:
  - address: ${address}
upstreams:
  chat:
    servers: [${servers.map((server) => server.address).join(', ')}]
    balance: sticky
    sticky: ${sticky}
    health_check: ${health}
    connect_timeout: 2s
    keep_alive: {idle_timeout: 200ms}
routes:
  - path: /socket.io/
    websocket: ${websocket}
    handler: {proxy: chat, read_timeout: 90s}
  - path: /
    handler: {proxy: chat}
`;
}

// How many descriptors the gateway has, but for the pipe that a worker makes for bulk in tunnels when it first needs
// it, and keeps (two descriptors).
function descriptorsOf(weir) {
  const folder = `/proc/${weir.pid}/fd`;
  const links = fs.readdirSync(folder).map((name) => {
    try {
      return fs.readlinkSync(path.join(folder, name));
    } catch {
      return ''; // closed meanwhile
    }
  });
  const pipes = links.filter((link) => link.startsWith('pipe:')).length;
  return { pipes, others: links.filter((link) => link !== '').length - pipes };
}

// What it has at rest. It says that it listens while its workers still start, and its health checks come and go:
// the least of many samples, once that stays the same.
async function descriptorsAtRest(weir) {
  let last = null;
  return waitFor(
    async () => {
      const samples = [];
      await waitFor(() => samples.push(descriptorsOf(weir)) === 20);
      const least = (of) => Math.min(...samples.map((sample) => sample[of]));
      const before = last;
      last = { pipes: least('pipes'), others: least('others') };
      return isDeepStrictEqual(before, last) && last;
    },
    { what: 'the gateway to come to rest' },
  );
}

async function startGateway(t, options) {
  const weir = await startWeir(t, (place) => gatewayConfig(place, options));
  const baseline = await descriptorsAtRest(weir);
  weir.returnsToRest = async () => {
    const what = `descriptors to be as at the start, ${JSON.stringify(baseline)}`;
    await waitFor(() => descriptorsOf(weir).others <= baseline.others, { what });
    assert.ok(descriptorsOf(weir).pipes <= baseline.pipes + 2 * WORKERS);
  };
  return weir;
}

// As many clients as asked for, their ways to connect taken in turn.
function openClients(t, url, count) {
  return Promise.all(Array.from({ length: count }, (_, i) => openClient(t, url, { transports: WAYS[i % 3], timeoutMs: 30000 })));
}

async function closeAll(weir, clients) {
  clients.forEach((client) => client.close());
  await weir.returnsToRest();
}

function countBy(clients, of) {
  const counts = {};
  for (const client of clients) {
    counts[of(client)] = (counts[of(client)] || 0) + 1;
  }
  return counts;
}

function assertUndisturbed(clients) {
  for (const { socket, disconnects, connects } of clients) {
    assert.deepEqual({ disconnects, connects, connected: socket.connected }, { disconnects: [], connects: 1, connected: true });
  }
}

// Every client joins the room, one speaks, and all hear it once.
async function allHear(clients, room) {
  const joined = await Promise.all(clients.map((client) => client.ask('join', room)));
  assert.ok(joined.every((answer) => answer.room === room));
  for (const [i, speaker] of [clients[0], clients.at(-1)].entries()) {
    const text = `number ${i} in ${room}`;
    assert.equal((await speaker.ask('say', { room, from: 'one', text })).heard, true);
    await waitFor(() => clients.every((client) => client.heard(text) > 0), { what: `all to hear ${text}` });
    assert.ok(clients.every((client) => client.heard(text) === 1));
  }
}

async function acknowledgementsBothWays(client) {
  const { server } = client;
  for (let i = 0; i < 10; i++) {
    assert.equal((await client.ask('whoami')).server, server);
    assert.deepEqual(await client.ask('ask', { i }), { server, told: { answer: { i } } });
  }
  const many = await Promise.all(Array.from({ length: 50 }, (_, i) => client.ask('echo', i)));
  assert.deepEqual(many, Array.from(many, (_, i) => i));
}

async function bytesBothWays(client) {
  for (const size of [0, 1, 125, 126, 65535, 65536, 700000]) {
    const bytes = randomBytes(size);
    const { inner, text } = await client.ask('echo', { inner: [bytes], text: 'größer' });
    assert.ok(bytes.equals(inner[0]), `${size} bytes came back as ${inner[0].length}`);
    assert.equal(text, 'größer');
  }
}

// What the ways that clients are known by leave behind at the client.
function assertCookies(jar, known) {
  if (known === 'a cookie') {
    assert.equal(jar.lines.length, 1, 'one Set-Cookie for the whole session');
    assert.match(jar.lines[0], /^weir_backend=[^;]+;.*HttpOnly/);
  } else {
    assert.deepEqual(jar.lines, []);
  }
}

async function everyTransport(t, { servers, websocket, known }) {
  const weir = await startGateway(t, { servers, websocket, sticky: STICKY[known] });
  for (const [way, transports] of Object.entries(TRANSPORTS)) {
    await t.test(`${way}: acknowledgements, bytes, and one server to the end`, async (tt) => {
      const client = await openClient(tt, weir.http('/'), { transports });
      await acknowledgementsBothWays(client);
      await bytesBothWays(client);
      assert.equal((await client.ask('whoami')).transport, transports.at(-1));
      assertUndisturbed([client]);
      assertCookies(client.jar, known);
      await closeAll(weir, [client]);
    });
  }
  await t.test(`${MANY} clients are spread over both servers and meet in one room`, async (tt) => {
    const clients = await openClients(tt, weir.http('/'), MANY);
    const counts = countBy(clients, (client) => client.server);
    assert.ok(counts.a >= MANY / 4 && counts.b >= MANY / 4, JSON.stringify(counts));
    await allHear(clients, 'all');
    const few = [...clients.slice(0, 6), ...clients.slice(-6)];
    await allHear(few, 'few');
    assert.ok(clients.slice(6, -6).every((client) => client.said.every(({ room }) => room === 'all')));
    const [one] = clients;
    assert.equal((await one.ask('count', 'all')).count, MANY);
    assertUndisturbed(clients);
    await closeAll(weir, clients);
  });
}

// Another client of the same server, since without Redis a room is one server's. New clients go where fewest
// are, so those who went elsewhere stay until one has come here.
async function companionOf(t, weir, client) {
  const elsewhere = [];
  const other = await waitFor(async () => {
    const next = await openClient(t, weir.http('/'), { transports: WEBSOCKET });
    return next.server === client.server ? next : elsewhere.push(next) && null;
  });
  elsewhere.forEach((one) => one.close());
  return other;
}

// A client whose cable is pulled: its server hears of it at once, and when the client is back it gets what it missed.
async function recovers(t, weir, transports) {
  const relay = await startRelay(t, weir.port);
  const client = await openClient(t, relay.url, { transports });
  const other = await companionOf(t, weir, client);
  const room = `recovery over ${transports}`;
  const heard = async (text) => {
    await waitFor(() => client.heard(text) > 0, { what: `"${text}"` });
    assert.equal(client.heard(text), 1);
  };
  await Promise.all([client.ask('join', room), other.ask('join', room)]);
  await other.ask('say', { room, text: 'before' }); // there is no offset to recover from before the first message
  await heard('before');
  const { id } = client.socket;
  relay.pull();
  await waitFor(() => client.disconnects.length === 1, { what: 'the client to notice' });
  await waitFor(async () => (await other.ask('count', room)).count === 1, { what: 'the server to notice' });
  await other.ask('say', { room, text: 'meanwhile' });
  relay.plug();
  await waitFor(() => client.connects === 2 && client.isSettled, { what: 'the client to be back' });
  assert.deepEqual({ recovered: client.socket.recovered, id: client.socket.id }, { recovered: true, id });
  await heard('meanwhile');
  await other.ask('say', { room, text: 'after' });
  await heard('after');
  assertUndisturbed([other]);
  await closeAll(weir, [client, other]);
}

// Works until told to stop: one acknowledged event after the other, counted, each with its own answer.
function keepBusy(client) {
  const work = { acknowledged: 0, failed: 0, stopped: false };
  work.done = (async () => {
    while (!work.stopped) {
      if (!client.socket.connected) {
        await new Promise((resolve) => client.socket.once('connect', resolve));
      }
      const sent = `${client.socket.id} ${work.acknowledged}`;
      const got = await client.ask('echo', sent).catch(() => null);
      work.acknowledged += got === sent;
      work.failed += got !== sent;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  return work;
}

// All of them go on: each gets ten answers more.
function allProgress(works) {
  const before = works.map((work) => work.acknowledged);
  return waitFor(() => works.every((work, i) => work.acknowledged >= before[i] + 10), { what: 'everybody to go on' });
}

async function oneServerDies(t, { servers, websocket, known }) {
  const health = '{path: /healthz, interval: 100ms, rise: 1}';
  const weir = await startGateway(t, { servers, websocket, sticky: STICKY[known], health });
  const [a] = servers;
  const clients = await openClients(t, weir.http('/'), LOADED);
  const works = clients.map(keepBusy);
  const ofA = clients.filter((client) => client.server === 'a');
  const ofB = clients.filter((client) => client.server === 'b');
  assert.ok(ofA.length >= 3 && ofB.length >= 3, `${ofA.length} and ${ofB.length}`);
  await allProgress(works);

  await a.kill();
  await waitFor(() => ofA.every((client) => client.disconnects.length > 0), { what: 'the clients of the dead to notice' });
  await waitFor(() => ofA.every((client) => client.isSettled), { what: 'them to be back', timeoutMs: 20000 });
  assert.deepEqual(countBy(ofA, (client) => client.server), { b: ofA.length });
  await allProgress(works);

  await a.start();
  await waitFor(
    async () => {
      const client = await openClient(t, weir.http('/'), { transports: WEBSOCKET });
      const { server } = client;
      client.close();
      return server === 'a';
    },
    { what: 'the server that is back to get clients' },
  );
  await allProgress(works);

  works.forEach((work) => (work.stopped = true));
  await Promise.all(works.map((work) => work.done));
  assertUndisturbed(ofB);
  for (const client of ofB) {
    assert.equal(works[clients.indexOf(client)].failed, 0, 'an acknowledgement was lost at the server that lived');
  }
  await closeAll(weir, clients);
}

// The whole suite, for one value of `websocket`.
function socketioSuite(websocket) {
  for (const known of Object.keys(STICKY)) {
    test(`websocket: ${websocket}, clients known by ${known}`, async (t) => {
      const redis = await startRedis(t);
      if (!redis) {
        t.skip('there is no redis-server');
        return;
      }
      const servers = await startServers(t, ['a', 'b'], { REDIS_URL: redis.url });
      await everyTransport(t, { servers, websocket, known });
    });

    test(`websocket: ${websocket}, ${known}: one server is killed under load and comes back`, async (t) => {
      const servers = await startServers(t, ['a', 'b']);
      await oneServerDies(t, { servers, websocket, known });
    });
  }

  // The cookie brings the client back to the server that remembers it.
  test(`websocket: ${websocket}: with a cookie, sessions recover from the memory of their server`, async (t) => {
    const servers = await startServers(t, ['a', 'b']);
    const weir = await startGateway(t, { servers, websocket, sticky: STICKY['a cookie'] });
    for (const [way, transports] of Object.entries(TRANSPORTS)) {
      await t.test(way, (tt) => recovers(tt, weir, transports));
    }
  });

  // A new connection has no id that Weir could know, so any server must be able to recover the session.
  test(`websocket: ${websocket}: with learned ids, sessions recover from a Redis stream`, async (t) => {
    const redis = await startRedis(t);
    if (!redis) {
      t.skip('there is no redis-server');
      return;
    }
    const servers = await startServers(t, ['a', 'b'], { REDIS_URL: redis.url, REDIS_ADAPTER: 'streams' });
    const weir = await startGateway(t, { servers, websocket, sticky: STICKY['a learned id'] });
    for (const [way, transports] of Object.entries(TRANSPORTS)) {
      await t.test(way, (tt) => recovers(tt, weir, transports));
    }
  });
}

module.exports = { socketioSuite };
