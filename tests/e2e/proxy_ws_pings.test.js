// Pings of a proxied session: each side's are its own, and each side's silence is found out by itself.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { startForward, wsBackend, rawBackend, pair } = require('./lib/forward');
const { frame, closeFrame, closeOf, CLOSE, PING, PONG } = require('./lib/frames');
const { waitFor } = require('./lib/weir');

const un = { mask: null };

test('Weir answers the pings of each side itself, with their bytes, and the other side hears nothing of them', async (t) => {
  const backend = await rawBackend(t);
  const weir = await startForward(t, backend);
  const [c, b] = await pair(weir, backend, { raw: true });
  for (const payload of ['', 'x', 'y'.repeat(125)]) {
    for (const [from, mask] of [[c, Buffer.from([1, 2, 3, 4])], [b, null]]) {
      from.send(frame({ opcode: PING, payload, mask }));
      const pong = await from.readFrame();
      assert.deepEqual([pong.opcode, pong.payload.toString(), pong.masked], [PONG, payload, from === b]);
    }
  }
  c.send(frame({ payload: 'to the backend' }));
  assert.equal((await b.readFrame()).payload.toString(), 'to the backend', 'nothing came before it');
  b.send(frame({ payload: 'to the client', ...un }));
  assert.equal((await c.readFrame()).payload.toString(), 'to the client', 'nothing came before it');
  c.destroy();
});

test('a backend that answers pings lives on, and one that never does is closed after ping_timeout, and the client told', async (t) => {
  const backend = await rawBackend(t);
  const weir = await startForward(t, backend, { proxy: { ping_interval: '100ms', ping_timeout: '300ms' }, plugins: '[{access_log: "-"}]' });
  const [client, b] = await pair(weir, backend);
  for (let i = 0; i < 5; i++) {
    const ping = await b.readFrame();
    assert.equal(ping.opcode, PING);
    b.send(frame({ opcode: PONG, payload: ping.payload, ...un }));
  }
  const start = Date.now();
  let one = await b.readFrame();
  for (; one.opcode === PING; one = await b.readFrame()) {
    assert.equal(client.closeInfo, undefined);
  }
  assert.deepEqual([one.opcode, closeOf(one).code], [CLOSE, 1001]);
  assert.ok(Date.now() - start >= 290, `${Date.now() - start} ms`);
  assert.deepEqual(await client.closed, { code: 1014, reason: 'the backend was silent for too long' });
  await b.waitEnd();
  const line = JSON.parse((await weir.waitForLog(/^\{.*"kind":"session".*\}$/m))[0]);
  assert.deepEqual([line.code, line.closed_by, line.words], [1014, 'backend', 'the backend was silent for too long']);
});

test('a silent backend is 1012 for the client where the route says so', async (t) => {
  const backend = await rawBackend(t);
  const weir = await startForward(t, backend, { proxy: { ping_interval: '50ms', ping_timeout: '100ms', lost_code: 1012 } });
  const [client] = await pair(weir, backend);
  assert.equal((await client.closed).code, 1012);
});

test('any frame of the backend counts as an answer', async (t) => {
  const backend = await rawBackend(t);
  const weir = await startForward(t, backend, { proxy: { ping_interval: '100ms', ping_timeout: '250ms' } });
  const [client, b] = await pair(weir, backend);
  const start = Date.now();
  for (let i = 0; Date.now() - start < 1000; i++) {
    b.send(frame({ payload: `${i}`, ...un }));
    assert.equal((await client.next()).text, `${i}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(client.closeInfo, undefined);
  client.terminate();
});

test('a client that keeps talking does not hide a dead backend', async (t) => {
  const backend = await rawBackend(t);
  const weir = await startForward(t, backend, { proxy: { ping_interval: '100ms', ping_timeout: '200ms' } });
  const [client, b] = await pair(weir, backend);
  b.pause();
  const talk = setInterval(() => client.socket.send('still there?'), 20);
  t.after(() => clearInterval(talk));
  assert.equal((await client.closed).code, 1014);
});

test('ping_interval: off sends none; ping_timeout: off forgives a missing pong', async (t) => {
  const backend = await rawBackend(t);
  const silent = await startForward(t, backend, { proxy: { ping_interval: 'off' } });
  const forgiving = await startForward(t, backend, { proxy: { ping_interval: '50ms', ping_timeout: 'off' } });
  const [one, quiet] = await pair(silent, backend);
  const [two, pinged] = await pair(forgiving, backend);
  for (let i = 0; i < 8; i++) {
    assert.equal((await pinged.readFrame()).opcode, PING);
  }
  assert.equal(quiet.received.length, 0);
  for (const [client, b] of [[one, quiet], [two, pinged]]) {
    b.send(frame({ payload: 'alive', ...un }));
    assert.equal((await client.next()).text, 'alive');
    client.terminate();
  }
});

test('ws on both sides: pings of both intervals are answered, and the session lives', async (t) => {
  const backend = await wsBackend(t);
  const weir = await startForward(t, backend, { websocket: { keep_alive_interval: '50ms', keep_alive_timeout: '5s' }, proxy: { ping_interval: '50ms', ping_timeout: '5s' } });
  const [client, session] = await pair(weir, backend);
  await waitFor(() => client.pings >= 5 && session.pings >= 5, { what: 'pings on both sides' });
  await client.send('alive');
  assert.equal((await session.next()).text, 'alive');
  client.close(1000);
  assert.equal((await session.closed).code, 1000);
});

test('a backend that takes nothing for read_timeout is lost, without pings too', async (t) => {
  const backend = await rawBackend(t);
  const weir = await startForward(t, backend, { websocket: { max_message_size: '64MiB' }, proxy: { ping_interval: 'off', read_timeout: '300ms' } });
  const [client, b] = await pair(weir, backend);
  b.pause();
  client.socket.send(Buffer.alloc(32 * 1024 * 1024)); // more than the kernel's buffers take
  assert.deepEqual(await client.closed, { code: 1014, reason: 'the backend was silent for too long' });
});

test('a client that answers no ping is closed with 1001, and the backend told', async (t) => {
  const backend = await rawBackend(t);
  const weir = await startForward(t, backend, { websocket: { keep_alive_interval: '100ms', keep_alive_timeout: '200ms' } });
  const [c, b] = await pair(weir, backend, { raw: true });
  assert.equal((await c.readFrame()).opcode, PING);
  let one = await c.readFrame();
  while (one.opcode === PING) {
    one = await c.readFrame();
  }
  assert.deepEqual([one.opcode, closeOf(one).code], [CLOSE, 1001]);
  assert.equal(closeOf(await b.readFrame()).code, 1001);
  b.send(closeFrame(1001, '', un));
  b.end();
  c.destroy();
});
