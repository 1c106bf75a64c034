// Request heads and bodies on the wire: what is refused, with which status, that the connection ends there, and
// both sides of each limit. The vectors' meaning is proven in tests/unit/proto; here it is what a client sees.
'use strict';

const assert = require('node:assert/strict');
const { test, before, after, describe } = require('node:test');
const { rawConnect, rawExchange } = require('./lib/raw');
const { startProbe, get, statuses, wholeFile } = require('./lib/probe');

const whole = wholeFile(after);
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n';
const POST = 'POST /first HTTP/1.1\r\nHost: localhost\r\n';
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;

let weir;

before(async () => {
  weir = await startProbe(whole, {
    http: { max_line_size: '256B', max_header_size: '1KiB', max_headers: 10, max_body_size: '1KiB' },
  });
});

// One answer with that status, then the end, whatever stands behind it.
async function refusedWith(status, bytes) {
  const answer = await rawExchange(weir.port, bytes);
  assert.deepEqual(statuses(answer), [status], answer.toString('latin1'));
  assert.match(answer.toString('latin1'), /\r\nConnection: close\r\n/);
  assert.ok(!answer.includes('smuggled'), 'the request behind it was answered');
}

describe('a head that two servers could read differently is refused and ends the connection', () => {
  const heads = {
    'CL.TE': 'Content-Length: 6\r\nTransfer-Encoding: chunked',
    'TE.CL': 'Transfer-Encoding: chunked\r\nContent-Length: 6',
    'CL.TE with length 0': 'Content-Length: 0\r\nTransfer-Encoding: chunked',
    'two different lengths': 'Content-Length: 0\r\nContent-Length: 44',
    'two equal lengths': 'Content-Length: 5\r\nContent-Length: 5',
    'lengths in a list': 'Content-Length: 0, 44',
    'signed length': 'Content-Length: +0',
    'negative length': 'Content-Length: -1',
    'hexadecimal length': 'Content-Length: 0x10',
    'length with a space inside': 'Content-Length: 1 0',
    'length over 64 bits': 'Content-Length: 18446744073709551616',
    'empty length': 'Content-Length:',
    'TE.TE xchunked': 'Transfer-Encoding: xchunked',
    'TE.TE two fields': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
    'TE.TE two equal fields': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    'TE.TE identity': 'Transfer-Encoding: identity',
    'TE.TE list ends otherwise': 'Transfer-Encoding: chunked, identity',
    'TE.TE twice in a list': 'Transfer-Encoding: chunked, chunked',
    'TE.TE quoted': 'Transfer-Encoding: "chunked"',
    'TE.TE vertical tab': 'Transfer-Encoding: \x0bchunked',
    'TE.TE NUL': 'Transfer-Encoding: chunked\0',
    'TE.TE hidden by obs-fold': 'X: y\r\n Transfer-Encoding: chunked',
    'TE.TE folded value': 'Transfer-Encoding:\r\n chunked',
    'space before the colon of TE': 'Transfer-Encoding : chunked',
    'tab before the colon of CL': 'Content-Length\t: 6',
    'space before the first field name': ' Content-Length: 6',
    'underscore in CL': 'Content_Length: 44',
    'underscore in TE': 'Transfer_Encoding: chunked',
    'bare LF between fields': 'X: y\nContent-Length: 44',
    'bare CR between fields': 'X: y\rContent-Length: 44',
    'bare CR at the end of a value': 'X: y\r\r\nA: b',
    'LF CR between fields': 'X: y\n\rContent-Length: 44',
    'NUL in a value': 'X: a\0b',
    'control character in a value': 'X: a\x01b',
    'NUL in a name': 'X\0: a',
    'DEL in a name': 'X\x7f: a',
    'colon missing': 'Content-Length 6',
    'empty name': ': 6',
    'second Host': 'Host: other',
    'second Host, equal': 'Host: localhost',
    'Connection names a framing field': 'Connection: keep-alive, Content-Length\r\nContent-Length: 44',
  };
  for (const [name, fields] of Object.entries(heads)) {
    test(name, () => refusedWith(400, `${POST}${fields}\r\n\r\n${SMUGGLED}`));
  }

  const whole = {
    'bare LF behind the request line': 'GET / HTTP/1.1\nHost: localhost\r\n\r\n',
    'bare LF everywhere': 'GET / HTTP/1.1\nHost: localhost\n\n',
    'bare CR behind the request line': 'GET / HTTP/1.1\rHost: localhost\r\n\r\n',
    'empty line with a bare LF': 'GET / HTTP/1.1\r\nHost: localhost\r\n\n',
    'no Host': 'GET / HTTP/1.1\r\n\r\n',
    'Host with a path': 'GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n',
    'Host with user information': 'GET / HTTP/1.1\r\nHost: a@localhost\r\n\r\n',
    'Host with a space': 'GET / HTTP/1.1\r\nHost: local host\r\n\r\n',
    'first field folded': 'GET / HTTP/1.1\r\n Host: localhost\r\nHost: localhost\r\n\r\n',
    'two spaces in the request line': 'GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'tab in the request line': 'GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'space behind the version': 'GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n',
    'lower case version': 'GET / http/1.1\r\nHost: localhost\r\n\r\n',
    'version without minor': 'GET / HTTP/1\r\nHost: localhost\r\n\r\n',
    'no version (HTTP/0.9)': 'GET /\r\n\r\n',
    'NUL in the target': 'GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'encoded NUL in the path': 'GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'broken percent encoding': 'GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'target without slash': 'GET smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'target * for GET': 'GET * HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'space before the method': ' GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'chunked in HTTP/1.0': 'POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'a TLS client hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  };
  for (const [name, bytes] of Object.entries(whole)) {
    test(name, () => refusedWith(400, bytes + SMUGGLED));
  }

  test('versions that we do not speak', async () => {
    await refusedWith(505, `GET / HTTP/2.0\r\nHost: localhost\r\n\r\n${SMUGGLED}`);
    await refusedWith(505, `GET / HTTP/1.2\r\nHost: localhost\r\n\r\n${SMUGGLED}`);
    await refusedWith(505, `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${SMUGGLED}`);
  });

  test('codings, expectations and methods that we do not know', async () => {
    await refusedWith(501, `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n${SMUGGLED}`);
    await refusedWith(417, `${POST}Expect: 200-ok\r\n\r\n${SMUGGLED}`);
    await refusedWith(501, `CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n${SMUGGLED}`);
  });

  test('behind a good request on the same connection', async () => {
    const answer = await rawExchange(weir.port, `${get('/good')}${POST}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED}`);
    assert.deepEqual(statuses(answer), [200, 400]);
    assert.ok(answer.includes('GET /good') && !answer.includes('smuggled'));
  });
});

describe('a chunked body that two servers could read differently ends the connection', () => {
  const bodies = {
    'size with 0x': '0x0\r\n\r\n',
    'signed size': '+0\r\n\r\n',
    'negative size': '-1\r\n\r\n',
    'space before the size': ' 0\r\n\r\n',
    'space behind the size': '1 \r\nx\r\n0\r\n\r\n',
    'no size': '\r\n\r\n',
    'size that is no number': 'x\r\n\r\n',
    'size over 64 bits': '10000000000000001\r\nx\r\n0\r\n\r\n',
    'bare LF behind the size': '1\nx\r\n0\r\n\r\n',
    'bare CR behind the size': '1\rx\r\n0\r\n\r\n',
    'bare LF behind the data': '1\r\nx\n0\r\n\r\n',
    'two bytes of anything behind the data': '1\r\nxAB0\r\n\r\n',
    'longer data than the size': '1\r\nxyz\r\n0\r\n\r\n',
    'bare LF in an extension': '1;a\nb\r\nx\r\n0\r\n\r\n',
    'bare CR in an extension': '1;a\rb\r\nx\r\n0\r\n\r\n',
    'NUL in an extension': '1;a\0\r\nx\r\n0\r\n\r\n',
    'bare LF in an extension of the last chunk': '0;\n\r\n\r\n',
    'trailer with a bare LF': '0\r\nA: b\n\r\n',
    'trailer with a space before the colon': '0\r\nA : b\r\n\r\n',
    'last chunk without its empty line': '0\r\nGET /smuggled HTTP/1.1\r\n\r\n',
  };
  for (const [name, body] of Object.entries(bodies)) {
    // With its head: 400. Behind it, the plugin has answered already; nothing may follow that answer.
    test(name, async () => {
      for (const split of [false, true]) {
        const c = await rawConnect(weir.port);
        c.send(CHUNKED + (split ? '' : body + SMUGGLED));
        let answer = Buffer.alloc(0);
        if (split) {
          answer = await c.readUntil('POST /first');
          c.send(body + SMUGGLED);
        }
        answer = Buffer.concat([answer, await c.readToEnd()]);
        c.destroy();
        assert.deepEqual(statuses(answer), [split ? 200 : 400], answer.toString('latin1'));
        assert.ok(!answer.includes('smuggled'), 'the request behind it was answered');
      }
    });
  }

  test('extensions and trailers that are in order are passed over', async () => {
    const c = await rawConnect(weir.port);
    await c.sendSplit(`${CHUNKED}1;name=value\r\nx\r\n2;q="a;b"\r\nxy\r\n00\r\nX-Trailer: yes\r\nContent-Length: 44\r\n\r\n${get('/next')}`);
    assert.equal((await c.readResponse()).body.toString(), 'POST /first');
    assert.equal((await c.readResponse()).body.toString(), 'GET /next');
    c.destroy();
  });
});

describe('CL.0: a body is taken off the connection whether or not anybody wanted it', () => {
  for (const target of ['/first', '/files/small.txt', '/files/none', '/ws']) {
    for (const method of ['POST', 'GET', 'OPTIONS', 'HEAD', 'DELETE']) {
      test(`${method} ${target}`, async () => {
        const c = await rawConnect(weir.port);
        const head = `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n`;
        c.send(`${head}Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`);
        c.send(`${head}Transfer-Encoding: chunked\r\n\r\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`);
        c.send(get('/last'));
        const answer = Buffer.concat([await c.readUntil('GET /last'), c.received]);
        c.destroy();
        assert.equal(statuses(answer).length, 3, answer.toString('latin1'));
        assert.ok(!answer.includes('smuggled'));
      });
    }
  }
});

describe('limits of a head, both sides', () => {
  const line = (size) => `GET /${'a'.repeat(size - 'GET / HTTP/1.1'.length)} HTTP/1.1`;
  const head = (size) => {
    const start = 'GET / HTTP/1.1\r\nHost: localhost\r\nX: ';
    return `${start}${'x'.repeat(size - start.length - 4)}\r\n\r\n`;
  };
  const fields = (count) => `GET / HTTP/1.1\r\nHost: localhost\r\n${'X: y\r\n'.repeat(count - 1)}\r\n`;
  const ok = async (bytes) => {
    const c = await rawConnect(weir.port);
    c.send(bytes);
    assert.equal((await c.readResponse()).status, 200);
    c.destroy();
  };

  test('max_line_size: 414', async () => {
    await ok(`${line(256)}\r\nHost: localhost\r\n\r\n`);
    await refusedWith(414, `${line(257)}\r\nHost: localhost\r\n\r\n${SMUGGLED}`);
    await refusedWith(414, `GET /${'a'.repeat(100000)}`);
  });

  test('max_header_size: 431', async () => {
    await ok(head(1024));
    await refusedWith(431, head(1025) + SMUGGLED);
    await refusedWith(431, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(100000)}`);
  });

  test('max_headers: 431', async () => {
    await ok(fields(10));
    await refusedWith(431, fields(11) + SMUGGLED);
  });

  test('max_body_size by length: 413, before the body has come', async () => {
    await ok(`${POST}Content-Length: 1024\r\n\r\n${'x'.repeat(1024)}`);
    await refusedWith(413, `${POST}Content-Length: 1025\r\n\r\n`);
    await refusedWith(413, `${POST}Content-Length: 9223372036854775807\r\n\r\n${SMUGGLED}`);
  });

  test('max_body_size by chunks: 413', async () => {
    const chunk = `100\r\n${'x'.repeat(256)}\r\n`;
    await ok(`${CHUNKED}${chunk.repeat(4)}0\r\n\r\n`);
    await refusedWith(413, `${CHUNKED}${chunk.repeat(4)}1\r\nx\r\n0\r\n\r\n${SMUGGLED}`);
  });
});

test('a head that comes byte by byte is served', async () => {
  const c = await rawConnect(weir.port);
  await c.sendSplit(`${get('/slowly')}${POST}Content-Length: 3\r\n\r\nabc${get('/again')}`);
  assert.equal((await c.readResponse()).body.toString(), 'GET /slowly');
  assert.equal((await c.readResponse()).body.toString(), 'POST /first');
  assert.equal((await c.readResponse()).body.toString(), 'GET /again');
  c.destroy();
});

test('an empty line before a request is passed over, also between requests', async () => {
  const c = await rawConnect(weir.port);
  await c.sendSplit(`\r\n${get('/one')}\r\n${get('/two')}`);
  assert.equal((await c.readResponse()).body.toString(), 'GET /one');
  assert.equal((await c.readResponse()).body.toString(), 'GET /two');
  c.destroy();
  await refusedWith(400, `\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n${SMUGGLED.replace('GET /smuggled', 'GET /x')}`);
});

describe('time limits', () => {
  let hasty;
  before(async () => {
    hasty = await startProbe(whole, {
      http: { header_timeout: '300ms', idle_timeout: '300ms', body_timeout: '300ms' },
    });
  });

  // Sends `bytes` one by one, 40 ms apart, until the gateway ends the connection.
  async function drip(c, bytes) {
    for (const byte of Buffer.from(bytes)) {
      if (c.ended) {
        return;
      }
      c.send(Buffer.from([byte]));
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    throw new Error('the gateway took all of it');
  }

  test('header_timeout: 408 for a head that stops half-way', async () => {
    const answer = await rawExchange(hasty.port, 'GET / HTTP/1.1\r\nHost: loc');
    assert.deepEqual(statuses(answer), [408]);
  });

  test('header_timeout: 408 for a head that never ends, however steadily it comes', async () => {
    const c = await rawConnect(hasty.port);
    await drip(c, get('/', { headers: { 'X-Long': 'x'.repeat(100) } }));
    assert.deepEqual(statuses(await c.readToEnd()), [408]);
    c.destroy();
  });

  test('header_timeout counts from the first byte for later requests too', async () => {
    const c = await rawConnect(hasty.port);
    c.send(get('/first'));
    assert.equal((await c.readResponse()).status, 200);
    await drip(c, get('/', { headers: { 'X-Long': 'x'.repeat(100) } }));
    assert.deepEqual(statuses(await c.readToEnd()), [408]);
    c.destroy();
  });

  test('header_timeout: a connection that says nothing is closed without a word', async () => {
    const c = await rawConnect(hasty.port);
    assert.equal((await c.readToEnd()).length, 0);
    assert.equal(c.error, null);
    c.destroy();
  });

  test('idle_timeout: a connection without a next request is closed without a word', async () => {
    const c = await rawConnect(hasty.port);
    c.send(get('/'));
    assert.equal((await c.readResponse()).status, 200);
    assert.equal((await c.readToEnd()).length, 0);
    assert.equal(c.error, null);
    c.destroy();
  });

  test('body_timeout: a body that stops half-way ends the connection', async () => {
    for (const start of [`${POST}Content-Length: 10\r\n\r\nabc`, `${CHUNKED}5\r\nab`]) {
      const answer = await rawExchange(hasty.port, start);
      assert.deepEqual(statuses(answer), [200]); // the plugin had answered before the body was there
    }
  });

  test('body_timeout: a body that keeps coming may take longer', async () => {
    const c = await rawConnect(hasty.port);
    c.send(`${POST}Content-Length: 20\r\n\r\n`);
    assert.equal((await c.readResponse()).status, 200);
    const began = Date.now();
    for (let i = 0; i < 20; i++) {
      c.send('x');
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    assert.ok(Date.now() - began > 400, 'the test was too quick to prove anything');
    c.send(get('/after'));
    assert.equal((await c.readResponse()).body.toString(), 'GET /after');
    c.destroy();
  });

  test('a plugin that waits is not hurried by any of them', async () => {
    const c = await rawConnect(hasty.port);
    c.send(get('/patient?sleep=0.8'));
    assert.equal((await c.readResponse()).body.toString(), 'GET /patient');
    c.destroy();
  });
});
