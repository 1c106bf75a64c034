// The limits of a session's settings, both sides of each: sizes, queues and times. Times are short here, and
// every wait is for what must happen; what must not happen before a time is proven by when it did happen.
'use strict';

const { test, describe: suite } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { waitFor } = require('./lib/weir');
const { connect } = require('./lib/client');
const { rawUpgrade } = require('./lib/raw');
const { frame, closeFrame, closeOf, CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG } = require('./lib/frames');
const { startEcho, describe: words, framesOf, assertFailed, openConnections } = require('./lib/echo');

const KIB = 1024;
const MIB = 1024 * KIB;
// A sanitizer keeps freed memory back and pads what is in use, so its bounds on memory are wider.
const MEMORY_SLACK = /asan|tsan/.test(process.env.WEIR_BINARY || '') ? 96 * MIB : 24 * MIB;

const binary = (payload, more) => frame({ opcode: BINARY, payload, ...more });

// How long `promise` takes, in ms.
async function timed(promise) {
  const start = process.hrtime.bigint();
  await promise;
  return Number(process.hrtime.bigint() - start) / 1e6;
}

suite('max_message_size', () => {
  test('in one frame', async (t) => {
    const weir = await startEcho(t, { max_message_size: '1000' });
    const c = await rawUpgrade(weir.port);
    c.send(binary(Buffer.alloc(1000)));
    assert.equal((await c.readFrame()).payload.length, 1000);
    c.send(binary('', { length: 1001 })); // the head alone
    await assertFailed(c, 1009);
  });

  test('in fragments, at the head of the one that passes it', async (t) => {
    const weir = await startEcho(t, { max_message_size: '1000' });
    const c = await rawUpgrade(weir.port);
    for (const last of [200, 201]) {
      c.send(binary(Buffer.alloc(500), { fin: false }));
      c.send(frame({ opcode: CONTINUATION, fin: false, payload: Buffer.alloc(300) }));
      c.send(frame({ opcode: PING, payload: Buffer.alloc(125) })); // control frames do not count
      assert.equal((await c.readFrame()).opcode, PONG);
      c.send(frame({ opcode: CONTINUATION, payload: last === 200 ? Buffer.alloc(200) : '', length: last }));
      if (last === 200) {
        assert.equal((await c.readFrame()).payload.length, 1000);
      }
    }
    await assertFailed(c, 1009);
  });

  test('endless fragments end at it', async (t) => {
    const weir = await startEcho(t, { max_message_size: '64KiB' });
    const c = await rawUpgrade(weir.port);
    c.send(binary('', { fin: false }));
    const more = frame({ opcode: CONTINUATION, fin: false, payload: Buffer.alloc(1000) });
    c.send(Buffer.concat(Array(70).fill(more)));
    await assertFailed(c, 1009);
  });

  test('of one byte', async (t) => {
    const weir = await startEcho(t, { max_message_size: '1' });
    const c = await rawUpgrade(weir.port);
    c.send(frame({ payload: '' }));
    c.send(frame({ payload: 'x' }));
    assert.deepEqual([words(await c.readFrame()), words(await c.readFrame())], ['text', 'text x']);
    c.send(frame({ payload: 'xy' }));
    await assertFailed(c, 1009);
  });

  test('who announces much and sends little costs little', async (t) => {
    const weir = await startEcho(t, { max_message_size: '64MiB' });
    const before = weir.residentBytes();
    const clients = await Promise.all(Array.from({ length: 50 }, () => rawUpgrade(weir.port)));
    for (const c of clients) {
      await c.send(Buffer.concat([binary('', { length: 64 * MIB }), Buffer.alloc(2000)]));
    }
    const probe = await rawUpgrade(weir.port);
    probe.send(frame({ payload: 'done' }));
    await probe.readFrame();
    assert.ok(weir.residentBytes() < before + MEMORY_SLACK, `grew from ${before} to ${weir.residentBytes()}`);
    for (const c of [...clients, probe]) {
      c.destroy();
    }
  });
});

suite('large messages (section 9)', () => {
  for (const opcode of [TEXT, BINARY]) {
    test(`${opcode === TEXT ? 'text' : 'binary'} of 64 KiB to 16 MiB`, async (t) => {
      const weir = await startEcho(t, { max_message_size: '16MiB' });
      const c = await rawUpgrade(weir.port, { timeoutMs: 20000 });
      for (const size of [64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB]) {
        const payload = opcode === TEXT ? Buffer.alloc(size, 'B\u00e4llchen') : crypto.randomBytes(size);
        const whole = opcode === TEXT ? payload.subarray(0, size - (size % 9)) : payload;
        c.send(frame({ opcode, payload: whole }));
        assert.ok((await c.readFrame()).payload.equals(whole), `${size} bytes`);
      }
      c.destroy();
    });
  }

  for (const size of [64, 256, 4096, 65536, MIB]) {
    test(`4 MiB in fragments of ${size} bytes`, async (t) => {
      const weir = await startEcho(t, { max_message_size: '4MiB' });
      const c = await rawUpgrade(weir.port, { timeoutMs: 20000 });
      const payload = crypto.randomBytes(4 * MIB);
      const pieces = [];
      for (let at = 0; at < payload.length; at += size) {
        pieces.push(frame({ opcode: at === 0 ? BINARY : CONTINUATION, fin: at + size >= payload.length, payload: payload.subarray(at, at + size) }));
      }
      c.send(Buffer.concat(pieces));
      assert.ok((await c.readFrame()).payload.equals(payload));
      c.destroy();
    });
  }

  test('1000 messages at once, of sizes around each border', async (t) => {
    const weir = await startEcho(t, { max_queue_size: '64MiB' });
    for (const size of [0, 16, 64, 125, 126, 1024, 4096, 16384, 65535, 65536]) {
      const c = await rawUpgrade(weir.port, { timeoutMs: 20000 });
      const one = binary(crypto.randomBytes(size));
      const count = size > 10000 ? 100 : 1000;
      c.send(Buffer.concat([...Array(count).fill(one), closeFrame(1000)]));
      const echoes = framesOf(await c.readToEnd());
      assert.equal(echoes.length, count + 1);
      c.destroy();
    }
  });
});

suite('receive_buffer_size', () => {
  for (const size of ['1KiB', '4KiB', '5000', '64KiB', '256KiB']) {
    test(`${size}: messages smaller, equal and larger arrive whole`, async (t) => {
      const weir = await startEcho(t, { receive_buffer_size: size, max_message_size: '2MiB', max_queue_size: '16MiB' });
      const c = await rawUpgrade(weir.port);
      const sizes = [0, 1, 125, 126, 1016, 1017, 1018, 1023, 1024, 1025, 4087, 4096, 5000, 16384, 16390, 65535, 65536, 65550, 300000, 2 * MIB];
      const payloads = sizes.map((bytes) => crypto.randomBytes(bytes));
      c.send(Buffer.concat(payloads.map((payload) => binary(payload))));
      for (const payload of payloads) {
        assert.ok((await c.readFrame()).payload.equals(payload), `${payload.length} bytes`);
      }
      // Writes that end within a head, so that what is kept meets a small buffer.
      const many = Buffer.concat(Array.from({ length: 200 }, (_, i) => binary(Buffer.alloc(i * 7, i))));
      await c.sendSplit(many, 1021);
      for (let i = 0; i < 200; i++) {
        assert.ok((await c.readFrame()).payload.equals(Buffer.alloc(i * 7, i)));
      }
      c.destroy();
    });
  }
});

suite('a client that does not read', () => {
  // Sends without reading until the gateway stops taking it. Returns how many bytes it took.
  async function stuff(c, weir, one, limit) {
    let taken = 0;
    let going = true;
    while (going && taken < limit) {
      taken += one.length;
      const sent = c.send(one);
      // The kernel's buffers are full and the gateway reads no more when a write hangs for this long.
      going = await Promise.race([sent.then(() => true), new Promise((resolve) => setTimeout(resolve, 400, false))]);
    }
    return taken;
  }

  test('stops being read from, costs a bounded amount, and goes on where it was', async (t) => {
    const weir = await startEcho(t, { max_queue_size: '1MiB', write_timeout: '60s' });
    const before = weir.residentBytes();
    const c = await rawUpgrade(weir.port, { timeoutMs: 20000 });
    c.pause();
    const one = binary(crypto.randomBytes(32 * KIB));
    const taken = await stuff(c, weir, one, 200 * MIB);
    assert.ok(taken < 100 * MIB, `the gateway took ${taken} bytes that nobody reads`);
    assert.ok(weir.residentBytes() < before + MEMORY_SLACK, `grew from ${before} to ${weir.residentBytes()}`);
    // Another session of the same worker is not held up.
    const other = await rawUpgrade(weir.port);
    other.send(frame({ payload: 'beside' }));
    assert.equal(words(await other.readFrame()), 'text beside');
    other.destroy();
    // None is lost: reading pauses at half of the queue, so that no send was refused.
    c.resume();
    for (let i = 0; i < taken / one.length; i++) {
      assert.equal((await c.readFrame()).payload.length, 32 * KIB, `echo ${i}`);
    }
    c.send(frame({ payload: 'and on' }));
    assert.equal(words(await c.readFrame()), 'text and on');
    c.destroy();
  });

  test('no answer is lost where the queue is smaller than what one read brings', async (t) => {
    const weir = await startEcho(t, { max_queue_size: '1KiB', receive_buffer_size: '256KiB' });
    const c = await rawUpgrade(weir.port, { timeoutMs: 20000 });
    c.pause();
    const payloads = Array.from({ length: 20000 }, (_, i) => `${i} `.repeat(1 + (i % 60)));
    c.send(Buffer.concat([...payloads.map((payload) => frame({ payload })), closeFrame(1000)]));
    c.resume();
    const echoes = framesOf(await c.readToEnd());
    assert.equal(echoes.length, payloads.length + 1);
    assert.ok(payloads.every((payload, i) => echoes[i].payload.toString() === payload));
    assert.equal(words(echoes.at(-1)), 'close 1000');
    c.destroy();
  });

  test('is closed after write_timeout', async (t) => {
    const weir = await startEcho(t, { max_queue_size: '64KiB', write_timeout: '300ms', keep_alive_interval: 'off' });
    const c = await rawUpgrade(weir.port);
    c.pause();
    c.send(Buffer.concat(Array(300).fill(binary(Buffer.alloc(64 * KIB)))));
    assert.ok(openConnections(weir) > 0);
    await waitFor(() => openConnections(weir) === 0, { what: 'the gateway to cut the session' });
    c.destroy();
  });

  test('is not closed while it reads slowly', async (t) => {
    const weir = await startEcho(t, { max_queue_size: '64KiB', write_timeout: '500ms' });
    const c = await rawUpgrade(weir.port, { timeoutMs: 20000 });
    const count = 400;
    c.pause();
    c.send(Buffer.concat(Array(count).fill(binary(Buffer.alloc(64 * KIB)))));
    // Lets some through every 100 ms, for longer than write_timeout.
    const started = Date.now();
    const valve = setInterval(() => {
      if (Date.now() - started > 1500) {
        clearInterval(valve);
        c.resume();
        return;
      }
      c.resume();
      setImmediate(() => c.pause());
    }, 100);
    for (let i = 0; i < count; i++) {
      await c.readFrame();
    }
    assert.ok(Date.now() - started > 1000, 'it was slow');
    c.send(frame({ payload: 'still here' }));
    assert.equal(words(await c.readFrame()), 'text still here');
    c.destroy();
  });

  test('and floods pings gets no more than the queue holds', async (t) => {
    const weir = await startEcho(t, { max_queue_size: '64KiB', write_timeout: '60s' });
    const before = weir.residentBytes();
    const c = await rawUpgrade(weir.port);
    c.pause();
    const pings = Buffer.concat(Array(2000).fill(frame({ opcode: PING, payload: Buffer.alloc(125) })));
    const taken = await stuff(c, weir, pings, 100 * MIB);
    assert.ok(taken < 90 * MIB);
    assert.ok(weir.residentBytes() < before + MEMORY_SLACK);
    c.destroy();
  });

  test('and plugins that send are told "full", then drained', async (t) => {
    const weir = await startEcho(t, { max_queue_size: '256KiB', write_timeout: '60s' }, {
      top: 'lua: {cpu_limit: 10s}', // a sanitizer makes it slow
      handler: '{lua: source}',
      files: {
        'source.lua': `
          local source = {}
          local sent = 0
          local function pour(conn)
              while sent < 20000 do
                  local ok, why = conn:send(string.rep("x", 1023) .. sent % 10, "binary")
                  if not ok then
                      assert(why == "full", why)
                      return
                  end
                  sent = sent + 1
              end
              if sent == 20000 then
                  sent = sent + 1
                  conn:send("end")
              end
          end
          function source.on_message(conn) pour(conn) end
          function source.on_drain(conn) pour(conn) end
          return source`,
      },
    });
    const before = weir.residentBytes();
    const c = await rawUpgrade(weir.port, { timeoutMs: 20000 });
    c.pause();
    c.send(frame({ payload: 'go' }));
    const probe = await rawUpgrade(weir.port);
    probe.send(frame({ opcode: PING }));
    await probe.readFrame();
    assert.ok(weir.residentBytes() < before + MEMORY_SLACK, `grew from ${before} to ${weir.residentBytes()}`);
    c.resume();
    for (let i = 0; i < 20000; i++) {
      const one = await c.readFrame();
      assert.equal(one.payload[1023], 48 + (i % 10), `message ${i}: ${words(one)}; log: ${weir.log}`);
    }
    assert.equal(words(await c.readFrame()), 'text end');
    c.destroy();
    probe.destroy();
  });
});

suite('keep-alive', () => {
  test('a silent client is pinged at the interval, and stays while it answers', async (t) => {
    const weir = await startEcho(t, { keep_alive_interval: '150ms', keep_alive_timeout: '1s' });
    const c = await rawUpgrade(weir.port);
    for (let i = 0; i < 4; i++) {
      const ms = await timed(
        c.readFrame().then((one) => {
          assert.equal(one.opcode, PING);
          c.send(frame({ opcode: PONG, payload: one.payload }));
        }),
      );
      assert.ok(ms > 130 && ms < 900, `ping ${i} after ${ms} ms`);
    }
    c.send(frame({ payload: 'alive' }));
    assert.equal(words(await c.readFrame()), 'text alive');
    c.destroy();
  });

  test('a client that talks is not pinged', async (t) => {
    const weir = await startEcho(t, { keep_alive_interval: '400ms', keep_alive_timeout: '1s' });
    const client = await connect(weir.ws());
    const end = Date.now() + 1200;
    while (Date.now() < end) {
      await client.send('talk');
      await client.next();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(client.pings, 0);
    await client.close();
  });

  test('a client that does not answer is closed with 1001 after the timeout', async (t) => {
    const weir = await startEcho(t, { keep_alive_interval: '100ms', keep_alive_timeout: '300ms' });
    const c = await rawUpgrade(weir.port);
    assert.equal((await c.readFrame()).opcode, PING);
    let answer;
    const ms = await timed(c.readFrame().then((one) => (answer = one)));
    assert.ok(ms >= 280, `it was given ${ms} ms`);
    assert.deepEqual([answer.opcode, closeOf(answer).code], [CLOSE, 1001]);
    await c.waitEnd();
    c.destroy();
  });

  test('anything that the client sends will do for an answer', async (t) => {
    const weir = await startEcho(t, { keep_alive_interval: '100ms', keep_alive_timeout: '300ms' });
    const c = await rawUpgrade(weir.port);
    const slow = binary(Buffer.alloc(20)); // a byte for each ping: one slow frame
    for (const byte of slow.subarray(0, 8)) {
      assert.equal((await c.readFrame()).opcode, PING);
      c.send(Buffer.from([byte]));
    }
    c.destroy();
  });

  test('interval off sends no ping, timeout off forgives silence', async (t) => {
    const never = await startEcho(t, { keep_alive_interval: 'off' });
    const quiet = await rawUpgrade(never.port);
    const weir = await startEcho(t, { keep_alive_interval: '100ms', keep_alive_timeout: 'off' });
    const c = await rawUpgrade(weir.port);
    for (let i = 0; i < 5; i++) {
      assert.equal((await c.readFrame()).opcode, PING); // also the time in which `quiet` must hear nothing
    }
    assert.equal(quiet.received.length, 0);
    quiet.send(frame({ payload: 'here' }));
    assert.equal(words(await quiet.readFrame()), 'text here');
    quiet.destroy();
    c.destroy();
  });

  test('leaves nothing of the sessions that it closes', async (t) => {
    const weir = await startEcho(t, { keep_alive_interval: '50ms', keep_alive_timeout: '100ms' });
    const clients = await Promise.all(Array.from({ length: 20 }, () => rawUpgrade(weir.port)));
    await Promise.all(clients.map((c) => c.waitEnd()));
    for (const c of clients) {
      c.destroy();
    }
    await waitFor(() => openConnections(weir) === 0, { what: 'the connections to be closed' });
  });
});

suite('close_timeout', () => {
  const closer = {
    handler: '{lua: closer}',
    files: { 'closer.lua': 'return { on_message = function(conn) conn:close(3001, "enough") end }' },
  };

  test('a client that does not answer a close is cut after it', async (t) => {
    const weir = await startEcho(t, { close_timeout: '300ms' }, closer);
    const c = await rawUpgrade(weir.port);
    c.send(frame({ payload: 'x' }));
    assert.deepEqual(closeOf(await c.readFrame()), { code: 3001, reason: 'enough' });
    const ms = await timed(c.waitEnd());
    assert.ok(ms >= 280, `it was given ${ms} ms`);
    c.destroy();
  });

  test('a client that goes on talking instead is cut all the same', async (t) => {
    const weir = await startEcho(t, { close_timeout: '300ms' }, closer);
    const c = await rawUpgrade(weir.port);
    const talk = setInterval(() => c.send(frame({ payload: 'but' })), 20);
    assert.equal(words(await c.readFrame()), 'close 3001');
    const ms = await timed(c.waitEnd());
    clearInterval(talk);
    assert.ok(ms >= 280 && ms < 2500, `it was given ${ms} ms`);
    assert.equal(c.received.length, 0, 'nothing is sent after a close frame');
    c.destroy();
  });

  test('a client that answers is let go at once', async (t) => {
    const weir = await startEcho(t, { close_timeout: '1m' }, closer);
    const c = await rawUpgrade(weir.port);
    c.send(Buffer.concat([frame({ payload: 'x' }), frame({ payload: 'late' }), frame({ opcode: PING }), closeFrame(3001)]));
    assert.equal(words(await c.readFrame()), 'close 3001');
    assert.equal((await c.readToEnd()).length, 0);
    c.destroy();
  });

  test('a client that breaks the rules after a close is let go at once', async (t) => {
    const weir = await startEcho(t, { close_timeout: '1m' }, closer);
    const c = await rawUpgrade(weir.port);
    c.send(frame({ payload: 'x' }));
    assert.equal(words(await c.readFrame()), 'close 3001');
    c.send(frame({ opcode: 5 }));
    assert.equal((await c.readToEnd()).length, 0);
    c.destroy();
  });
});
