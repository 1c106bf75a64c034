// Frames by RFC 6455, sections 5 to 8, as a raw client sees the running gateway. The sections are those of
// the Autobahn suite; each conversation is held three times: in one write, frame by frame, byte by byte.
'use strict';

const { test, describe: suite, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { waitFor } = require('./lib/weir');
const { rawUpgrade } = require('./lib/raw');
const { frame, closeFrame, closeOf, CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG } = require('./lib/frames');
const { startEcho, converse, assertFailed, openConnections, DELIVERIES } = require('./lib/echo');

let weir;
before(async () => {
  weir = await startEcho(null, 'on');
});
after(() => weir.stop());

const bye = closeFrame(1000);
const text = (payload, more) => frame({ opcode: TEXT, payload, ...more });
const binary = (payload, more) => frame({ opcode: BINARY, payload, ...more });
const ping = (payload, more) => frame({ opcode: PING, payload, ...more });
const pong = (payload, more) => frame({ opcode: PONG, payload, ...more });
const part = (payload, more) => frame({ opcode: CONTINUATION, payload, fin: false, ...more });
const last = (payload, more) => frame({ opcode: CONTINUATION, payload, ...more });
const begin = (payload, more) => text(payload, { fin: false, ...more });

// One test that holds the conversation in each way of delivery.
function says(name, frames, expected, deliveries = Object.keys(DELIVERIES)) {
  test(name, async () => {
    for (const delivery of deliveries) {
      assert.deepEqual(await converse(weir, frames, { delivery }), expected, delivery);
    }
  });
}

suite('section 1: messages in one frame', () => {
  for (const size of [0, 125, 126, 127, 128, 65535, 65536]) {
    test(`text and binary of ${size} bytes`, async () => {
      const c = await rawUpgrade(weir.port);
      for (const opcode of [TEXT, BINARY]) {
        const payload = Buffer.alloc(size, opcode === TEXT ? '*' : 0xfe);
        c.send(frame({ opcode, payload }));
        const echo = await c.readFrame();
        assert.deepEqual({ opcode: echo.opcode, fin: echo.fin, rsv: echo.rsv }, { opcode, fin: true, rsv: 0 });
        assert.ok(echo.payload.equals(payload));
      }
      c.destroy();
    });
  }

  for (const size of [997, 1, 125, 4096, 65537]) {
    test(`65536 bytes chopped into writes of ${size}`, async () => {
      const c = await rawUpgrade(weir.port);
      const payload = Buffer.alloc(size === 1 ? 4096 : 65536, 'abcdefg\u00e9');
      const valid = payload.subarray(0, payload.length - (payload.length % 9));
      await c.sendSplit(text(valid), size);
      assert.ok((await c.readFrame()).payload.equals(valid));
      c.destroy();
    });
  }

  test('the length of an echo is written in its shortest form', async () => {
    for (const [size, head] of [[125, 2], [126, 4], [65535, 4], [65536, 10]]) {
      const c = await rawUpgrade(weir.port);
      c.send(binary(Buffer.alloc(size)));
      c.send(closeFrame(1000));
      const bytes = await c.readToEnd();
      assert.equal(bytes.length, head + size + 4, `${size} bytes`);
      c.destroy();
    }
  });
});

suite('section 2: pings and pongs', () => {
  says('an empty ping gets an empty pong', [ping(''), bye], ['pong', 'close 1000']);
  says('a pong repeats the payload', [ping('Hello'), bye], ['pong 48656c6c6f', 'close 1000']);
  says('the payload is not taken for text', [ping(Buffer.from('00fffefdfcfb00ff', 'hex')), bye], ['pong 00fffefdfcfb00ff', 'close 1000']);
  test('a ping of 125 bytes is answered', async () => {
    for (const delivery of Object.keys(DELIVERIES)) {
      const c = await rawUpgrade(weir.port);
      const payload = Buffer.alloc(125, 0xfe);
      await DELIVERIES[delivery](c, [ping(payload)]);
      const answer = await c.readFrame();
      assert.equal(answer.opcode, PONG);
      assert.ok(answer.payload.equals(payload));
      c.destroy();
    }
  });
  says('a ping of 126 bytes fails the connection', [ping(Buffer.alloc(126))], ['close 1002']);
  says('an unsolicited pong is ignored', [pong(''), pong('payload'), bye], ['close 1000']);
  says('a pong of 126 bytes fails the connection', [pong(Buffer.alloc(126))], ['close 1002']);
  says('a ping after an unsolicited pong is answered', [pong('x'), ping('y'), bye], ['pong 79', 'close 1000']);
  const ten = Array.from({ length: 10 }, (_, i) => `payload-${i}`);
  says(
    'ten pings get ten pongs in order',
    [...ten.map((one) => ping(one)), bye],
    [...ten.map((one) => `pong ${Buffer.from(one).toString('hex')}`), 'close 1000'],
  );
});

suite('section 3: reserved bits', () => {
  for (const rsv of [1, 2, 3, 4, 5, 6, 7]) {
    says(`RSV ${rsv} on text fails the connection`, [text('hi', { rsv }), text('late'), ping('late')], ['close 1002']);
    says(`RSV ${rsv} after a good message fails, and that message is echoed`, [text('good'), text('hi', { rsv }), ping('late')], ['text good', 'close 1002']);
    says(`RSV ${rsv} on a ping fails the connection`, [ping('x', { rsv })], ['close 1002']);
    says(`RSV ${rsv} on a close frame fails the connection`, [closeFrame(1000, '', { rsv })], ['close 1002']);
    says(`RSV ${rsv} on a continuation fails the connection`, [begin('a'), last('b', { rsv })], ['close 1002']);
  }
  test('a wrong first byte fails before the second has come', async () => {
    for (const first of [0xc1, 0xa1, 0x91, 0x83, 0x8b, 0x08, 0x09, 0x80]) {
      const c = await rawUpgrade(weir.port);
      c.send(Buffer.from([first]));
      await assertFailed(c, 1002);
    }
  });
});

suite('section 4: opcodes', () => {
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    says(`opcode ${opcode} fails the connection`, [frame({ opcode, payload: '' })], ['close 1002']);
    says(`opcode ${opcode} with a payload, between messages`, [text('good'), frame({ opcode, payload: 'x' }), ping('late')], ['text good', 'close 1002']);
    says(`opcode ${opcode} within a message`, [begin('a'), frame({ opcode, payload: 'x' })], ['close 1002']);
  }
});

suite('section 5: fragments', () => {
  says('a fragmented ping fails the connection', [ping('a', { fin: false }), last('b')], ['close 1002']);
  says('a fragmented pong fails the connection', [pong('a', { fin: false }), last('b')], ['close 1002']);
  says('a fragmented close fails the connection', [closeFrame(1000, '', { fin: false })], ['close 1002']);
  says('two fragments are one message', [begin('frag'), last('ment'), bye], ['text fragment', 'close 1000']);
  says('the kind is that of the first fragment', [binary('\x01', { fin: false }), last('\x02'), bye], ['binary 0102', 'close 1000']);
  says('a ping between fragments is answered at once', [begin('frag'), ping('p'), last('ment'), bye], ['pong 70', 'text fragment', 'close 1000']);
  says('a pong between fragments is ignored', [begin('frag'), pong('p'), last('ment'), bye], ['text fragment', 'close 1000']);
  says(
    'five fragments with pings between',
    [begin('1'), ping('a'), part('2'), part('3'), ping('b'), part('4'), last('5'), bye],
    ['pong 61', 'pong 62', 'text 12345', 'close 1000'],
  );
  says('a last fragment without a first fails', [last('x'), text('late')], ['close 1002']);
  says('a fragment without a first fails', [part('x'), text('late')], ['close 1002']);
  says('a continuation after a whole message fails', [text('good'), last('x')], ['text good', 'close 1002']);
  says('a continuation after a fragmented message fails', [begin('a'), last('b'), part('x'), text('late')], ['text ab', 'close 1002']);
  says('a message within a message fails', [begin('a'), text('b')], ['close 1002']);
  says('a first fragment within a message fails', [begin('a'), begin('b'), last('c')], ['close 1002']);
  says('a binary message within a text fails', [begin('a'), binary('b')], ['close 1002']);
  says('a close between fragments closes', [begin('a'), bye], ['close 1000']);
  says('messages after a fragmented one are whole again', [begin('a'), last('b'), text('c'), binary('d'), bye], ['text ab', 'text c', 'binary 64', 'close 1000']);
  says('all fragments may be empty', [begin(''), part(''), last(''), bye], ['text', 'close 1000']);
  says('empty fragments around a full one', [begin(''), part('middle'), part(''), last(''), bye], ['text middle', 'close 1000']);

  // Section 10.
  for (const size of [1, 64, 1300, 65535]) {
    test(`65536 bytes in fragments of ${size}`, async () => {
      const c = await rawUpgrade(weir.port);
      const payload = Buffer.alloc(size === 1 ? 2048 : 65536, 'auto-fragment');
      const pieces = [];
      for (let at = 0; at < payload.length; at += size) {
        const fin = at + size >= payload.length;
        pieces.push(frame({ opcode: at === 0 ? TEXT : CONTINUATION, fin, payload: payload.subarray(at, at + size) }));
      }
      c.send(Buffer.concat(pieces));
      assert.ok((await c.readFrame()).payload.equals(payload));
      c.destroy();
    });
  }
});

suite('section 5.1 and 5.2: masks and lengths', () => {
  for (const [name, opcode] of Object.entries({ text: TEXT, binary: BINARY, ping: PING, pong: PONG, close: CLOSE })) {
    says(`an unmasked ${name} frame fails the connection`, [frame({ opcode, payload: '', mask: null }), text('late')], ['close 1002']);
  }
  test('an unmasked frame fails at its second byte', async () => {
    const c = await rawUpgrade(weir.port);
    c.send(Buffer.from([0x81, 0x05]));
    await assertFailed(c, 1002);
  });
  says('a mask of zeros is a mask', [text('hi', { mask: Buffer.alloc(4) }), bye], ['text hi', 'close 1000']);
  says('each frame has a mask of its own', [begin('ab', { mask: Buffer.from([9, 8, 7, 6]) }), last('cd'), bye], ['text abcd', 'close 1000']);
  for (const [size, lengthBytes] of [[0, 2], [125, 2], [0, 8], [125, 8], [126, 8], [65535, 8]]) {
    says(`${size} bytes with a length of ${lengthBytes} bytes fail`, [binary('', { length: size, lengthBytes })], ['close 1002']);
  }
  says('a control frame with a 16-bit length fails', [ping('', { length: 5, lengthBytes: 2 })], ['close 1002']);
  says('a control frame with a 64-bit length fails', [closeFrame(1000, '', { length: 2, lengthBytes: 8 })], ['close 1002']);

  for (const [length, code] of [[2n ** 63n, 1002], [2n ** 64n - 1n, 1002], [2n ** 63n - 1n, 1009], [2n ** 62n, 1009], [2n ** 32n, 1009], [2n ** 20n + 1n, 1009]]) {
    for (const mask of [Buffer.alloc(4), null]) {
      test(`a length of ${length}, ${mask ? 'masked' : 'not masked'}, fails before any payload`, async () => {
        const c = await rawUpgrade(weir.port);
        c.send(binary('', { length, lengthBytes: 8, mask }));
        await assertFailed(c, mask ? code : 1002);
      });
    }
  }
  test('a top bit fails at that byte, a large length at its last', async () => {
    const top = await rawUpgrade(weir.port);
    top.send(Buffer.from([0x82, 0xff, 0x80]));
    await assertFailed(top, 1002);
    const large = await rawUpgrade(weir.port);
    large.send(Buffer.from([0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255]));
    await assertFailed(large, 1009);
  });
});

// RFC 3629: what is UTF-8 and what is not.
const VALID = {
  'two to four bytes': 'Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!',
  greek: '\u03ba\u1f79\u03c3\u03bc\u03b5',
  'the first of each length': '\u0000\u0080\u0800\u{10000}',
  'the last of each length': '\u007f\u07ff\uffff\u{10ffff}',
  'around the surrogates': '\ud7ff\ue000\ufffd',
  'non-characters': '\ufffe\uffff\u{1fffe}\u{1ffff}\u{10fffe}\u{10ffff}\ufdd0',
};
const INVALID = {
  'a lone continuation': '80',
  'the last continuation': 'bf',
  'continuations only': '80bf80bf',
  'a lead byte and a space': 'c020',
  'a three-byte lead and a space': 'e020',
  'a four-byte lead and a space': 'f020',
  'a cut sequence before text': 'cebae1bd20',
  'an overlong slash': 'c0af',
  'an overlong slash of three': 'e080af',
  'an overlong slash of four': 'f08080af',
  'an overlong NUL': 'c080',
  'the largest overlong of two': 'c1bf',
  'the largest overlong of three': 'e09fbf',
  'the largest overlong of four': 'f08fbfbf',
  'a high surrogate': 'eda080',
  'the last high surrogate': 'edafbf',
  'a low surrogate': 'edb080',
  'the last low surrogate': 'edbfbf',
  'a surrogate pair': 'eda080edb080',
  'over 10ffff': 'f4908080',
  'far over 10ffff': 'f7bfbfbf',
  'a five-byte sequence': 'f888808080',
  'a six-byte sequence': 'fc8480808080',
  fe: 'fe',
  ff: 'ff',
  'fe fe ff ff': 'fefeffff',
  'a fault after good text': 'cebae1bdb9cf83cebceda080656469746564',
};

suite('section 6: UTF-8', () => {
  for (const [name, payload] of Object.entries(VALID)) {
    test(`valid: ${name}`, async () => {
      const bytes = Buffer.from(payload);
      for (const delivery of Object.keys(DELIVERIES)) {
        const singles = Array.from(bytes, (_, i) => frame({ opcode: i === 0 ? TEXT : CONTINUATION, fin: i === bytes.length - 1, payload: bytes.subarray(i, i + 1) }));
        const expected = [`text ${payload}`.trim(), 'close 1000'];
        assert.deepEqual(await converse(weir, [text(bytes), bye], { delivery }), expected, delivery);
        assert.deepEqual(await converse(weir, [...singles, bye], { delivery }), expected, `fragments, ${delivery}`);
      }
    });
  }
  for (const [name, hex] of Object.entries(INVALID)) {
    const bytes = Buffer.from(hex, 'hex');
    says(`invalid: ${name}`, [text(bytes), ping('late')], ['close 1007']);
    says(`invalid in fragments: ${name}`, [begin(bytes.subarray(0, 1)), last(bytes.subarray(1)), ping('late')], ['close 1007']);
    test(`invalid within a large frame, between good text: ${name}`, async () => {
      const around = Buffer.alloc(5000, '\u00e4');
      const payload = Buffer.concat([around, bytes, around]);
      assert.deepEqual(await converse(weir, [text(payload), ping('late')]), ['close 1007']);
    });
  }
  // A message that ends within a character, at each place where it can.
  for (const cut of ['c3', 'e2', 'e282', 'f0', 'f09f', 'f09f92']) {
    says(`text that ends after ${cut}`, [text(Buffer.from(`61${cut}`, 'hex')), ping('late')], ['close 1007']);
    says(`fragmented text that ends after ${cut}`, [begin('a'), last(Buffer.from(cut, 'hex')), ping('late')], ['close 1007']);
    says(`fragmented text that ends after ${cut} and an empty fragment`, [begin(Buffer.from(cut, 'hex')), last(''), ping('late')], ['close 1007']);
  }
  says('binary is not checked', [binary(Buffer.from('fffe80c0', 'hex')), bye], ['binary fffe80c0', 'close 1000']);
  says('a ping within a character is answered', [begin(Buffer.from('e282', 'hex')), ping('x'), last(Buffer.from('ac', 'hex')), bye], ['pong 78', 'text \u20ac', 'close 1000']);
  says('the check starts anew with each message', [begin('\u00e4'), last('\u00e4'), text('\u00e4'), bye], ['text \u00e4\u00e4', 'text \u00e4', 'close 1000']);

  test('a bad byte fails in a fragment that is not the last', async () => {
    const c = await rawUpgrade(weir.port);
    c.send(begin('\u03ba\u1f79\u03c3\u03bc\u03b5'));
    c.send(part(Buffer.from('f4908080', 'hex')));
    await assertFailed(c, 1007);
  });
  test('a bad byte fails while its frame is incomplete', async () => {
    for (const [good, bad] of [['cebae1bdb9cf83cebcceb5', 'f490'], ['61', 'c0'], ['', 'f5'], ['61', 'eda0'], ['', 'e080']]) {
      const c = await rawUpgrade(weir.port);
      const whole = text(Buffer.from(`${good}${bad}8080${'61'.repeat(500)}`, 'hex'));
      const start = whole.length - 500 - 2 - Buffer.from(bad, 'hex').length;
      c.send(whole.subarray(0, start));
      assert.equal((await c.readQuiet(20)).length, 0, 'nothing is wrong yet');
      c.send(whole.subarray(start, start + bad.length / 2));
      await assertFailed(c, 1007);
    }
  });
});

const sendable = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
const unsendable = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535];

suite('section 7: closing', () => {
  says('a close frame without a body is answered by one without', [closeFrame()], ['close 1005']);
  for (const code of sendable) {
    says(`code ${code} is echoed`, [closeFrame(code, 'why')], [`close ${code}`]);
  }
  for (const code of unsendable) {
    says(`code ${code} fails the connection`, [closeFrame(code, 'why')], ['close 1002']);
    says(`code ${code} without a reason fails the connection`, [closeFrame(code)], ['close 1002']);
  }
  says('a body of one byte fails the connection', [frame({ opcode: CLOSE, payload: '\x03' })], ['close 1002']);
  says('a reason of 123 bytes is taken', [closeFrame(1000, '*'.repeat(123))], ['close 1000']);
  says('a reason of 124 bytes fails the connection', [closeFrame(1000, '*'.repeat(124))], ['close 1002']);
  says('a reason in UTF-8 is taken', [closeFrame(1000, '\u00e4\u20ac\u{1f600}')], ['close 1000']);
  for (const hex of ['ff', 'c0af', 'eda080', 'c3', 'e282', 'cebae1bdb9cf83cebceda080656469746564']) {
    says(`the reason ${hex} fails the connection`, [closeFrame(1000, Buffer.from(hex, 'hex'))], ['close 1007']);
  }
  says('a message before the close is echoed', [text('last words'), bye], ['text last words', 'close 1000']);
  says('a second close is ignored', [bye, closeFrame(1001)], ['close 1000']);
  says('a message after the close is ignored', [bye, text('late')], ['close 1000']);
  says('a ping after the close is ignored', [bye, ping('late')], ['close 1000']);
  says('garbage after the close is ignored', [bye, Buffer.from('ffffffffffff', 'hex')], ['close 1000']);
  says('a fragment after the close is ignored', [begin('a'), bye, last('b')], ['close 1000']);
  says('a large message before the close is echoed whole', [binary(Buffer.alloc(262144)), bye], [`binary ${'0'.repeat(40)}...(524288)`, 'close 1000'], ['at once', 'frame by frame']);

  test('a close is answered by its code and reason, and the gateway ends the connection', async () => {
    for (const reason of ['a reason', '', '\u00e4\u20ac\u{1f600}', '*'.repeat(123)]) {
      const c = await rawUpgrade(weir.port);
      c.send(closeFrame(3333, reason));
      assert.deepEqual(closeOf(await c.readFrame()), { code: 3333, reason });
      assert.equal((await c.readToEnd()).length, 0);
      c.destroy();
    }
  });
  test('a failure says why in its reason', async () => {
    const c = await rawUpgrade(weir.port);
    c.send(frame({ opcode: 3 }));
    assert.match(closeOf(await c.readFrame()).reason, /opcode/);
    c.destroy();
  });
  test('a client that vanishes leaves nothing behind', async () => {
    for (const payload of ['', 'abc']) {
      const c = await rawUpgrade(weir.port);
      c.send(begin(payload));
      c.send(text('x', { length: 100 }).subarray(0, 7));
      c.reset();
      const d = await rawUpgrade(weir.port);
      d.send(Buffer.from([0x81]));
      d.end();
      await d.waitEnd();
      d.destroy();
    }
    await waitFor(() => openConnections(weir) === 0, { what: 'the connections to be closed' });
  });
});
