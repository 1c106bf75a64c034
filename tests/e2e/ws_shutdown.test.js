// How sessions end when the gateway is told to stop: 1001 to each, a while to answer, and then the end.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { waitFor } = require('./lib/weir');
const { connect } = require('./lib/client');
const { rawConnect, rawUpgrade, upgradeHead } = require('./lib/raw');
const { frame, closeFrame, closeOf, CONTINUATION, CLOSE } = require('./lib/frames');
const { startEcho, describe: words, framesOf } = require('./lib/echo');

// Stops the gateway; resolves with the ms that it took. weir.stop() proves exit code 0 and a clean log.
async function stopTime(weir, options) {
  const start = Date.now();
  await weir.stop(options);
  return Date.now() - start;
}

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal} closes every session with 1001, and the process exits 0 once they have answered`, async (t) => {
    const weir = await startEcho(t, { close_timeout: '1m' }, { top: 'shutdown_timeout: 1m' });
    const clients = await Promise.all(Array.from({ length: 50 }, () => connect(weir.ws())));
    for (const [i, client] of clients.entries()) {
      await client.send(`client ${i}`);
      await client.next();
    }
    const ms = await stopTime(weir, { signal });
    const endings = await Promise.all(clients.map((client) => client.closed));
    assert.deepEqual(endings.map((one) => one.code), clients.map(() => 1001));
    assert.ok(ms < 10000, `it took ${ms} ms`);
  });
}

test('clients that never answer are cut at close_timeout, the others end in order', async (t) => {
  const weir = await startEcho(t, { close_timeout: '400ms' }, { top: 'shutdown_timeout: 30s' });
  const silent = await Promise.all(Array.from({ length: 10 }, () => rawUpgrade(weir.port)));
  const polite = await Promise.all(Array.from({ length: 10 }, () => connect(weir.ws())));
  const ms = await stopTime(weir);
  assert.ok(ms >= 380 && ms < 10000, `it took ${ms} ms`);
  for (const client of polite) {
    assert.equal((await client.closed).code, 1001);
  }
  for (const c of silent) {
    assert.equal(words(await c.readFrame()), 'close 1001');
    assert.equal((await c.readToEnd()).length, 0);
    c.destroy();
  }
});

test('clients that never answer are cut at shutdown_timeout, when that is sooner', async (t) => {
  const weir = await startEcho(t, { close_timeout: '1m' }, { top: 'shutdown_timeout: 500ms' });
  const silent = await Promise.all(Array.from({ length: 10 }, () => rawUpgrade(weir.port)));
  const polite = await connect(weir.ws());
  const ms = await stopTime(weir);
  assert.ok(ms >= 480 && ms < 10000, `it took ${ms} ms`);
  assert.equal((await polite.closed).code, 1001);
  for (const c of silent) {
    assert.equal(words(await c.readFrame()), 'close 1001');
    c.destroy();
  }
});

test('clients that do not even read are cut', async (t) => {
  const weir = await startEcho(t, { close_timeout: '1m', write_timeout: '1m', max_queue_size: '64KiB' }, { top: 'shutdown_timeout: 500ms' });
  const c = await rawUpgrade(weir.port);
  c.pause();
  const flood = c.send(Buffer.concat(Array(400).fill(frame({ opcode: 2, payload: Buffer.alloc(65536) }))));
  await Promise.race([flood, new Promise((resolve) => setTimeout(resolve, 300))]); // until the pipes are full
  const ms = await stopTime(weir);
  assert.ok(ms < 10000, `it took ${ms} ms`);
  c.destroy();
});

test('what was sent before still arrives, in order', async (t) => {
  const plugin = `
    return {
      on_message = function(conn, data, kind)
        conn:send(data, kind)
        weir.log.warn("echoed " .. #data)
      end,
    }`;
  const weir = await startEcho(
    t,
    { max_queue_size: '64MiB', max_message_size: '8MiB' },
    { handler: '{lua: telling_echo}', files: { 'telling_echo.lua': plugin } },
  );
  const c = await rawUpgrade(weir.port, { timeoutMs: 20000 });
  c.pause();
  const payload = Buffer.alloc(8 * 1024 * 1024, 'x');
  await c.send(frame({ opcode: 2, payload }));
  await weir.waitForLog(/echoed 8388608/);
  const stopped = weir.stop();
  c.resume();
  assert.equal((await c.readFrame()).payload.length, payload.length);
  assert.equal(words(await c.readFrame()), 'close 1001');
  c.send(closeFrame(1001));
  await c.waitEnd();
  c.destroy();
  await stopped;
});

test('a session within a fragmented message gets 1001 too, and what it still sends is not echoed', async (t) => {
  const weir = await startEcho(t, 'on');
  const c = await rawUpgrade(weir.port);
  c.send(frame({ fin: false, payload: 'begun' }));
  c.send(frame({ opcode: 9 }));
  await c.readFrame();
  const stopped = weir.stop();
  assert.equal(words(await c.readFrame()), 'close 1001');
  c.send(Buffer.concat([frame({ opcode: CONTINUATION, payload: ' and ended' }), frame({ payload: 'another' }), closeFrame(1001)]));
  assert.equal((await c.readToEnd()).length, 0);
  c.destroy();
  await stopped;
});

test('a client that closes at the same moment ends in order', async (t) => {
  const weir = await startEcho(t, 'on');
  const clients = await Promise.all(Array.from({ length: 30 }, () => rawUpgrade(weir.port)));
  const stopped = weir.stop();
  for (const c of clients) {
    c.send(closeFrame(1000));
  }
  for (const c of clients) {
    const frames = framesOf(await c.readToEnd());
    assert.deepEqual(frames.map((one) => one.opcode), [CLOSE], 'one close frame, whoever was first');
    assert.ok([1000, 1001].includes(closeOf(frames[0]).code));
    c.destroy();
  }
  await stopped;
});

test('idle connections are ended at once, and none is accepted any more', async (t) => {
  const weir = await startEcho(t, { close_timeout: '1m' }, { top: 'shutdown_timeout: 1m' });
  const idle = await rawConnect(weir.port);
  const kept = await rawConnect(weir.port);
  kept.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.equal((await kept.readResponse()).status, 404);
  const open = await rawUpgrade(weir.port);
  const stopped = weir.stop();
  await Promise.all([idle.waitEnd(), kept.waitEnd()]);
  assert.equal(words(await open.readFrame()), 'close 1001');
  await assert.rejects(rawConnect(weir.port), /ECONNREFUSED/);
  open.send(closeFrame(1001));
  await open.waitEnd();
  for (const c of [idle, kept, open]) {
    c.destroy();
  }
  await stopped;
});

test('an upgrade that a plugin lets through only after the signal is refused with 503', async (t) => {
  const weir = await startEcho(t, { close_timeout: '1m' }, {
    top: 'shutdown_timeout: 1m',
    plugins: '[slow]',
    files: { 'slow.lua': 'return { on_request = function() weir.log.warn("asked") weir.sleep(0.4) end }' },
  });
  const c = await rawConnect(weir.port);
  c.send(upgradeHead());
  await weir.waitForLog(/asked/);
  const stopped = weir.stop();
  assert.equal((await c.readResponse()).status, 503);
  await c.waitEnd();
  c.destroy();
  await stopped;
});

test('callbacks see the end: on_close runs for every session before the process exits', async (t) => {
  const weir = await startEcho(t, { close_timeout: '200ms' }, {
    top: 'shutdown_timeout: 5s',
    handler: '{lua: witness}',
    files: { 'witness.lua': 'return { on_close = function(conn, code) weir.log.warn("closed with " .. tostring(code)) end }' },
  });
  const silent = await Promise.all(Array.from({ length: 5 }, () => rawUpgrade(weir.port)));
  const polite = await Promise.all(Array.from({ length: 5 }, () => connect(weir.ws())));
  await weir.stop();
  assert.equal(weir.log.match(/closed with 1001/g).length, silent.length + polite.length);
  for (const c of silent) {
    c.destroy();
  }
  await Promise.all(polite.map((client) => client.closed));
});
