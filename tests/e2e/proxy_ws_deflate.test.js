// Compression on each side of a proxied session by itself: with the client, with the backend, with both.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { test, suite } = require('node:test');
const zlib = require('node:zlib');
const { refused } = require('./lib/client');
const { startForward, wsBackend, rawBackend, readHead, upgradeAnswer, pair } = require('./lib/forward');
const { frame, closeOf, CLOSE, CONTINUATION, TEXT, BINARY, PING, PONG } = require('./lib/frames');

const MIB = 1024 * 1024;
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
const deflate = (data) => zlib.deflateRawSync(Buffer.from(data), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
const inflate = (payload) => zlib.inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
const un = { mask: null };

// What a side says in its handshake: the client's offer, and the raw backend's answer.
const OFFER = { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } };
const ANSWER = ['Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover'];
const clientSide = { websocket: { max_message_size: '8MiB', compression: { min_size: '100' } } };
const backendSide = { websocket: { max_message_size: '8MiB' }, proxy: { compression: true } };
const bothSides = { ...clientSide, proxy: { compression: true } };

const SAMPLES = ['', 'short', 'compressible '.repeat(10), 'é€𝄞 '.repeat(20000), Buffer.alloc(0), crypto.randomBytes(50), crypto.randomBytes(100000), Buffer.alloc(4 * MIB, 'x')];

async function assertBothWays(one, other) {
  for (const [from, to] of [[one, other], [other, one]]) {
    SAMPLES.forEach((data) => from.send(data));
    for (const data of SAMPLES) {
      const message = await to.next(20000);
      assert.equal(message.binary, Buffer.isBuffer(data));
      assert.ok(message.data.equals(Buffer.from(data)), `${data.length} bytes differ`);
    }
  }
}

suite('ws and ws', () => {
  const deflates = { perMessageDeflate: { threshold: 0 } };
  const cases = {
    'a client that deflates and a plain backend': [clientSide, deflates, {}],
    'a plain client and a backend that deflates': [backendSide, {}, deflates],
    'both deflate': [bothSides, deflates, deflates],
    'both would, and Weir does with neither': [{ websocket: { max_message_size: '8MiB' } }, deflates, deflates],
    'Weir would with both, and neither does': [bothSides, {}, {}],
  };
  for (const [name, [options, client, backend]] of Object.entries(cases)) {
    test(name, async (t) => {
      const back = await wsBackend(t, backend);
      const weir = await startForward(t, back, options);
      const [one, session] = await pair(weir, back, client);
      const weirWants = [options.websocket.compression, options.proxy && options.proxy.compression].map(Boolean);
      const extensions = [one.extensions, session.socket.extensions];
      const expected = [client, backend].map((side, i) => weirWants[i] && side === deflates);
      assert.deepEqual(extensions.map((text) => /permessage-deflate/.test(text)), expected);
      await assertBothWays(one, session);
      one.close(1000, 'bye');
      assert.deepEqual(await session.closed, { code: 1000, reason: 'bye' });
    });
  }

  test('context takeover with the client, both ways', async (t) => {
    const back = await wsBackend(t);
    const weir = await startForward(t, back, { websocket: { max_message_size: '8MiB', compression: { min_size: '0', server_context_takeover: true, client_context_takeover: true } } });
    const [one, session] = await pair(weir, back, deflates);
    assert.doesNotMatch(one.extensions, /no_context_takeover/);
    for (let round = 0; round < 3; round++) {
      await assertBothWays(one, session);
    }
    one.close(1000);
    await one.closed;
  });

  test('context takeover is smaller on the wire: random bytes, twice', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { websocket: { compression: { min_size: '0', server_context_takeover: true, client_context_takeover: true } } });
    const [c, b] = await pair(weir, backend, { raw: true, ...OFFER });
    const data = crypto.randomBytes(5000);
    const sizes = [];
    for (let i = 0; i < 2; i++) {
      b.send(frame({ opcode: BINARY, payload: data, ...un }));
      const one = await c.readFrame();
      assert.equal(one.rsv, 4);
      sizes.push(one.payload.length);
    }
    assert.ok(sizes[0] >= 5000 && sizes[1] < 200, `${sizes}`);
    c.destroy();
  });
});

suite('what stands on the wire', () => {
  test('nothing is offered to the backend unless the route says so', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, clientSide);
    const [c, b] = await pair(weir, backend, { raw: true, ...OFFER });
    assert.equal(b.request.headers['sec-websocket-extensions'], undefined);
    c.destroy();
  });

  test('what is offered to the backend keeps no state for each session', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, backendSide);
    const [c, b] = await pair(weir, backend, { raw: true, fields: ANSWER });
    const offer = b.request.headers['sec-websocket-extensions'];
    for (const part of [/^permessage-deflate/, /server_no_context_takeover/, /client_no_context_takeover/]) {
      assert.match(offer, part);
    }
    c.destroy();
  });

  test('messages from min_size on are compressed to the client, smaller ones are not', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, clientSide);
    const [c, b] = await pair(weir, backend, { raw: true, ...OFFER });
    for (const [size, rsv] of [[0, 0], [99, 0], [100, 4], [101, 4], [70000, 4]]) {
      b.send(Buffer.concat([frame({ fin: false, payload: 'x'.repeat(Math.min(size, 60)), ...un }), frame({ opcode: CONTINUATION, payload: 'x'.repeat(Math.max(size - 60, 0)), ...un })]));
      const one = await c.readFrame();
      assert.deepEqual([one.fin, one.opcode, one.rsv], [true, TEXT, rsv], `${size} bytes`);
      assert.equal((rsv ? inflate(one.payload) : one.payload).toString(), 'x'.repeat(size));
    }
    c.destroy();
  });

  test('messages from min_size on are compressed to the backend, smaller ones are not', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { websocket: { compression: { min_size: '100' } }, proxy: { compression: true } });
    const [c, b] = await pair(weir, backend, { raw: true, fields: ANSWER });
    for (const [size, rsv] of [[0, 0], [99, 0], [100, 4], [101, 4], [70000, 4]]) {
      c.send(Buffer.concat([frame({ fin: false, payload: 'x'.repeat(Math.min(size, 60)) }), frame({ opcode: CONTINUATION, payload: 'x'.repeat(Math.max(size - 60, 0)) })]));
      const one = await b.readFrame();
      assert.deepEqual([one.fin, one.opcode, one.rsv, one.masked], [true, TEXT, rsv, true], `${size} bytes`);
      assert.equal((rsv ? inflate(one.payload) : one.payload).toString(), 'x'.repeat(size));
    }
    c.destroy();
  });

  test('plain messages to a plain client still pass in pieces while the backend may deflate', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, backendSide);
    const [c, b] = await pair(weir, backend, { raw: true, fields: ANSWER });
    b.send(frame({ fin: false, payload: 'first', ...un }));
    const first = await c.readFrame();
    assert.deepEqual([first.fin, first.payload.toString()], [false, 'first']);
    b.send(frame({ opcode: CONTINUATION, payload: 'second', ...un }));
    assert.equal((await c.readFrame()).payload.toString(), 'second');
    b.send(frame({ rsv: 4, payload: deflate('and deflated'), ...un }));
    const third = await c.readFrame();
    assert.deepEqual([third.rsv, third.payload.toString()], [0, 'and deflated']);
    c.destroy();
  });

  test('deflated fragments with pings between them are put together, both ways', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, bothSides);
    const [c, b] = await pair(weir, backend, { raw: true, ...OFFER, fields: ANSWER });
    const text = 'é€𝄞 fragments '.repeat(500);
    const wire = deflate(text);
    for (const [from, to, mask] of [[c, b, Buffer.from([1, 2, 3, 4])], [b, c, null]]) {
      const third = Math.ceil(wire.length / 3);
      from.send(frame({ fin: false, rsv: 4, payload: wire.subarray(0, third), mask }));
      from.send(frame({ opcode: PING, payload: 'p', mask }));
      assert.equal((await from.readFrame()).opcode, PONG);
      from.send(frame({ fin: false, opcode: CONTINUATION, payload: wire.subarray(third, 2 * third), mask }));
      await from.sendSplit(frame({ opcode: CONTINUATION, payload: wire.subarray(2 * third), mask }));
      const one = await to.readFrame();
      assert.deepEqual([one.fin, one.opcode, one.rsv], [true, TEXT, 4]);
      assert.equal(inflate(one.payload).toString(), text);
    }
    c.destroy();
  });
});

suite('limits and mistakes', () => {
  const limits = { websocket: { max_message_size: '100KiB', compression: true }, proxy: { max_message_size: '100KiB', compression: true } };
  const readClose = async (c) => {
    const one = await c.readFrame();
    assert.equal(one.opcode, CLOSE);
    return closeOf(one);
  };

  test('a deflated message may be as large as max_message_size when inflated, and no larger, from either side', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, limits);
    const [c, b] = await pair(weir, backend, { raw: true, ...OFFER, fields: ANSWER });
    const fits = deflate('x'.repeat(100 * 1024));
    const bomb = deflate('x'.repeat(100 * 1024 + 1));
    c.send(frame({ rsv: 4, payload: fits }));
    assert.equal(inflate((await b.readFrame()).payload).length, 100 * 1024);
    b.send(frame({ rsv: 4, payload: fits, ...un }));
    assert.equal(inflate((await c.readFrame()).payload).length, 100 * 1024);
    b.send(frame({ rsv: 4, payload: bomb, ...un }));
    assert.equal((await readClose(b)).code, 1009);
    assert.deepEqual(await readClose(c), { code: 1014, reason: 'a message of the backend is too large' });
    c.destroy();
    const [d, e] = await pair(weir, backend, { raw: true, ...OFFER, fields: ANSWER });
    d.send(frame({ rsv: 4, payload: bomb }));
    assert.equal((await readClose(d)).code, 1009);
    assert.equal((await readClose(e)).code, 1001);
    d.destroy();
  });

  for (const [name, payload] of [['what is no deflate data', Buffer.from([0xff, 0xff, 0xff])], ['text that inflates to what is no UTF-8', deflate(Buffer.from([0xff]))]]) {
    test(`${name}: 1007 to who sent it`, async (t) => {
      const backend = await rawBackend(t);
      const weir = await startForward(t, backend, limits);
      const [c, b] = await pair(weir, backend, { raw: true, ...OFFER, fields: ANSWER });
      b.send(frame({ rsv: 4, payload, ...un }));
      assert.equal((await readClose(b)).code, 1007);
      assert.equal((await readClose(c)).code, 1014);
      c.destroy();
      const [d, e] = await pair(weir, backend, { raw: true, ...OFFER, fields: ANSWER });
      d.send(frame({ rsv: 4, payload }));
      assert.equal((await readClose(d)).code, 1007);
      assert.equal((await readClose(e)).code, 1001);
      d.destroy();
    });
  }

  test('a deflated frame where it was not agreed is 1002', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, limits);
    const [c, b] = await pair(weir, backend, { raw: true });
    b.send(frame({ rsv: 4, payload: deflate('x'), ...un }));
    assert.equal((await readClose(b)).code, 1002);
    assert.equal((await readClose(c)).code, 1014);
    c.destroy();
  });

  test('a backend that agrees to what was not offered is a bad gateway', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, backendSide);
    for (const answer of ['permessage-deflate; server_max_window_bits=7', 'x-other', 'permessage-deflate, permessage-deflate', 'permessage-deflate; foo']) {
      const answered = refused(weir.ws());
      const b = await backend.next();
      b.send(upgradeAnswer(await readHead(b), [`Sec-WebSocket-Extensions: ${answer}`]));
      assert.equal((await answered).status, 502, answer);
    }
  });
});

test('plugins see inflated messages, and both sides get theirs deflated', async (t) => {
  const backend = await rawBackend(t);
  const files = { 'seer.lua': 'return { on_message = function(_, data) return data .. ("in"):rep(100) end, on_send = function(_, data) return data .. ("out"):rep(100) end }' };
  const weir = await startForward(t, backend, { ...bothSides, plugins: '[seer]', files });
  const [c, b] = await pair(weir, backend, { raw: true, ...OFFER, fields: ANSWER });
  c.send(frame({ rsv: 4, payload: deflate('hello ') }));
  const inwards = await b.readFrame();
  assert.deepEqual([inwards.rsv, inflate(inwards.payload).toString()], [4, `hello ${'in'.repeat(100)}`]);
  b.send(frame({ rsv: 4, payload: deflate('world '), ...un }));
  const outwards = await c.readFrame();
  assert.deepEqual([outwards.rsv, inflate(outwards.payload).toString()], [4, `world ${'out'.repeat(100)}`]);
  c.destroy();
});
