// Back-pressure through a proxied session: who does not read stops the other side's sending, the gateway's memory stays
// within the bound that docs/websocket-proxy.md gives, and afterwards everything arrives, in order.
'use strict';

const assert = require('node:assert/strict');
const { test, suite } = require('node:test');
const { startForward, wsBackend, pair } = require('./lib/forward');
const { openConnections } = require('./lib/echo');
const { waitFor } = require('./lib/weir');

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZE = 32 * KIB;

// Sends numbered messages until the peer's kernel, the gateway and ours take no more for 400 ms; returns how many. `ws`
// keeps the rest of the last ones, which `bufferedAmount` tells.
async function sendUntilStuck(one, size) {
  let sent = 0;
  let left = -1;
  while (sent * size < 256 * MIB) {
    while (one.socket.bufferedAmount < MIB) {
      const data = Buffer.alloc(size, sent & 255);
      data.writeUInt32BE(sent++);
      one.socket.send(data);
    }
    await new Promise((resolve) => setTimeout(resolve, 400));
    if (one.socket.bufferedAmount > 0 && one.socket.bufferedAmount === left) {
      return sent;
    }
    left = one.socket.bufferedAmount;
  }
  throw new Error('256 MiB were taken, and nobody reads them');
}

async function readAll(one, count, size) {
  for (let i = 0; i < count; i++) {
    const { data } = await one.next(20000);
    assert.equal(data.length, size);
    assert.equal(data.readUInt32BE(), i);
    assert.equal(data[size - 1], i & 255);
  }
}

// One side of each of `count` sessions does not read; `who`: 0 the client, 1 the backend.
async function assertBounded(t, { who, count, size, bound, options }) {
  const backend = await wsBackend(t);
  const weir = await startForward(t, backend, options);
  const pairs = [];
  for (let i = 0; i < count; i++) {
    pairs.push(await pair(weir, backend));
  }
  await pairs[0][0].send('warm');
  await pairs[0][1].next();
  const before = weir.residentBytes();
  pairs.forEach((both) => both[who].socket.pause());
  const sent = await Promise.all(pairs.map((both) => sendUntilStuck(both[1 - who], size)));
  const grown = weir.residentBytes() - before;
  assert.ok(grown < bound, `grew by ${grown} bytes, ${Math.round(grown / count)} for each`);
  for (const both of pairs) {
    both[who].socket.resume();
  }
  await Promise.all(pairs.map((both, i) => readAll(both[who], sent[i], size)));
  for (const both of pairs) {
    await both[1 - who].send('on');
    assert.equal((await both[who].next()).text, 'on');
    await both[who].send('and back');
    assert.equal((await both[1 - who].next()).text, 'and back');
  }
  assert.ok(pairs.every((both) => both[0].closeInfo === undefined && both[1].closeInfo === undefined));
  pairs.forEach((both) => both[0].terminate());
}

const patient = { write_timeout: '5m', keep_alive_interval: 'off', max_message_size: '8MiB' };
const SLACK = 8 * MIB; // the allocator's, the sanitizer's, and what a worker makes when first needed

suite('a client that does not read', () => {
  test('stops the backend’s sending, and then gets everything', (t) => assertBounded(t, { who: 0, count: 1, size: SIZE, bound: MIB + SLACK, options: { websocket: patient } }));
  test('20 of them at once', (t) => assertBounded(t, { who: 0, count: 20, size: SIZE, bound: 20 * (512 + 256) * KIB + SLACK, options: { websocket: patient } }));
  test('with messages larger than the queue', (t) => assertBounded(t, { who: 0, count: 2, size: 3 * MIB, bound: 2 * MIB + SLACK, options: { websocket: { ...patient, max_queue_size: '256KiB' } } }));
  test('with a small queue', (t) => assertBounded(t, { who: 0, count: 5, size: 1000, bound: 5 * (32 + 256) * KIB + SLACK, options: { websocket: { ...patient, max_queue_size: '64KiB' } } }));

  test('is cut after write_timeout, and the backend told 1001', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend, { websocket: { write_timeout: '300ms' } });
    const [client, session] = await pair(weir, backend);
    client.socket.pause();
    await Promise.race([sendUntilStuck(session, SIZE), session.closed]);
    assert.equal((await session.closed).code, 1001);
    client.terminate();
  });

  test('does not stop the other direction', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend, { websocket: patient });
    const [client, session] = await pair(weir, backend);
    const [other, otherSession] = await pair(weir, backend);
    client.socket.pause();
    const sent = await sendUntilStuck(session, SIZE);
    await other.send('others go on');
    assert.equal((await otherSession.next()).text, 'others go on');
    client.socket.resume();
    await readAll(client, sent, SIZE);
    client.terminate();
    other.terminate();
  });
});

suite('a backend that does not read', () => {
  const proxy = { ping_interval: 'off' };
  test('stops the client’s sending, and then gets everything', (t) => assertBounded(t, { who: 1, count: 1, size: SIZE, bound: MIB + SLACK, options: { websocket: patient, proxy } }));
  test('20 of them at once', (t) => assertBounded(t, { who: 1, count: 20, size: SIZE, bound: 20 * (256 + 256) * KIB + SLACK, options: { websocket: patient, proxy } }));
  test('with messages larger than the queue', (t) => assertBounded(t, { who: 1, count: 2, size: 3 * MIB, bound: 2 * MIB + SLACK, options: { websocket: patient, proxy } }));
});

test('both at once, in one session, end in order when both read again', async (t) => {
  const backend = await wsBackend(t);
  const weir = await startForward(t, backend, { websocket: patient, proxy: { ping_interval: 'off' } });
  const [client, session] = await pair(weir, backend);
  client.socket.pause();
  session.socket.pause();
  const before = weir.residentBytes();
  const sent = await Promise.all([sendUntilStuck(client, SIZE), sendUntilStuck(session, SIZE)]);
  const grown = weir.residentBytes() - before;
  assert.ok(grown < 2 * MIB + SLACK, `grew by ${grown}`);
  client.socket.resume();
  session.socket.resume();
  await Promise.all([readAll(session, sent[0], SIZE), readAll(client, sent[1], SIZE)]);
  client.close(1000);
  assert.equal((await session.closed).code, 1000);
});

test('a reader that goes away while much waits for it ends both sides, and leaves nothing', async (t) => {
  const backend = await wsBackend(t);
  const weir = await startForward(t, backend, { websocket: patient, proxy: { ping_interval: 'off', close_timeout: '300ms' } });
  for (const who of [0, 1]) {
    const both = await pair(weir, backend);
    both[who].socket.pause();
    await sendUntilStuck(both[1 - who], SIZE);
    both[who].socket.resume();
    both[who].terminate();
    const { code } = await both[1 - who].closed;
    assert.ok([1001, 1006, 1014].includes(code), `${code}`);
    await waitFor(() => openConnections(weir) === 0, { what: 'the end of both connections' });
  }
});

suite('whole messages', () => {
  const files = { 'seer.lua': 'return { on_message = function(_, data) return data end, on_send = function(_, data) return data end }' };
  for (const who of [0, 1]) {
    test(`a ${['client', 'backend'][who]} that does not read, behind a plugin that sees whole messages`, (t) =>
      assertBounded(t, { who, count: 5, size: SIZE, bound: 5 * (MIB + 256 * KIB) + SLACK, options: { websocket: patient, proxy: { ping_interval: 'off' }, plugins: '[seer]', files } }));
  }
});
