// How a proxied session ends: which code and which words each side hears, and what never stands on the wire. The table
// is in docs/websocket-proxy.md.
'use strict';

const assert = require('node:assert/strict');
const { test, suite } = require('node:test');
const { startForward, wsBackend, rawBackend, pair } = require('./lib/forward');
const { openConnections } = require('./lib/echo');
const { waitFor } = require('./lib/weir');
const { frame, closeFrame, closeOf, CLOSE, TEXT, CONTINUATION } = require('./lib/frames');

const un = { mask: null };

// The next frame has to be a close frame: { code, reason }.
async function readClose(c) {
  const one = await c.readFrame();
  assert.equal(one.opcode, CLOSE, `opcode ${one.opcode} with ${one.payload.length} bytes`);
  return closeOf(one);
}

// [code or undefined for an empty close frame, reason]; 123 bytes of it is the most that fits.
const ENDINGS = [
  [1000, ''], [1000, 'bye'], [1001, 'going'], [1002, 'you'], [1003, 'no binary'], [1007, 'no text'], [1008, 'policy'], [1009, 'too big'], [1010, 'extension'],
  [1011, 'oops'], [1012, 'restart'], [1013, 'later'], [1014, 'gateway'], [3000, 'registered'], [4000, ''], [4999, 'private'], [4999, 'x'.repeat(123)],
  [4001, 'é€𝄞'.repeat(13) + 'xxxxxx'], [undefined, ''],
];

suite('codes and reasons cross', () => {
  test('from the client to the backend, and are echoed', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    for (const [code, reason] of ENDINGS) {
      const [c, b] = await pair(weir, backend, { raw: true });
      c.send(closeFrame(code, reason));
      const told = { code: code === undefined ? 1005 : code, reason };
      assert.deepEqual(await readClose(b), told);
      assert.equal((await readClose(c)).code, told.code);
      b.send(closeFrame(code, reason, un));
      b.end();
      assert.equal((await c.readToEnd()).length, 0);
      assert.equal((await b.readToEnd()).length, 0);
      c.destroy();
    }
  });

  test('from the backend to the client, and are echoed', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    for (const [code, reason] of ENDINGS) {
      const [c, b] = await pair(weir, backend, { raw: true });
      b.send(closeFrame(code, reason, un));
      const told = { code: code === undefined ? 1005 : code, reason };
      assert.deepEqual(await readClose(c), told);
      assert.equal((await readClose(b)).code, told.code);
      c.send(closeFrame(code, reason));
      assert.equal((await c.readToEnd()).length, 0);
      b.end();
      assert.equal((await b.readToEnd()).length, 0);
      c.destroy();
    }
  });

  test('between ws and ws, both ways', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend);
    for (const [code, reason] of ENDINGS) {
      const told = { code: code === undefined ? 1005 : code, reason };
      for (const first of [0, 1]) {
        const both = await pair(weir, backend);
        both[first].close(code, reason);
        assert.deepEqual(await both[1 - first].closed, told);
        assert.equal((await both[first].closed).code, told.code);
      }
    }
  });

  test('both at the same moment end both', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend);
    for (let i = 0; i < 20; i++) {
      const [client, session] = await pair(weir, backend);
      client.close(4001, 'client');
      session.close(4002, 'backend');
      const codes = [(await client.closed).code, (await session.closed).code];
      assert.ok(codes.every((code) => code === 4001 || code === 4002), `${codes}`);
    }
  });

  test('what was sent before the close arrives before it, both ways', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend);
    for (const first of [0, 1]) {
      const both = await pair(weir, backend);
      for (let i = 0; i < 200; i++) {
        both[first].send(Buffer.alloc(10000, i));
      }
      both[first].close(1000);
      for (let i = 0; i < 200; i++) {
        assert.equal((await both[1 - first].next()).data[0], i);
      }
      assert.equal((await both[1 - first].closed).code, 1000);
    }
  });

  test('a close within a fragmented message ends it too', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    for (const first of [0, 1]) {
      const both = await pair(weir, backend, { raw: true });
      const own = first === 0 ? {} : un;
      both[first].send(Buffer.concat([frame({ fin: false, payload: 'begun', ...own }), closeFrame(4000, 'no more', own)]));
      const begun = await both[1 - first].readFrame();
      assert.deepEqual([begun.fin, begun.opcode, begun.payload.toString()], [false, TEXT, 'begun']);
      assert.deepEqual(await readClose(both[1 - first]), { code: 4000, reason: 'no more' });
      both[0].destroy();
    }
  });
});

suite('codes that nobody may send', () => {
  // A close frame that is a mistake: the one who sent it hears 1002 (or 1007), the other one that its peer is gone.
  const BAD = {
    1005: closeBytes(1005), 1006: closeBytes(1006), 1015: closeBytes(1015), 1004: closeBytes(1004), 999: closeBytes(999), 0: closeBytes(0), 1016: closeBytes(1016), 2999: closeBytes(2999), 5000: closeBytes(5000),
    'of one byte': Buffer.from([3]),
  };
  function closeBytes(code) {
    return Buffer.from([code >> 8, code & 255]);
  }
  for (const [name, payload] of Object.entries(BAD)) {
    test(`${name} from the client: 1002 to it, 1001 to the backend; and the reverse: lost_code`, async (t) => {
      const backend = await rawBackend(t);
      const weir = await startForward(t, backend);
      const [c, b] = await pair(weir, backend, { raw: true });
      c.send(frame({ opcode: CLOSE, payload }));
      assert.equal((await readClose(c)).code, 1002);
      assert.equal((await readClose(b)).code, 1001);
      c.destroy();
      const [d, e] = await pair(weir, backend, { raw: true });
      e.send(frame({ opcode: CLOSE, payload, ...un }));
      assert.equal((await readClose(e)).code, 1002);
      assert.equal((await readClose(d)).code, 1014);
      d.destroy();
    });
  }

  test('a reason that is not UTF-8', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const payload = Buffer.from([0x03, 0xe8, 0xff]);
    const [c, b] = await pair(weir, backend, { raw: true });
    c.send(frame({ opcode: CLOSE, payload }));
    assert.equal((await readClose(c)).code, 1007);
    assert.equal((await readClose(b)).code, 1001);
    c.destroy();
    const [d, e] = await pair(weir, backend, { raw: true });
    e.send(frame({ opcode: CLOSE, payload, ...un }));
    assert.equal((await readClose(e)).code, 1007);
    assert.equal((await readClose(d)).code, 1014);
    d.destroy();
  });
});

suite('the backend’s death', () => {
  for (const [name, proxy, code] of [['1014 by default', {}, 1014], ['1012 where the route says so', { lost_code: 1012 }, 1012]]) {
    for (const [how, die] of Object.entries({ 'a reset': (b) => b.reset(), 'an end without a close frame': (b) => b.end(), 'an end within a frame': (b) => b.send(frame({ payload: 'whole', ...un }).subarray(0, 4)).then(() => b.end()) })) {
      test(`${how} is ${name}`, async (t) => {
        const backend = await rawBackend(t);
        const weir = await startForward(t, backend, { proxy });
        const [c, b] = await pair(weir, backend, { raw: true });
        b.send(frame({ payload: 'last words', ...un }));
        assert.equal((await c.readFrame()).payload.toString(), 'last words');
        await die(b);
        let one = await c.readFrame();
        if (one.opcode !== CLOSE) {
          assert.deepEqual([one.fin, one.payload.toString()], [false, 'wh'], 'the beginning of the frame, as it came');
          one = await c.readFrame();
        }
        assert.deepEqual([one.opcode, closeOf(one).code], [CLOSE, code]);
        c.send(closeFrame(code));
        assert.equal((await c.readToEnd()).length, 0);
        c.destroy();
      });
    }
  }

  test('what it had sent before arrives', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend);
    const [client, session] = await pair(weir, backend);
    for (let i = 0; i < 100; i++) {
      await session.send(Buffer.alloc(10000, i));
    }
    session.socket._socket.end();
    for (let i = 0; i < 100; i++) {
      assert.equal((await client.next()).data[0], i);
    }
    assert.equal((await client.closed).code, 1014);
  });
});

suite('the backend’s mistakes', () => {
  const MISTAKES = {
    'a masked frame': [frame({ payload: 'x' }), 1002],
    'a reserved bit': [frame({ payload: 'x', rsv: 4, ...un }), 1002],
    'an unknown opcode': [frame({ opcode: 3, payload: 'x', ...un }), 1002],
    'a long ping': [frame({ opcode: 9, payload: 'x'.repeat(126), ...un }), 1002],
    'a continuation of nothing': [frame({ opcode: CONTINUATION, payload: 'x', ...un }), 1002],
    'a new message within another': [Buffer.concat([frame({ fin: false, payload: '', ...un }), frame({ payload: 'x', ...un })]), 1002],
    'a length of 2^63': [frame({ opcode: 2, length: 2n ** 63n, lengthBytes: 8, ...un }), 1002],
  };
  for (const [name, [bytes, code]] of Object.entries(MISTAKES)) {
    test(`${name}: ${code} to it, lost_code to the client`, async (t) => {
      const backend = await rawBackend(t);
      const weir = await startForward(t, backend);
      const [client, b] = await pair(weir, backend);
      b.send(bytes);
      assert.equal((await readClose(b)).code, code);
      assert.equal((await client.closed).code, 1014);
      assert.equal(client.messages.length, 0);
      await b.waitEnd();
    });
  }
});

suite('the client’s end', () => {
  for (const [how, die] of Object.entries({ 'a reset': (c) => c.reset(), 'an end without a close frame': (c) => c.end(), 'an end within a frame': (c) => c.send(frame({ payload: 'whole' }).subarray(0, 8)).then(() => c.end()) })) {
    test(`${how} is 1001 for the backend`, async (t) => {
      const backend = await rawBackend(t);
      const weir = await startForward(t, backend);
      const [c, b] = await pair(weir, backend, { raw: true });
      c.send(frame({ payload: 'last words' }));
      assert.equal((await b.readFrame()).payload.toString(), 'last words');
      await die(c);
      let one = await b.readFrame();
      if (one.opcode !== CLOSE) {
        assert.equal(one.fin, false);
        one = await b.readFrame();
      }
      assert.deepEqual([one.opcode, closeOf(one).code], [CLOSE, 1001]);
      b.send(closeFrame(1001, '', un));
      b.end();
      assert.equal((await b.readToEnd()).length, 0);
      c.destroy();
    });
  }

  for (const [name, bytes, code] of [['an unmasked frame', frame({ payload: 'x', mask: null }), 1002], ['a reserved bit', frame({ payload: 'x', rsv: 4 }), 1002], ['a continuation of nothing', frame({ opcode: CONTINUATION, payload: 'x' }), 1002]]) {
    test(`${name} is ${code} for it and 1001 for the backend`, async (t) => {
      const backend = await wsBackend(t);
      const weir = await startForward(t, backend);
      const [c, session] = await pair(weir, backend, { raw: true });
      c.send(bytes);
      assert.equal((await readClose(c)).code, code);
      assert.equal((await session.closed).code, 1001);
      c.destroy();
    });
  }
});

suite('the gateway’s own endings', () => {
  test('SIGTERM is 1001 for both, and for each of many', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend, { top: 'shutdown_timeout: 1m' });
    const pairs = [];
    for (let i = 0; i < 30; i++) {
      pairs.push(await pair(weir, backend));
    }
    await weir.stop();
    for (const both of pairs) {
      assert.deepEqual((await Promise.all(both.map((one) => one.closed))).map(({ code }) => code), [1001, 1001]);
    }
  });

  test('SIGTERM ends within shutdown_timeout where neither side answers', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { top: 'shutdown_timeout: 500ms', websocket: { close_timeout: '1m' }, proxy: { close_timeout: '1m' } });
    const [c, b] = await pair(weir, backend, { raw: true });
    await weir.stop({ timeoutMs: 10000 });
    assert.equal((await readClose(c)).code, 1001);
    assert.equal((await readClose(b)).code, 1001);
    c.destroy();
  });

  test('a plugin’s own code reaches both', async (t) => {
    const backend = await wsBackend(t);
    const files = { 'bouncer.lua': 'return { on_message = function(conn, data) if data == "out" then conn:close(4100, "out you go") end end }' };
    const weir = await startForward(t, backend, { plugins: '[bouncer]', files });
    const [client, session] = await pair(weir, backend);
    client.send('out');
    assert.deepEqual(await client.closed, { code: 4100, reason: 'out you go' });
    assert.deepEqual(await session.closed, { code: 4100, reason: 'out you go' });
  });

  test('a plugin that fails is 1011 for both', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend, { plugins: '[broken]', files: { 'broken.lua': 'return { on_message = function() error("broken") end }' } });
    const [client, session] = await pair(weir, backend);
    client.send('x');
    assert.equal((await client.closed).code, 1011);
    assert.equal((await session.closed).code, 1011);
  });

  test('a backend that does not answer a close frame is cut at close_timeout', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { proxy: { close_timeout: '200ms' } });
    const [client, b] = await pair(weir, backend);
    client.close(1000);
    assert.equal((await readClose(b)).code, 1000);
    b.send(frame({ payload: 'I go on', ...un }));
    await client.closed;
    const start = Date.now();
    await b.waitEnd();
    assert.ok(Date.now() - start < 3000);
  });

  test('no descriptor is left when sessions have ended, however they did', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { proxy: { close_timeout: '100ms' }, websocket: { close_timeout: '100ms' } });
    const warm = await pair(weir, backend, { raw: true });
    warm.forEach((one) => one.reset());
    await waitFor(() => openConnections(weir) === 0, { what: 'no connections' });
    const before = weir.openDescriptors();
    const ways = [(c) => c.reset(), (c, b) => b.reset(), (c) => c.end(), (c, b) => b.end(), (c) => c.send(closeFrame(1000)), (c, b) => b.send(closeFrame(1000, '', un)), (c) => c.send(frame({ opcode: 3 })), (c, b) => b.send(frame({ opcode: 3, ...un }))];
    for (let i = 0; i < 40; i++) {
      const [c, b] = await pair(weir, backend, { raw: true });
      ways[i % ways.length](c, b);
    }
    await waitFor(() => openConnections(weir) === 0, { what: 'no connections' });
    assert.equal(weir.openDescriptors(), before);
  });
});
