// permessage-deflate by RFC 7692, against the running gateway: the offers and answers of section 7.1 with bytes
// of our own, and messages of section 7.2 both with zlib by hand and with npm's `ws` as an independent peer.
'use strict';

const { test, describe: suite } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const zlib = require('node:zlib');
const { connect } = require('./lib/client');
const { rawUpgrade } = require('./lib/raw');
const { frame, closeFrame, CONTINUATION, TEXT, BINARY, PING, PONG } = require('./lib/frames');
const { startEcho, converse, describe: words, framesOf, assertFailed } = require('./lib/echo');

const MIB = 1024 * 1024;
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

// A message as section 7.2.1 compresses it: deflated, flushed, without the tail.
function deflate(data, options = {}) {
  const whole = zlib.deflateRawSync(Buffer.from(data), { finishFlush: zlib.constants.Z_SYNC_FLUSH, ...options });
  assert.ok(whole.subarray(-4).equals(TAIL));
  return whole.subarray(0, -4);
}

function inflate(payload, options = {}) {
  return zlib.inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: zlib.constants.Z_SYNC_FLUSH, ...options });
}

const compressed = (data, more) => frame({ opcode: TEXT, rsv: 4, payload: deflate(data), ...more });
const DEFLATE = { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } };
const all = { compression: { min_size: '0' } };
const takeover = { compression: { min_size: '0', server_context_takeover: true, client_context_takeover: true } };

const extensionsOf = async (weir, offer, extra = {}) => {
  const c = await rawUpgrade(weir.port, { headers: { 'Sec-WebSocket-Extensions': offer, ...extra } });
  c.destroy();
  return c.response.headers['sec-websocket-extensions'];
};

// The parameters of an answer as a sorted list, and its name.
const parts = (answer) => answer && answer.split(';').map((part) => part.trim()).sort();

suite('the offer (section 7.1)', () => {
  const base = 'permessage-deflate';
  const noTakeover = ['client_no_context_takeover', base, 'server_no_context_takeover'];

  test('is answered with what is configured', async (t) => {
    const weir = await startEcho(t, all);
    assert.deepEqual(parts(await extensionsOf(weir, base)), noTakeover);
    const withTakeover = await startEcho(t, takeover);
    assert.deepEqual(parts(await extensionsOf(withTakeover, base)), [base]);
    assert.deepEqual(parts(await extensionsOf(withTakeover, `${base}; server_no_context_takeover`)), [base, 'server_no_context_takeover']);
    assert.deepEqual(parts(await extensionsOf(withTakeover, `${base}; client_no_context_takeover`)), ['client_no_context_takeover', base]);
  });

  test('is ignored where compression is off, as other extensions are', async (t) => {
    const off = await startEcho(t, 'on');
    assert.equal(await extensionsOf(off, base), undefined);
    const on = await startEcho(t, { compression: true });
    for (const offer of ['x-webkit-deflate-frame', 'permessage-bzip2', 'permessage-deflate2', 'Xpermessage-deflate', '']) {
      assert.equal(await extensionsOf(on, offer), undefined, offer);
    }
    assert.deepEqual(parts(await extensionsOf(on, `foo; a=1, ${base}`)), noTakeover);
  });

  test('limits our window, in 8 (declined: zlib has no such) to 15', async (t) => {
    const weir = await startEcho(t, takeover);
    assert.equal(await extensionsOf(weir, `${base}; server_max_window_bits=8`), undefined);
    for (let bits = 9; bits <= 15; bits++) {
      assert.deepEqual(parts(await extensionsOf(weir, `${base}; server_max_window_bits=${bits}`)), [base, `server_max_window_bits=${bits}`]);
      assert.deepEqual(parts(await extensionsOf(weir, `${base}; server_max_window_bits="${bits}"`)), [base, `server_max_window_bits=${bits}`]);
    }
  });

  test('is limited by the configured windows, the client only where it says it can be', async (t) => {
    const weir = await startEcho(t, { compression: { server_max_window_bits: 11, client_max_window_bits: 10, server_context_takeover: true, client_context_takeover: true } });
    assert.deepEqual(parts(await extensionsOf(weir, base)), [base, 'server_max_window_bits=11']);
    assert.deepEqual(parts(await extensionsOf(weir, `${base}; client_max_window_bits`)), ['client_max_window_bits=10', base, 'server_max_window_bits=11']);
    assert.deepEqual(parts(await extensionsOf(weir, `${base}; client_max_window_bits=9; server_max_window_bits=10`)), ['client_max_window_bits=9', base, 'server_max_window_bits=10']);
    assert.deepEqual(parts(await extensionsOf(weir, `${base}; client_max_window_bits=15; server_max_window_bits=15`)), ['client_max_window_bits=10', base, 'server_max_window_bits=11']);
  });

  test('with a parameter that is unknown, repeated or malformed is declined', async (t) => {
    const weir = await startEcho(t, all);
    const wrong = [
      'foo', 'foo=1', 'server_no_context_takeover=1', 'server_no_context_takeover=', 'client_no_context_takeover="x"',
      'server_no_context_takeover; server_no_context_takeover', 'client_max_window_bits; client_max_window_bits=10',
      'server_max_window_bits', 'server_max_window_bits=', 'server_max_window_bits=7', 'server_max_window_bits=16', 'server_max_window_bits=010',
      'server_max_window_bits=+10', 'server_max_window_bits=1e1', 'server_max_window_bits=""', 'server_max_window_bits=10; server_max_window_bits=10',
      'client_max_window_bits=7', 'client_max_window_bits=16', 'client_max_window_bits=0', 'client_max_window_bits=-9', 'client_max_window_bits=',
      'client_max_window_bits=4294967305', '',
    ];
    for (const parameter of wrong) {
      assert.equal(await extensionsOf(weir, `${base}; ${parameter}`), undefined, parameter);
    }
  });

  test('of several the first acceptable one is taken, over several fields too', async (t) => {
    const weir = await startEcho(t, takeover);
    const several = `${base}; server_max_window_bits=8, ${base}; foo, ${base}; server_max_window_bits=12, ${base}`;
    assert.deepEqual(parts(await extensionsOf(weir, several)), [base, 'server_max_window_bits=12']);
    assert.deepEqual(parts(await extensionsOf(weir, `${base}; foo`, { 'sec-websocket-extensions': `${base}; server_max_window_bits=13` })), [base, 'server_max_window_bits=13']);
    assert.deepEqual(parts(await extensionsOf(weir, ` ,, ${base};server_max_window_bits = 9,`)), [base, 'server_max_window_bits=9']);
  });
});

suite('messages (section 7.2)', () => {
  test('are inflated, and answered compressed from min_size on', async (t) => {
    const weir = await startEcho(t, { compression: { min_size: '100' } });
    const c = await rawUpgrade(weir.port, DEFLATE);
    for (const [size, rsv] of [[0, 0], [1, 0], [99, 0], [100, 4], [5000, 4]]) {
      const payload = 'x'.repeat(size);
      for (const one of [compressed(payload), frame({ payload })]) {
        c.send(one);
        const answer = await c.readFrame();
        assert.equal(answer.rsv, rsv, `${size} bytes`);
        assert.equal((rsv ? inflate(answer.payload) : answer.payload).toString(), payload);
      }
    }
    c.destroy();
  });

  test('of no bytes are compressed too when min_size is 0', async (t) => {
    const weir = await startEcho(t, all);
    const c = await rawUpgrade(weir.port, DEFLATE);
    for (const one of [compressed(''), frame({ rsv: 4, payload: '\0' }), frame({ payload: '' })]) {
      c.send(one);
      const answer = await c.readFrame();
      assert.equal(answer.rsv, 4);
      assert.ok(answer.payload.length > 0, 'section 7.2.3.6');
      assert.equal(inflate(answer.payload).length, 0);
    }
    c.destroy();
  });

  test('of section 7.2.3 are understood', async (t) => {
    const weir = await startEcho(t, { compression: { client_context_takeover: true } });
    const hex = (bytes) => frame({ rsv: 4, payload: Buffer.from(bytes, 'hex') });
    const hello = {
      'one block (7.2.3.1)': 'f248cdc9c90700',
      'no compression (7.2.3.3)': '000500faff48656c6c6f00',
      'a final block (7.2.3.4)': 'f348cdc9c9070000',
      'two blocks (7.2.3.5)': 'f248050000 00ffffcac9c90700'.replace(' ', ''),
    };
    for (const [name, bytes] of Object.entries(hello)) {
      assert.deepEqual(await converse(weir, [hex(bytes), closeFrame(1000)], DEFLATE), ['text Hello', 'close 1000'], name);
      // Its end must leave the next message in order.
      assert.deepEqual(await converse(weir, [hex(bytes), hex(hello['one block (7.2.3.1)']), closeFrame(1000)], DEFLATE), ['text Hello', 'text Hello', 'close 1000'], `${name}, then another`);
    }
    const c = await rawUpgrade(weir.port, DEFLATE);
    c.send(hex('f248cdc9c90700'));
    c.send(hex('f200110000')); // section 7.2.3.2: refers to the message before
    assert.deepEqual([words(await c.readFrame()), words(await c.readFrame())], ['text Hello', 'text Hello']);
    c.destroy();
  });

  test('may be fragmented anywhere, with pings between, and only the first fragment has RSV1', async (t) => {
    const weir = await startEcho(t, { compression: { min_size: '1MiB' } });
    const payload = 'compressed and fragmented, '.repeat(20);
    const wire = deflate(payload);
    for (let cut = 0; cut <= wire.length; cut++) {
      const frames = [
        frame({ rsv: 4, fin: false, payload: wire.subarray(0, cut) }),
        frame({ opcode: PING, payload: 'p' }),
        frame({ opcode: CONTINUATION, fin: false, payload: '' }),
        frame({ opcode: CONTINUATION, payload: wire.subarray(cut) }),
        frame({ payload: 'plain' }),
        closeFrame(1000),
      ];
      const told = await converse(weir, frames, DEFLATE);
      assert.deepEqual([told[0], told[2], told[3]], ['pong 70', 'text plain', 'close 1000'], `cut at ${cut}`);
      assert.match(told[1], /^text compressed and fragmented, .*\(540\)$/);
    }
    assert.deepEqual(
      await converse(weir, [compressed('byte by byte'), frame({ rsv: 4, fin: false, payload: deflate('and fragmented') }), frame({ opcode: CONTINUATION, payload: '' }), closeFrame(1000)], { delivery: 'byte by byte', ...DEFLATE }),
      ['text byte by byte', 'text and fragmented', 'close 1000'],
    );
  });

  test('RSV1 is refused where it means nothing', async (t) => {
    const weir = await startEcho(t, all);
    assert.deepEqual(await converse(weir, [compressed('x')]), ['close 1002'], 'not negotiated');
    for (const rsv of [1, 2, 3, 5, 6, 7]) {
      assert.deepEqual(await converse(weir, [compressed('x', { rsv })], DEFLATE), ['close 1002'], `RSV ${rsv}`);
    }
    const wire = deflate('abc');
    const start = (rsv) => frame({ rsv, fin: false, payload: wire.subarray(0, 2) });
    const end = frame({ opcode: CONTINUATION, rsv: 4, payload: wire.subarray(2) });
    assert.deepEqual(await converse(weir, [start(4), end], DEFLATE), ['close 1002'], 'on a continuation');
    assert.deepEqual(await converse(weir, [start(0), end], DEFLATE), ['close 1002'], 'on a continuation of a plain message');
    for (const opcode of [8, 9, 10]) {
      assert.deepEqual(await converse(weir, [frame({ opcode, rsv: 4 })], DEFLATE), ['close 1002'], `opcode ${opcode}`);
    }
  });

  test('that do not inflate fail, and only their own session', async (t) => {
    const weir = await startEcho(t, all);
    const bystander = await rawUpgrade(weir.port, DEFLATE);
    const bad = { 'a reserved block type': '06', 'a stored length that does not fit': '000500ffff48656c6c6f00', 'a distance too far back': 'f200110000', 'a cut block': 'f248cd', garbage: 'ffffffffffff' };
    for (const [name, bytes] of Object.entries(bad)) {
      assert.deepEqual(await converse(weir, [frame({ rsv: 4, payload: Buffer.from(bytes, 'hex') }), frame({ opcode: PING })], DEFLATE), ['close 1007'], name);
      bystander.send(compressed(name));
      assert.equal(inflate((await bystander.readFrame()).payload).toString(), name, 'the shared inflater is in order again');
    }
    bystander.destroy();
  });

  test('that inflate to bad text fail', async (t) => {
    const weir = await startEcho(t, all);
    for (const hex of ['ff', '61c3', 'eda080', `${'61'.repeat(5000)}c0`]) {
      const payload = deflate(Buffer.from(hex, 'hex'));
      assert.deepEqual(await converse(weir, [frame({ rsv: 4, payload })], DEFLATE), ['close 1007']);
      const told = await converse(weir, [frame({ opcode: BINARY, rsv: 4, payload }), closeFrame(1000)], DEFLATE);
      assert.match(told[0], /^binary compressed /);
    }
  });
});

suite('context takeover', () => {
  const secret = crypto.randomBytes(300);

  test('ours is used where agreed: a repeated message is small', async (t) => {
    const weir = await startEcho(t, takeover);
    const c = await rawUpgrade(weir.port, DEFLATE);
    const window = zlib.createInflateRaw();
    const sizes = [];
    for (let i = 0; i < 5; i++) {
      c.send(frame({ opcode: BINARY, payload: secret }));
      const { payload } = await c.readFrame();
      sizes.push(payload.length);
      const got = await new Promise((resolve) => {
        window.once('data', resolve);
        window.write(Buffer.concat([payload, TAIL]));
      });
      assert.ok(got.equals(secret));
    }
    assert.ok(sizes[0] > 300 && sizes.slice(1).every((size) => size < 20), `sizes ${sizes}`);
    c.destroy();
  });

  test('ours is not used where it was not agreed: each message stands alone', async (t) => {
    const weir = await startEcho(t, takeover);
    const c = await rawUpgrade(weir.port, { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_no_context_takeover' } });
    for (let i = 0; i < 5; i++) {
      c.send(frame({ opcode: BINARY, payload: secret }));
      assert.ok(inflate((await c.readFrame()).payload).equals(secret));
    }
    c.destroy();
  });

  test("the client's must not be used where it was not agreed", async (t) => {
    const weir = await startEcho(t, all);
    const c = await rawUpgrade(weir.port, DEFLATE);
    c.send(frame({ rsv: 4, payload: Buffer.from('f248cdc9c90700', 'hex') }));
    assert.equal(inflate((await c.readFrame()).payload).toString(), 'Hello');
    c.send(frame({ rsv: 4, payload: Buffer.from('f200110000', 'hex') }));
    await assertFailed(c, 1007);
  });

  test('is of each session its own, and outlives messages sent plain', async (t) => {
    const weir = await startEcho(t, { compression: { ...takeover.compression, min_size: '200' } });
    const clients = await Promise.all(Array.from({ length: 5 }, () => connect(weir.ws(), { perMessageDeflate: { threshold: 0 } })));
    for (let round = 0; round < 10; round++) {
      for (const [i, client] of clients.entries()) {
        const message = `client ${i} `.repeat(round % 2 ? 2 : 50) + round;
        await client.send(message);
        assert.equal((await client.next()).text, message);
      }
    }
    assert.deepEqual(await Promise.all(clients.map((client) => client.close(1000))), clients.map(() => ({ code: 1000, reason: '' })));
  });
});

suite('windows', () => {
  // A repeat whose distance the window cannot reach must not be referred to.
  test('what we send keeps to the agreed size', async (t) => {
    const weir = await startEcho(t, takeover);
    for (let bits = 9; bits <= 15; bits++) {
      const c = await rawUpgrade(weir.port, { headers: { 'Sec-WebSocket-Extensions': `permessage-deflate; server_no_context_takeover; server_max_window_bits=${bits}` } });
      for (const size of [100, 600, 5000, 40000]) {
        const random = crypto.randomBytes(size);
        const payload = Buffer.concat([random, random, random]);
        c.send(frame({ opcode: BINARY, payload }));
        assert.ok(inflate((await c.readFrame()).payload, { windowBits: bits }).equals(payload), `${size} bytes, ${bits} bits`);
      }
      c.destroy();
    }
  });

  test('what the client sends in a window of any agreed size is understood', async (t) => {
    for (const config of [all, takeover]) {
      const weir = await startEcho(t, { compression: { ...config.compression, min_size: '1MiB' } });
      for (let bits = 9; bits <= 15; bits++) {
        const c = await rawUpgrade(weir.port, { headers: { 'Sec-WebSocket-Extensions': `permessage-deflate; client_max_window_bits=${bits}` } });
        assert.match(c.response.headers['sec-websocket-extensions'], bits === 15 ? /deflate/ : new RegExp(`client_max_window_bits=${bits}\\b`));
        const random = crypto.randomBytes(20000);
        const payload = Buffer.concat([random, random]);
        for (let i = 0; i < 2; i++) {
          c.send(frame({ opcode: BINARY, rsv: 4, payload: deflate(payload, { windowBits: bits }) }));
          assert.ok((await c.readFrame()).payload.equals(payload), `${bits} bits`);
        }
        c.destroy();
      }
    }
  });
});

suite("npm's ws as the peer (sections 12 and 13)", () => {
  const kinds = {
    'zeros': (size) => Buffer.alloc(size),
    'random bytes': (size) => crypto.randomBytes(size),
    'text': (size) => Buffer.alloc(size, 'Lorem ipsum d\u00f6lor sit amet, ').toString('latin1'),
    'JSON': (size) => JSON.stringify(Array.from({ length: size / 16 }, (_, i) => ({ id: i }))).slice(0, size),
  };
  for (const [name, make] of Object.entries(kinds)) {
    test(`messages of ${name}, 0 to 131072 bytes, one after another and at once`, async (t) => {
      const weir = await startEcho(t, { compression: { min_size: '0' } });
      const client = await connect(weir.ws(), { perMessageDeflate: { threshold: 0 } });
      assert.match(client.extensions, /permessage-deflate/);
      const sizes = [0, 1, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072];
      const messages = sizes.flatMap((size) => [make(size), make(size)]);
      for (const message of messages) {
        await client.send(message);
        assert.ok(Buffer.from(message).equals((await client.next()).data));
      }
      for (const message of messages) {
        client.send(message);
      }
      for (const message of messages) {
        assert.ok(Buffer.from(message).equals((await client.next()).data));
      }
      assert.equal((await client.close(1000)).code, 1000);
    });
  }

  for (const ours of [true, false]) {
    for (const theirs of [true, false]) {
      for (const bits of [9, 11, 15]) {
        test(`takeover ${ours ? 'on' : 'off'} here, ${theirs ? 'on' : 'off'} there, ${bits} bits`, async (t) => {
          const weir = await startEcho(t, { compression: { min_size: '0', server_context_takeover: ours, client_context_takeover: ours, server_max_window_bits: bits } });
          const client = await connect(weir.ws(), {
            perMessageDeflate: { threshold: 0, serverNoContextTakeover: !theirs, clientNoContextTakeover: theirs ? undefined : true, serverMaxWindowBits: 12, clientMaxWindowBits: bits },
          });
          for (let i = 0; i < 200; i++) {
            client.send(`message ${i} `.repeat(1 + ((i * 37) % 900)));
          }
          for (let i = 0; i < 200; i++) {
            assert.equal((await client.next()).text, `message ${i} `.repeat(1 + ((i * 37) % 900)));
          }
          assert.equal((await client.close(1000)).code, 1000);
        });
      }
    }
  }

  test('a client without compression is served beside one with it', async (t) => {
    const weir = await startEcho(t, all);
    const [plain, packed] = await Promise.all([connect(weir.ws()), connect(weir.ws(), { perMessageDeflate: true })]);
    assert.deepEqual([plain.extensions, packed.extensions.split(';')[0]], ['', 'permessage-deflate']);
    for (const client of [plain, packed, plain, packed]) {
      const message = 'beside '.repeat(500);
      await client.send(message);
      assert.equal((await client.next()).text, message);
    }
    await Promise.all([plain.close(), packed.close()]);
  });
});

suite('the scratch state that sessions of a worker share', () => {
  test('does not mix fragmented messages that come in turns', async (t) => {
    const weir = await startEcho(t, { compression: { min_size: '1MiB' } });
    const count = 4;
    const clients = await Promise.all(Array.from({ length: count }, () => rawUpgrade(weir.port, DEFLATE)));
    const payloads = clients.map((_, i) => Buffer.alloc(30000, `session ${i} ${crypto.randomBytes(500).toString('hex')}`).toString());
    const wires = payloads.map((payload) => deflate(payload));
    const size = 100;
    const steps = Math.ceil(Math.max(...wires.map((wire) => wire.length)) / size);
    for (let step = 0; step < steps; step++) {
      for (const [i, c] of clients.entries()) {
        const fin = step === steps - 1;
        await c.send(frame({ opcode: step === 0 ? TEXT : CONTINUATION, rsv: step === 0 ? 4 : 0, fin, payload: wires[i].subarray(step * size, fin ? undefined : (step + 1) * size) }));
        if (!fin) {
          c.send(frame({ opcode: PING, payload: `${step}` }));
          assert.equal((await c.readFrame()).opcode, PONG); // the gateway has seen this piece before the next session's
        }
      }
    }
    for (const [i, c] of clients.entries()) {
      c.send(closeFrame(1000));
      const got = framesOf(await c.readToEnd()).filter((one) => one.opcode === TEXT);
      assert.deepEqual(got.map((one) => one.payload.toString()), [payloads[i]]);
      c.destroy();
    }
  });
});

suite('max_message_size', () => {
  test('counts what a message inflates to, both sides of it', async (t) => {
    const weir = await startEcho(t, { max_message_size: '64KiB', compression: { min_size: '1MiB' } });
    for (const make of [(size) => Buffer.alloc(size), (size) => crypto.randomBytes(size)]) {
      const c = await rawUpgrade(weir.port, DEFLATE);
      const exact = make(65536);
      c.send(frame({ opcode: BINARY, rsv: 4, payload: deflate(exact) }));
      assert.ok((await c.readFrame()).payload.equals(exact), 'deflating may make it larger on the wire; that is no fault');
      c.send(frame({ opcode: BINARY, rsv: 4, payload: deflate(make(65537)) }));
      await assertFailed(c, 1009);
    }
  });

  test('stops a bomb while it inflates: 1009, and memory stays where it was', async (t) => {
    const weir = await startEcho(t, { max_message_size: '1MiB', compression: true });
    const bomb = deflate(Buffer.alloc(256 * MIB), { level: 9 });
    assert.ok(bomb.length < 300 * 1024);
    const before = weir.residentBytes();
    for (let i = 0; i < 4; i++) {
      const c = await rawUpgrade(weir.port, DEFLATE);
      c.send(frame({ opcode: i % 2 ? TEXT : BINARY, rsv: 4, payload: bomb }));
      await assertFailed(c, 1009);
    }
    assert.ok(weir.residentBytes() < before + 16 * MIB, `grew from ${before} to ${weir.residentBytes()}`);
  });

  test('stops a bomb in fragments', async (t) => {
    const weir = await startEcho(t, { max_message_size: '1MiB', compression: true });
    const bomb = deflate(Buffer.alloc(64 * MIB));
    const c = await rawUpgrade(weir.port, DEFLATE);
    for (let at = 0; at < bomb.length; at += 4096) {
      const fin = at + 4096 >= bomb.length;
      c.send(frame({ opcode: at === 0 ? BINARY : CONTINUATION, rsv: at === 0 ? 4 : 0, fin, payload: bomb.subarray(at, at + 4096) }));
    }
    await assertFailed(c, 1009);
  });
});
