// The opening handshake by RFC 6455, section 4.2, asked of the running gateway with bytes of our own.
'use strict';

const { test, describe: suite, before, after } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { startWeir } = require('./lib/weir');
const { connect, refused } = require('./lib/client');
const { rawConnect, rawRequest, rawUpgrade, upgradeHead } = require('./lib/raw');
const { frame, closeFrame, TEXT } = require('./lib/frames');
const { describe: words, framesOf } = require('./lib/echo');

let weir;
before(async () => {
  weir = await startWeir(
    null,
    ({ address, root }) => `
workers: 1
listen:
  - address: ${address}
plugin_path: [${root}/plugins]
routes:
  - path: /ws
    websocket: on
    handler: {lua: echo}
  - path: /origins
    websocket:
      allowed_origins: ["https://example.com", "http://localhost:8080", "https://*.example.org"]
    handler: {lua: echo}
  - path: /protocols
    websocket:
      subprotocols: [chat.v2, chat.v1]
    handler: {lua: echo}
  - path: /off
    websocket: off
    handler: {lua: echo}
  - path: /
    handler: {static: www}
`,
    { files: { 'www/index.html': 'a page\n' } },
  );
});
after(() => weir.stop());

// The answer to an upgrade request, changed as told; the connection is closed.
async function ask({ method = 'GET', version = '1.1', extra = '', ...options } = {}) {
  const head = upgradeHead(options).replace(/^GET (.*) HTTP\/1\.1/, `${method} $1 HTTP/${version}`).replace(/\r\n\r\n$/, `\r\n${extra}\r\n`);
  const { response, connection } = await rawRequest(weir.port, head);
  connection.destroy();
  return response;
}

const headers = (more) => ({ headers: more });

async function assertStatus(status, options) {
  const response = await ask(options);
  assert.equal(response.status, status, `${JSON.stringify(options)}: ${response.head}`);
  assert.equal(response.headers['sec-websocket-accept'], undefined);
  return response;
}

async function assertAccepted(options) {
  const response = await ask(options);
  assert.equal(response.status, 101, `${JSON.stringify(options)}: ${response.head}${response.body}`);
  return response;
}

suite('the answer', () => {
  test('has the fields of section 4.2.2 and the digest of the sample key', async () => {
    const response = await assertAccepted();
    assert.equal(response.headers.upgrade, 'websocket');
    assert.equal(response.headers.connection, 'Upgrade');
    assert.equal(response.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    for (const name of ['sec-websocket-protocol', 'sec-websocket-extensions', 'content-length', 'transfer-encoding']) {
      assert.equal(response.headers[name], undefined, name);
    }
  });
  test('answers each key with its own digest', async () => {
    for (let i = 0; i < 5; i++) {
      const key = crypto.randomBytes(16).toString('base64');
      const response = await assertAccepted(headers({ 'Sec-WebSocket-Key': key }));
      const expected = crypto.createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      assert.equal(response.headers['sec-websocket-accept'], expected);
    }
  });
});

suite('Upgrade and Connection', () => {
  test('Connection is a list of tokens, in any case', async () => {
    for (const Connection of ['Upgrade', 'upgrade', 'UPGRADE', 'keep-alive, Upgrade', 'Upgrade, keep-alive', 'keep-alive,upgrade', ' , Upgrade ,', 'close, Upgrade', 'x,\t Upgrade']) {
      await assertAccepted(headers({ Connection }));
    }
    await assertAccepted({ headers: { Connection: 'keep-alive' }, extra: 'Connection: Upgrade\r\n' });
  });
  test('a Connection without the token is refused', async () => {
    for (const Connection of ['keep-alive', 'close', 'Upgraded', 'not-Upgrade', 'Up grade', '"Upgrade"', '']) {
      await assertStatus(400, headers({ Connection }));
    }
    await assertStatus(400, headers({ Connection: null }));
  });
  test('Upgrade is compared without regard to case, and may be a list', async () => {
    for (const Upgrade of ['websocket', 'WebSocket', 'WEBSOCKET', 'h2c, websocket']) {
      await assertAccepted(headers({ Upgrade }));
    }
  });
  test('another Upgrade, or none, is told what to speak', async () => {
    for (const Upgrade of ['h2c', 'websockets', 'web socket', '', null]) {
      const response = await assertStatus(426, headers({ Upgrade }));
      assert.equal(response.headers.upgrade, 'websocket');
    }
  });
  test('names of fields are compared without regard to case', async () => {
    const head = upgradeHead().replace(/^([\w-]+):/gm, (all, name) => (name === 'GET' ? all : `${name.toUpperCase()}:`));
    const { response, connection } = await rawRequest(weir.port, head);
    connection.destroy();
    assert.equal(response.status, 101);
  });
});

suite('Sec-WebSocket-Version', () => {
  test('anything but 13 is answered with 426 and what we speak', async () => {
    for (const version of ['12', '14', '8', '7', '0', '', '013', '13.0', '+13', '0xd', '13, 8', 'hybi', '9999999999999999999999', null]) {
      const response = await assertStatus(426, headers({ 'Sec-WebSocket-Version': version }));
      assert.equal(response.headers['sec-websocket-version'], '13');
      assert.equal(response.headers.upgrade, 'websocket');
      // RFC 9110, section 7.8: who sends Upgrade lists it in Connection.
      assert.match(response.headers.connection, /\bupgrade\b/i);
    }
  });
  test('two of them are refused', async () => {
    await assertStatus(400, { extra: 'Sec-WebSocket-Version: 13\r\n' });
    await assertStatus(400, { extra: 'Sec-WebSocket-Version: 8\r\n' });
  });
});

suite('Sec-WebSocket-Key', () => {
  const wrong = {
    none: null,
    empty: '',
    'of 15 bytes': Buffer.alloc(15).toString('base64'),
    'of 17 bytes': Buffer.alloc(17).toString('base64'),
    'of 18 bytes': Buffer.alloc(18).toString('base64'),
    'without padding': 'dGhlIHNhbXBsZSBub25jZQ',
    'with one padding': 'dGhlIHNhbXBsZSBub25jZQ=',
    'with more behind it': 'dGhlIHNhbXBsZSBub25jZQ==x',
    'with a sign outside base64': 'dGhlIHNhbXBsZSBub25jZ!==',
    'in base64url': '__________________-_-A==',
    'with a blank inside': 'dGhlIHNhbXBsZSBub25j Q==',
    'with bits behind the 128th': 'dGhlIHNhbXBsZSBub25jZR==',
    'with padding inside': 'dGhlIHNhbXBsZSBub25j====',
  };
  for (const [name, key] of Object.entries(wrong)) {
    test(`a key ${name} is refused`, () => assertStatus(400, headers({ 'Sec-WebSocket-Key': key })));
  }
  test('two keys are refused', () => assertStatus(400, { extra: 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' }));
  test('white space around the key is no part of it', async () => {
    const response = await assertAccepted(headers({ 'Sec-WebSocket-Key': ' \tdGhlIHNhbXBsZSBub25jZQ== \t' }));
    assert.equal(response.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });
  test('any 16 bytes will do', async () => {
    for (const key of ['AAAAAAAAAAAAAAAAAAAAAA==', '/////////////////////w==', '+/+/+/+/+/+/+/+/+/+/+w==']) {
      await assertAccepted(headers({ 'Sec-WebSocket-Key': key }));
    }
  });
});

suite('the request line and what surrounds it', () => {
  test('other methods are refused with what is allowed', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'BREW']) {
      const response = await assertStatus(405, { method });
      assert.match(response.headers.allow, /\bGET\b/, 'RFC 9110, section 15.5.6');
    }
  });
  test('HEAD is refused, without a body', async () => {
    const c = await rawConnect(weir.port);
    c.send(upgradeHead().replace('GET', 'HEAD'));
    const response = await c.readResponse({ request: 'HEAD' });
    assert.equal(response.status, 405);
    assert.equal((await c.readToEnd()).length, 0);
    c.destroy();
  });
  test('HTTP/1.0 is refused', () => assertStatus(400, { version: '1.0' }));
  test('HTTP/2.0 in the line is refused', async () => {
    assert.equal((await ask({ version: '2.0' })).status, 505);
  });
  test('a body is refused', async () => {
    await assertStatus(400, headers({ 'Content-Length': '2' }));
    await assertStatus(400, headers({ 'Transfer-Encoding': 'chunked' }));
    await assertAccepted(headers({ 'Content-Length': '0' }));
  });
  test('Host is required, once', async () => {
    await assertStatus(400, headers({ Host: null }));
    await assertStatus(400, { extra: 'Host: other\r\n' });
  });
  test('a target in absolute form, with a query, below the path', async () => {
    await assertAccepted({ target: '/ws?room=1&x=%20' });
    await assertAccepted({ target: '/ws/below' });
    await assertAccepted({ target: 'http://localhost/ws' });
    await assertAccepted({ target: '/%77s' });
  });
});

suite('where WebSocket is not configured', () => {
  test('a static route serves its file and leaves the upgrade alone', async () => {
    const response = await ask({ target: '/' });
    assert.equal(response.status, 200);
    assert.equal(response.body.toString(), 'a page\n');
    assert.equal(response.headers['sec-websocket-accept'], undefined);
  });
  test('`websocket: off` does not upgrade', async () => {
    await assertStatus(404, { target: '/off' });
  });
  test('an unknown path does not upgrade', () => assertStatus(404, { target: '/nowhere' }));
  test('a path that only begins alike does not upgrade', () => assertStatus(404, { target: '/wsx' }));
  test('a plain GET on a WebSocket route is told to upgrade', async () => {
    const { response, connection } = await rawRequest(weir.port, 'GET /ws HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal(response.status, 426);
    assert.equal(response.headers.upgrade, 'websocket');
    assert.match(response.headers.connection, /\bupgrade\b/i);
    connection.send(upgradeHead());
    assert.equal((await connection.readResponse()).status, 101, 'the connection is good for another request');
    connection.destroy();
  });
  test('an upgrade may follow plain requests on one connection', async () => {
    const c = await rawConnect(weir.port);
    c.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    c.send('POST /off HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc');
    c.send(upgradeHead());
    c.send(frame({ payload: 'after' }));
    assert.deepEqual([(await c.readResponse()).status, (await c.readResponse()).status, (await c.readResponse()).status], [200, 404, 101]);
    assert.equal(words(await c.readFrame()), 'text after');
    c.destroy();
  });
  test('what follows a refused upgrade is not taken for a request', async () => {
    const c = await rawConnect(weir.port);
    c.send(Buffer.concat([Buffer.from(upgradeHead({ headers: { 'Sec-WebSocket-Version': '8' } })), Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')]));
    assert.equal((await c.readResponse()).status, 426);
    assert.equal((await c.readToEnd()).length, 0);
    c.destroy();
  });
});

suite('Origin', () => {
  const target = '/origins';
  test('a listed origin may connect', async () => {
    for (const Origin of ['https://example.com', 'https://EXAMPLE.com', 'https://example.com:443', 'http://localhost:8080', 'https://a.example.org', 'https://a.b.example.org']) {
      await assertAccepted({ target, headers: { Origin } });
    }
  });
  test('another origin gets 403', async () => {
    const others = [
      'http://example.com', 'https://example.com:8443', 'https://example.com.evil.net', 'https://evil-example.com', 'https://www.example.com',
      'http://localhost', 'https://example.org', 'https://evilexample.org', 'null', '', 'https://', '*', 'https://*.example.org', 'https://example.com/',
      'https://example.com, https://evil.net',
    ];
    for (const Origin of others) {
      await assertStatus(403, { target, headers: { Origin } });
    }
  });
  test('two origins get 403', () => assertStatus(403, { target, headers: { Origin: 'https://example.com' }, extra: 'Origin: https://example.com\r\n' }));
  test('no origin is no browser, and may connect', () => assertAccepted({ target }));
  test('without a list any origin may connect', () => assertAccepted(headers({ Origin: 'https://anywhere.net' })));
  test('a browser-like client learns of the refusal', async () => {
    const { status } = await refused(weir.ws(target), { origin: 'https://evil.net' });
    assert.equal(status, 403);
  });
});

suite('Sec-WebSocket-Protocol', () => {
  const chosen = async (wishes, extra) =>
    (await assertAccepted({ target: '/protocols', headers: { 'Sec-WebSocket-Protocol': wishes }, extra })).headers['sec-websocket-protocol'];
  test("the client's first wish that is configured is chosen", async () => {
    assert.equal(await chosen('chat.v1'), 'chat.v1');
    assert.equal(await chosen('chat.v1, chat.v2'), 'chat.v1');
    assert.equal(await chosen('chat.v2,chat.v1'), 'chat.v2');
    assert.equal(await chosen('mqtt,\t chat.v2 ,x'), 'chat.v2');
    assert.equal(await chosen('mqtt', 'Sec-WebSocket-Protocol: chat.v2\r\n'), 'chat.v2');
  });
  test('without a common one none is named', async () => {
    for (const wishes of ['mqtt', 'CHAT.V1', 'chat', 'chat.v11', 'chat.v1;q=1', '', null]) {
      assert.equal(await chosen(wishes), undefined, wishes);
    }
  });
  test('where none is configured none is named', async () => {
    const response = await assertAccepted(headers({ 'Sec-WebSocket-Protocol': 'chat.v1' }));
    assert.equal(response.headers['sec-websocket-protocol'], undefined);
  });
  test('a client of npm agrees with the choice', async () => {
    const client = await connect(weir.ws('/protocols'), { protocols: ['x', 'chat.v2'] });
    assert.equal(client.protocol, 'chat.v2');
    await client.close();
  });
});

suite('the first frames', () => {
  const frames = [frame({ opcode: TEXT, payload: 'one' }), frame({ opcode: TEXT, payload: 'two' }), closeFrame(1000)];
  const expected = ['text one', 'text two', 'close 1000'];
  test('may come in the same packet as the handshake', async () => {
    const c = await rawConnect(weir.port);
    c.send(Buffer.concat([Buffer.from(upgradeHead()), ...frames]));
    assert.equal((await c.readResponse()).status, 101);
    assert.deepEqual(framesOf(await c.readToEnd()).map(words), expected);
    c.destroy();
  });
  test('may be cut anywhere, and so may the handshake', async () => {
    const c = await rawConnect(weir.port);
    await c.sendSplit(Buffer.concat([Buffer.from(upgradeHead()), ...frames]));
    assert.equal((await c.readResponse()).status, 101);
    assert.deepEqual(framesOf(await c.readToEnd()).map(words), expected);
    c.destroy();
  });
  test('may begin in the packet that ends the handshake, at any byte', async () => {
    const all = Buffer.concat([Buffer.from(upgradeHead()), ...frames]);
    for (let cut = all.length - Buffer.concat(frames).length - 2; cut < all.length; cut++) {
      const c = await rawConnect(weir.port);
      await c.send(all.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      c.send(all.subarray(cut));
      assert.equal((await c.readResponse()).status, 101);
      assert.deepEqual(framesOf(await c.readToEnd()).map(words), expected, `cut at ${cut}`);
      c.destroy();
    }
  });
  test('may be more than one read of the gateway', async () => {
    const c = await rawConnect(weir.port);
    const payload = Buffer.alloc(900000, 7);
    c.send(Buffer.concat([Buffer.from(upgradeHead()), frame({ opcode: 2, payload }), frame({ payload: 'end' })]));
    assert.equal((await c.readResponse()).status, 101);
    assert.ok((await c.readFrame()).payload.equals(payload));
    assert.equal(words(await c.readFrame()), 'text end');
    c.destroy();
  });
  test('a bad one after a good handshake still gets its 101 and the reason', async () => {
    const c = await rawConnect(weir.port);
    c.send(Buffer.concat([Buffer.from(upgradeHead()), frame({ mask: null, payload: 'x' })]));
    assert.equal((await c.readResponse()).status, 101);
    assert.deepEqual(framesOf(await c.readToEnd()).map(words), ['close 1002']);
    c.destroy();
  });
});

test('many clients at once each get their own answer', async () => {
  const clients = await Promise.all(Array.from({ length: 100 }, () => rawUpgrade(weir.port)));
  clients.forEach((c, i) => c.send(frame({ payload: `client ${i}` })));
  for (const [i, c] of clients.entries()) {
    assert.equal(words(await c.readFrame()), `text client ${i}`);
    c.destroy();
  }
});
