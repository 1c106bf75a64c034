// What becomes of requests, streams, tunnels and sessions that are on their way through the proxy when the gateway is
// told to stop: they are answered, or cut at shutdown_timeout. weir.stop() proves exit code 0 and a clean log; the leak
// check of a sanitizer build is part of that.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { connect } = require('./lib/client');
const { startFaulty, startFront, startServer, ask, tally } = require('./lib/faulty');
const { closeFrame, closeOf } = require('./lib/frames');
const { rawConnect, rawUpgrade, upgradeHead } = require('./lib/raw');
const { waitFor } = require('./lib/weir');

const LONG = 'shutdown_timeout: 1m';
const SHORT_MS = 500;
const SHORT = `shutdown_timeout: ${SHORT_MS}ms`;
const SOON_MS = 10000;

const get = (target) => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;
const whenWaiting = (weir, count) => waitFor(async () => (await weir.upstream()).waiting === count, { what: `${count} to wait` });

// Tells it to stop; once that has begun, `then` is done, and the end is awaited. The ms that it took.
async function stopTime(weir, then = () => {}) {
  const start = Date.now();
  const stopped = weir.stop();
  await weir.waitForLog(/server stopping:/);
  await then();
  await stopped;
  return Date.now() - start;
}

const requestLines = (weir) => weir.log.split('\n').filter((line) => /^\{.*"kind":/.test(line)).map((line) => JSON.parse(line));

// Answers by the path: sessions and tunnels open and say nothing more, /events begins a stream, and all else is silence.
function dumbly(peer) {
  peer.onEnd = () => {}; // it is deaf for ends, too
  if (/^GET \/(ws|tunnel) /.test(peer.head)) {
    peer.send(peer.switching);
  } else if (peer.head.startsWith('GET /events ')) {
    peer.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n');
  } else if (peer.head.startsWith('POST ')) {
    peer.socket.pause();
  }
}

for (const workers of [1, 2]) {
  test(`requests under way and in the queue are still answered (workers: ${workers})`, async (t) => {
    const server = await startServer(t, { name: 'a' });
    const held = [];
    server.answer = (request, response) => held.push(() => response.end('a'));
    const weir = await startFront(t, { servers: [{ address: server.address, max_connections: 1 }], queue: { size: 9, timeout: '1m' } }, { workers, top: LONG });
    const asked = Array.from({ length: 5 }, () => ask(weir));
    await waitFor(() => held.length === 1, { what: 'the first to arrive' });
    await whenWaiting(weir, 4);
    const ms = await stopTime(weir, async () => {
      server.answer = null;
      held[0]();
      assert.deepEqual(tally((await Promise.all(asked)).map(({ status, body }) => `${status} ${body}`)), { '200 a': 5 });
    });
    assert.ok(ms < SOON_MS, `it took ${ms} ms`);
    assert.equal(server.sockets.size, 0, 'kept connections are closed');
  });
}

test('the time limits of the queue and of a silent backend hold while it stops', async (t) => {
  const backend = await startFaulty(t);
  backend.behave = dumbly;
  const upstream = { servers: [{ address: backend.address, max_connections: 1 }], queue: { timeout: '600ms' } };
  const weir = await startFront(t, upstream, { top: LONG, proxy: { read_timeout: '1200ms' } });
  const silent = ask(weir, '/silent');
  await waitFor(() => backend.open === 1, { what: 'the request to arrive' });
  const waits = ask(weir, '/waits');
  await whenWaiting(weir, 1);
  const ms = await stopTime(weir, async () => assert.deepEqual([(await waits).status, (await silent).status], [503, 504]));
  assert.ok(ms < SOON_MS, `it took ${ms} ms`);
});

test('a stream and a tunnel go on until they end, and nobody else is let in', async (t) => {
  const backend = await startFaulty(t);
  const peers = {};
  backend.behave = (peer) => {
    dumbly(peer);
    peers[peer.head.split(' ')[1]] = peer;
  };
  const weir = await startFront(t, { servers: [backend.address] }, { top: LONG });
  const tunnel = await rawUpgrade(weir.port, { target: '/tunnel' });
  const stream = await rawConnect(weir.port);
  stream.send(get('/events'));
  await stream.readUntil('data: 1\n\n');
  const ms = await stopTime(weir, async () => {
    await waitFor(() => rawConnect(weir.port).then((c) => c.destroy(), () => true), { what: 'the listener to close' });
    tunnel.send('ping');
    await waitFor(() => peers['/tunnel'].received.toString() === 'ping', { what: 'the tunnel to pass bytes' });
    await peers['/tunnel'].send('pong');
    assert.equal((await tunnel.readBytes(4)).toString(), 'pong');
    await peers['/events'].send('data: 2\n\n');
    await stream.readUntil('data: 2\n\n');
    peers['/events'].end();
    peers['/tunnel'].end();
    tunnel.end();
    stream.end();
    await Promise.all([stream.waitEnd(), tunnel.waitEnd()]);
  });
  assert.ok(ms < SOON_MS, `it took ${ms} ms`);
});

test('both sides of a session are told 1001, and what is compressed or idle makes no difference', async (t) => {
  const server = await startServer(t, { name: 'a' });
  const weir = await startFront(t, { servers: [server.address] }, { top: LONG, proxy: { compression: true } });
  const clients = await Promise.all(Array.from({ length: 10 }, () => connect(weir.ws())));
  const codes = [];
  await waitFor(() => server.sessions.size === 10, { what: 'ten sessions' });
  server.sessions.forEach((session) => session.on('close', (code) => codes.push(code)));
  await clients[0].send('hello');
  await clients[0].next();
  const ms = await stopTime(weir);
  assert.deepEqual(tally((await Promise.all(clients.map((client) => client.closed))).map(({ code }) => code)), { 1001: 10 });
  await waitFor(() => codes.length === 10, { what: 'the backend to hear of all' });
  assert.deepEqual(tally(codes), { 1001: 10 });
  assert.ok(ms < SOON_MS, `it took ${ms} ms`);
});

for (const workers of [1, 2]) {
  test(`whatever does not end is cut at shutdown_timeout (workers: ${workers})`, async (t) => {
    const backend = await startFaulty(t);
    backend.behave = dumbly;
    const upstream = { servers: [{ address: backend.address, max_connections: 5 }], queue: { size: 9, timeout: '1m' } };
    const weir = await startFront(t, upstream, { workers, top: SHORT, proxy: { close_timeout: '1m' }, websocket: { close_timeout: '1m' } });
    const session = await rawUpgrade(weir.port, { target: '/ws' });
    const tunnel = await rawUpgrade(weir.port, { target: '/tunnel' });
    const others = [];
    for (const bytes of [get('/events'), get('/silent'), `POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(900000)}`]) {
      others.push(await rawConnect(weir.port));
      others.at(-1).send(bytes);
    }
    await waitFor(() => backend.open === 5, { what: 'five to arrive' });
    for (const head of [get('/'), upgradeHead({ target: '/ws' }), upgradeHead({ target: '/tunnel' })]) {
      others.push(await rawConnect(weir.port));
      others.at(-1).send(head);
    }
    await whenWaiting(weir, 3);
    const ms = await stopTime(weir);
    assert.ok(ms >= SHORT_MS - 20 && ms < SOON_MS, `it took ${ms} ms`);
    assert.deepEqual(closeOf(await session.readFrame()).code, 1001);
    await Promise.all([session, tunnel, ...others].map((c) => c.waitEnd()));
    const lines = requestLines(weir).filter(({ path }) => path !== '/upstreams');
    assert.deepEqual(lines.map(({ path }) => path).sort(), ['/', '/events', '/silent', '/tunnel', '/tunnel', '/upload', '/ws', '/ws'], 'each has its line');
    [session, tunnel, ...others].forEach((c) => c.destroy());
  });
}

test('a backend that does not end its session after the client has is cut at shutdown_timeout', async (t) => {
  const backend = await startFaulty(t);
  backend.behave = dumbly;
  const weir = await startFront(t, { servers: [backend.address] }, { top: SHORT, proxy: { close_timeout: '1m' } });
  const client = await rawUpgrade(weir.port, { target: '/ws' });
  const ms = await stopTime(weir, async () => {
    assert.equal(closeOf(await client.readFrame()).code, 1001);
    client.send(closeFrame(1001));
    await client.waitEnd();
  });
  assert.ok(ms >= SHORT_MS - 20 && ms < SOON_MS, `it took ${ms} ms`);
});

test('a connection that is still being made is given up', async (t) => {
  const backend = await startFaulty(t); // which answers no TLS
  const weir = await startFront(t, { servers: [backend.address], tls: { verify: false }, connect_timeout: '1m' }, { top: SHORT });
  const client = await rawConnect(weir.port);
  client.send(get('/'));
  await waitFor(() => backend.open === 1, { what: 'the handshake to begin' });
  const ms = await stopTime(weir);
  assert.ok(ms >= SHORT_MS - 20 && ms < SOON_MS, `it took ${ms} ms`);
  await client.waitEnd();
});
