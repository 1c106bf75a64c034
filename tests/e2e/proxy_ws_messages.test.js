// What passes a proxied session: messages of every size and shape, both ways, piece by piece; and whole ones where a
// plugin wants them.
'use strict';

const assert = require('node:assert/strict');
const { test, suite } = require('node:test');
const { startForward, wsBackend, rawBackend, nextUpgraded, pair } = require('./lib/forward');
const { rawConnect, upgradeHead } = require('./lib/raw');
const { frame, closeFrame, closeOf, CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG } = require('./lib/frames');

const KIB = 1024;
const MIB = 1024 * KIB;
const large = { websocket: { max_message_size: '16MiB' } };

// Text of exactly `size` bytes with characters of one to four bytes.
function textOf(size) {
  const unit = 'aé€𝄞'; // ten bytes
  return unit.repeat(Math.floor(size / 10)) + 'x'.repeat(size % 10);
}

// Bytes that differ from their neighbours at any power of two.
function bytesOf(size) {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) {
    bytes[at] = (at ^ (at >> 8) ^ (at >> 16)) & 255;
  }
  return bytes;
}

function assertMessage(message, data) {
  assert.equal(message.binary, Buffer.isBuffer(data));
  const expected = Buffer.from(data);
  assert.equal(message.data.length, expected.length);
  assert.ok(message.data.equals(expected), 'the bytes are others');
}

// Reads frames until a message is complete: { opcode, payload, frames }. Control frames are not expected.
async function readMessage(c) {
  const parts = [];
  for (;;) {
    const one = await c.readFrame(20000);
    assert.equal(one.opcode, parts.length === 0 ? one.opcode & 3 : CONTINUATION);
    parts.push(one);
    if (one.fin) {
      return { opcode: parts[0].opcode, payload: Buffer.concat(parts.map((part) => part.payload)), frames: parts.length };
    }
  }
}

suite('messages of every size', () => {
  for (const size of [0, 1, 125, 126, 65535, 65536, MIB, 5 * MIB + 3]) {
    test(`${size} bytes, as text and as binary, there and back`, async (t) => {
      const backend = await wsBackend(t);
      const weir = await startForward(t, backend, large);
      const [client, session] = await pair(weir, backend);
      for (const data of [textOf(size), bytesOf(size)]) {
        await client.send(data);
        assertMessage(await session.next(20000), data);
        await session.send(data);
        assertMessage(await client.next(20000), data);
      }
      client.close(1000);
      assert.equal((await session.closed).code, 1000);
    });
  }

  test('many small ones in one write arrive in order, both ways', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend);
    const [client, session] = await pair(weir, backend);
    const c = await pair(weir, backend, { raw: true });
    for (const [from, to] of [[client, session], [session, client]]) {
      for (let i = 0; i < 5000; i++) {
        from.send(`message ${i}`);
      }
      for (let i = 0; i < 5000; i++) {
        assert.equal((await to.next()).text, `message ${i}`);
      }
    }
    c[0].send(Buffer.concat(Array.from({ length: 3000 }, (_, i) => frame({ payload: `${i}` }))));
    for (let i = 0; i < 3000; i++) {
      assert.equal((await c[1].next()).text, `${i}`);
    }
    c[0].destroy();
  });

  test('frames that come byte by byte arrive whole', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const [c, b] = await pair(weir, backend, { raw: true });
    const text = textOf(300);
    await c.sendSplit(frame({ payload: text }));
    assert.equal((await readMessage(b)).payload.toString(), text);
    await b.sendSplit(frame({ payload: text, mask: null }));
    assert.equal((await readMessage(c)).payload.toString(), text);
    c.destroy();
  });
});

suite('fragments', () => {
  const SIZE = 4 * MIB;
  const PART = 64;

  // The message in fragments of 64 bytes, with a ping behind every 1000th.
  function* fragments(data, mask) {
    for (let at = 0, i = 0; at < data.length; at += PART, i++) {
      const last = at + PART >= data.length;
      yield frame({ fin: last, opcode: at === 0 ? BINARY : CONTINUATION, payload: data.subarray(at, at + PART), mask });
      if (i % 1000 === 999 && !last) {
        yield frame({ opcode: PING, payload: `ping ${i}`, mask });
      }
    }
  }

  test('4 MiB in fragments of 64 bytes with pings between them reach the backend', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend, large);
    const [c, session] = await pair(weir, backend, { raw: true });
    const data = bytesOf(SIZE);
    c.send(Buffer.concat([...fragments(data, Buffer.from([9, 8, 7, 6]))]));
    for (let i = 999; i < SIZE / PART - 1; i += 1000) {
      const pong = await c.readFrame(20000);
      assert.deepEqual([pong.opcode, pong.payload.toString()], [PONG, `ping ${i}`]);
    }
    assertMessage(await session.next(20000), data);
    assert.equal(session.pings, 0, 'a ping of the client is not the backend’s');
    c.destroy();
  });

  test('4 MiB in fragments of 64 bytes with pings between them reach the client', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const [client, b] = await pair(weir, backend);
    const data = bytesOf(SIZE);
    b.send(Buffer.concat([...fragments(data, null)]));
    for (let i = 999; i < SIZE / PART - 1; i += 1000) {
      const pong = await b.readFrame(20000);
      assert.deepEqual([pong.opcode, pong.masked, pong.payload.toString()], [PONG, true, `ping ${i}`]);
    }
    assertMessage(await client.next(20000), data);
    assert.equal(client.pings, 0, 'a ping of the backend is not the client’s');
    client.terminate();
  });

  test('fragments of ws, text and binary, pass both ways', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend);
    const [client, session] = await pair(weir, backend);
    for (const [from, to] of [[client, session], [session, client]]) {
      for (const binary of [false, true]) {
        for (const part of ['one ', '', 'two ', 'three']) {
          await from.send(Buffer.from(part), { binary, fin: part === 'three' });
        }
        const message = await to.next();
        assert.deepEqual([message.data.toString(), message.binary], ['one two three', binary]);
      }
    }
    client.close(1000);
    await client.closed;
  });

  test('characters that are split over fragments and over writes stay whole, both ways', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const [c, b] = await pair(weir, backend, { raw: true });
    const text = Buffer.from('€𝄞é');
    for (const [from, to, mask] of [[c, b, Buffer.from([5, 6, 7, 8])], [b, c, null]]) {
      for (let cut = 0; cut <= text.length; cut++) {
        await from.sendSplit(frame({ fin: false, payload: text.subarray(0, cut), mask }));
        await from.sendSplit(frame({ opcode: CONTINUATION, payload: text.subarray(cut), mask }));
        const message = await readMessage(to);
        assert.deepEqual([message.opcode, message.payload.toString()], [TEXT, '€𝄞é']);
      }
    }
    c.destroy();
  });
});

suite('piece by piece', () => {
  const PIECE = 1000;

  // The first piece of a frame must be at the other side before the second is sent.
  async function assertPieces(from, to, mask, opcode) {
    const data = opcode === TEXT ? Buffer.from(textOf(10 * PIECE)) : bytesOf(10 * PIECE);
    const whole = frame({ opcode, payload: data, mask });
    const head = whole.length - data.length;
    const seen = [];
    for (let at = 0; at < data.length; at += PIECE) {
      from.send(whole.subarray(at === 0 ? 0 : head + at, head + at + PIECE));
      let got = 0;
      while (got < PIECE) {
        const one = await to.readFrame();
        assert.equal(one.opcode, seen.length === 0 ? opcode : CONTINUATION);
        seen.push(one);
        got += one.payload.length;
      }
    }
    assert.deepEqual(seen.map((one) => one.fin), seen.map((_, i) => i === seen.length - 1));
    assert.ok(Buffer.concat(seen.map((one) => one.payload)).equals(data));
  }

  for (const [name, options] of Object.entries({
    'with nothing in the chain': {},
    'with plugins that look at no message': { plugins: '[gate]', files: { 'gate.lua': 'return { on_request = function(req) end, on_close = function(conn) end }' } },
  })) {
    test(`each piece of a frame passes before the next one is sent, both ways, ${name}`, (t) => eachPiece(t, options));
  }

  async function eachPiece(t, options) {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, options);
    const [c, b] = await pair(weir, backend, { raw: true });
    for (const opcode of [BINARY, TEXT]) {
      await assertPieces(c, b, Buffer.from([1, 2, 3, 4]), opcode);
      await assertPieces(b, c, null, opcode);
    }
    c.destroy();
  }

  test('control frames between the fragments of one side do not disturb the message', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const [c, b] = await pair(weir, backend, { raw: true });
    for (const [from, to, mask] of [[c, b, Buffer.from([1, 2, 3, 4])], [b, c, null]]) {
      from.send(frame({ fin: false, payload: 'one', mask }));
      const first = await to.readFrame();
      assert.deepEqual([first.fin, first.opcode, first.payload.toString()], [false, TEXT, 'one']);
      from.send(frame({ opcode: PING, payload: 'here?', mask }));
      const pong = await from.readFrame();
      assert.deepEqual([pong.opcode, pong.payload.toString()], [PONG, 'here?']);
      from.send(frame({ opcode: PONG, payload: 'unasked', mask }));
      from.send(frame({ opcode: CONTINUATION, payload: 'two', mask }));
      const second = await to.readFrame();
      assert.deepEqual([second.fin, second.opcode, second.payload.toString()], [true, CONTINUATION, 'two']);
    }
    c.destroy();
  });

  test('what the backend sends right behind its 101, and the client before it, is not lost', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const c = await rawConnect(weir.port);
    c.send(Buffer.concat([Buffer.from(upgradeHead()), frame({ payload: 'early client' })]));
    const behind = Buffer.concat([frame({ payload: 'early backend', mask: null }), frame({ fin: false, payload: 'half', mask: null }).subarray(0, 4)]);
    const b = await nextUpgraded(backend, [], behind);
    assert.equal((await c.readResponse()).status, 101);
    assert.equal((await c.readFrame()).payload.toString(), 'early backend');
    assert.equal((await b.readFrame()).payload.toString(), 'early client');
    b.send(Buffer.from('lf'));
    let half = '';
    while (half.length < 4) {
      half += (await c.readFrame()).payload.toString();
    }
    assert.equal(half, 'half');
    c.destroy();
  });
});

suite('text that is not UTF-8', () => {
  const BAD = {
    'a stray byte': [Buffer.from([0x61, 0xff])],
    'a surrogate': [Buffer.from([0xed, 0xa0, 0x80])],
    'an overlong slash': [Buffer.from([0xc0, 0xaf])],
    'a character cut off by the end': [Buffer.from([0x61, 0xe2, 0x82])],
    'one cut off by the last fragment': [Buffer.from([0xe2]), Buffer.from([0x82])],
    'one that goes on wrong in the next fragment': [Buffer.from([0xe2, 0x82]), Buffer.from([0x41])],
  };
  const framesOf = (parts, mask) => parts.map((payload, i) => frame({ fin: i === parts.length - 1, opcode: i === 0 ? TEXT : CONTINUATION, payload, mask }));

  for (const [name, parts] of Object.entries(BAD)) {
    test(`${name} from the client: 1007 to it, 1001 to the backend`, async (t) => {
      const backend = await wsBackend(t);
      const weir = await startForward(t, backend);
      const [c, session] = await pair(weir, backend, { raw: true });
      c.send(Buffer.concat(framesOf(parts, Buffer.from([1, 2, 3, 4]))));
      const last = await c.readFrame();
      assert.deepEqual([last.opcode, closeOf(last).code], [CLOSE, 1007]);
      assert.equal((await session.closed).code, 1001);
      assert.equal(session.messages.length, 0);
      c.destroy();
    });

    test(`${name} from the backend: lost_code to the client, 1007 to it`, async (t) => {
      const backend = await rawBackend(t);
      const weir = await startForward(t, backend);
      const [client, b] = await pair(weir, backend);
      b.send(Buffer.concat(framesOf(parts, null)));
      const last = await b.readFrame();
      assert.deepEqual([last.opcode, closeOf(last).code], [CLOSE, 1007]);
      assert.equal((await client.closed).code, 1014);
      assert.equal(client.messages.length, 0);
    });
  }
});

suite('limits of messages', () => {
  const LIMIT = 100 * KIB;
  const inPieces = (data, mask) => [
    frame({ fin: false, opcode: BINARY, payload: data.subarray(0, 60 * KIB), mask }),
    frame({ opcode: CONTINUATION, payload: data.subarray(60 * KIB), mask }),
  ];
  const whole = (data, mask) => [frame({ opcode: BINARY, payload: data, mask })];

  for (const [name, framing] of Object.entries({ 'in one frame': whole, 'in fragments': inPieces })) {
    test(`the client's: max_message_size of websocket passes, one byte more is 1009, ${name}`, async (t) => {
      const backend = await wsBackend(t);
      const weir = await startForward(t, backend, { websocket: { max_message_size: '100KiB' }, proxy: { max_message_size: '1KiB' } });
      const [c, session] = await pair(weir, backend, { raw: true });
      const mask = Buffer.from([1, 2, 3, 4]);
      c.send(Buffer.concat(framing(bytesOf(LIMIT), mask)));
      assertMessage(await session.next(), bytesOf(LIMIT));
      c.send(Buffer.concat(framing(bytesOf(LIMIT + 1), mask)));
      assert.equal(closeOf(await c.readFrame()).code, 1009);
      assert.equal((await session.closed).code, 1001);
      assert.equal(session.messages.length, 0);
      c.destroy();
    });

    test(`the backend's: max_message_size of the proxy passes, one byte more is lost_code, ${name}`, async (t) => {
      const backend = await rawBackend(t);
      const weir = await startForward(t, backend, { websocket: { max_message_size: '1KiB' }, proxy: { max_message_size: '100KiB' } });
      const [client, b] = await pair(weir, backend);
      b.send(Buffer.concat(framing(bytesOf(LIMIT), null)));
      assertMessage(await client.next(), bytesOf(LIMIT));
      b.send(Buffer.concat(framing(bytesOf(LIMIT + 1), null)));
      assert.equal(closeOf(await b.readFrame()).code, 1009);
      assert.deepEqual(await client.closed, { code: 1014, reason: 'a message of the backend is too large' });
      assert.equal(client.messages.length, 0);
    });
  }
});

suite('plugins in the chain', () => {
  const PLUGIN = `
    return {
      on_message = function(conn, data, kind)
        if data == "drop" then return false end
        if data == "wait" then weir.sleep(0.05) end
        return "in:" .. #data .. ":" .. data, kind
      end,
      on_send = function(conn, data, kind)
        if data == "drop" then return nil end
        return "out:" .. #data .. ":" .. data, kind
      end,
    }`;
  const withPlugin = { plugins: '[seer]', files: { 'seer.lua': PLUGIN } };

  test('whole messages are seen and changed, inwards, however they come', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend, withPlugin);
    const [c, session] = await pair(weir, backend, { raw: true });
    await c.sendSplit(frame({ fin: false, payload: 'one ' }));
    await c.sendSplit(Buffer.concat([frame({ opcode: CONTINUATION, payload: 'two' }), frame({ payload: 'drop' }), frame({ opcode: BINARY, payload: 'three' })]));
    assert.equal((await session.next()).text, 'in:7:one two');
    const { data, binary } = await session.next();
    assert.deepEqual([data.toString(), binary], ['in:5:three', true]);
    c.destroy();
  });

  test('whole messages are seen and changed, outwards, however they come', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, withPlugin);
    const [client, b] = await pair(weir, backend);
    const un = { mask: null };
    await b.sendSplit(frame({ fin: false, payload: 'one ', ...un }));
    await b.sendSplit(Buffer.concat([frame({ opcode: CONTINUATION, payload: 'two', ...un }), frame({ payload: 'drop', ...un }), frame({ opcode: BINARY, payload: 'three', ...un })]));
    assert.equal((await client.next()).text, 'out:7:one two');
    const { data, binary } = await client.next();
    assert.deepEqual([data.toString(), binary], ['out:5:three', true]);
    client.terminate();
  });

  test('messages keep their order while a plugin waits', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend, withPlugin);
    const [client, session] = await pair(weir, backend);
    const sent = ['a', 'wait', 'b', 'wait', 'drop', 'c', 'd'];
    sent.forEach((text) => client.send(text));
    for (const text of sent.filter((one) => one !== 'drop')) {
      assert.equal((await session.next()).text, `in:${text.length}:${text}`);
    }
    client.close(1000, 'bye');
    assert.deepEqual(await session.closed, { code: 1000, reason: 'bye' });
  });

  test('a close right behind a message that waits comes after it', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend, withPlugin);
    const [c, session] = await pair(weir, backend, { raw: true });
    c.send(Buffer.concat([frame({ payload: 'wait' }), frame({ payload: 'last' }), closeFrame(1000, 'bye')]));
    assert.equal((await session.next()).text, 'in:4:wait');
    assert.equal((await session.next()).text, 'in:4:last');
    assert.deepEqual(await session.closed, { code: 1000, reason: 'bye' });
    c.destroy();
  });

  test('large messages pass a plugin both ways', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend, { ...withPlugin, websocket: { max_message_size: '8MiB', max_queue_size: '1MiB' } });
    const [client, session] = await pair(weir, backend);
    const data = bytesOf(3 * MIB);
    client.send(data);
    assert.ok((await session.next(20000)).data.equals(Buffer.concat([Buffer.from(`in:${data.length}:`), data])));
    for (let i = 0; i < 3; i++) {
      session.send(data);
    }
    for (let i = 0; i < 3; i++) {
      assert.ok((await client.next(20000)).data.equals(Buffer.concat([Buffer.from(`out:${data.length}:`), data])));
    }
    client.close(1000);
    await client.closed;
  });

  test('a plugin with on_message alone leaves the other direction in pieces', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { plugins: '[inward]', files: { 'inward.lua': 'return { on_message = function(conn, data) return data .. "!" end }' } });
    const [c, b] = await pair(weir, backend, { raw: true });
    b.send(frame({ fin: false, payload: 'first', mask: null }));
    assert.equal((await c.readFrame()).payload.toString(), 'first');
    b.send(frame({ opcode: CONTINUATION, payload: ' second', mask: null }));
    assert.equal((await c.readFrame()).payload.toString(), ' second');
    c.send(frame({ fin: false, payload: 'a' }));
    c.send(frame({ opcode: CONTINUATION, payload: 'b' }));
    const whole = await b.readFrame();
    assert.deepEqual([whole.fin, whole.payload.toString()], [true, 'ab!']);
    c.destroy();
  });

  test('a plugin that answers for itself between two pieces of the backend does not break the message', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { plugins: '[replier]', files: { 'replier.lua': 'return { on_message = function(conn, data) local ok, why = conn:send("own " .. data) return ok and "sent" or why end }' } });
    const [c, b] = await pair(weir, backend, { raw: true });
    c.send(frame({ payload: 'before' }));
    assert.equal((await b.readFrame()).payload.toString(), 'sent');
    assert.equal((await c.readFrame()).payload.toString(), 'own before');
    b.send(frame({ fin: false, payload: 'first', mask: null }));
    assert.equal((await c.readFrame()).payload.toString(), 'first');
    c.send(frame({ payload: 'within' }));
    assert.equal((await b.readFrame()).payload.toString(), 'full');
    b.send(frame({ opcode: CONTINUATION, payload: ' second', mask: null }));
    assert.equal((await c.readFrame()).payload.toString(), ' second');
    c.send(frame({ payload: 'after' }));
    assert.equal((await b.readFrame()).payload.toString(), 'sent');
    assert.equal((await c.readFrame()).payload.toString(), 'own after');
    c.destroy();
  });
});
