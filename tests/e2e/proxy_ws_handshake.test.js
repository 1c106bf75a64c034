// The opening handshake of a proxied session: the client is answered when the backend has answered, with what it said.
'use strict';

const assert = require('node:assert/strict');
const { test, suite } = require('node:test');
const { refused } = require('./lib/client');
const { startForward, wsBackend, rawBackend, readHead, upgradeAnswer, pair } = require('./lib/forward');
const { rawConnect, upgradeHead } = require('./lib/raw');
const { frame } = require('./lib/frames');

suite('subprotocols', () => {
  // What the backend is offered and what the client gets, when the backend takes the last that it is offered.
  async function negotiate(t, websocket, protocols) {
    let offered = null;
    const backend = await wsBackend(t, {
      handleProtocols: (names) => {
        offered = [...names];
        return offered[offered.length - 1];
      },
    });
    const weir = await startForward(t, backend, { websocket });
    const [client] = await pair(weir, backend, { protocols });
    client.close(1000);
    await client.closed;
    return { offered, agreed: client.protocol };
  }

  test('the one that the backend chooses reaches the client', async (t) => {
    assert.deepEqual(await negotiate(t, 'on', ['chat.v2', 'chat.v1', 'x']), { offered: ['chat.v2', 'chat.v1', 'x'], agreed: 'x' });
  });

  test('a route with a list offers only what is in it', async (t) => {
    assert.deepEqual(await negotiate(t, { subprotocols: ['chat.v1', 'chat.v2'] }, ['other', 'chat.v2', 'chat.v1', 'x']), { offered: ['chat.v2', 'chat.v1'], agreed: 'chat.v1' });
  });

  test('a backend that chooses none leaves the client with none', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const [c, b] = await pair(weir, backend, { raw: true, headers: { 'Sec-WebSocket-Protocol': 'chat' } });
    assert.equal(b.request.headers['sec-websocket-protocol'], 'chat');
    assert.equal(c.response.headers['sec-websocket-protocol'], undefined);
    c.destroy();
  });

  test('a backend that chooses what nobody offered is a bad gateway', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const answer = refused(weir.ws(), { protocols: ['chat'] });
    const b = await backend.next();
    b.send(upgradeAnswer(await readHead(b), ['Sec-WebSocket-Protocol: other']));
    assert.equal((await answer).status, 502);
    await b.waitEnd();
  });
});

suite('header fields', () => {
  test('Cookie, Authorization, Origin and what else there is reach the backend; the handshake is Weir’s own', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { websocket: { compression: true } });
    const headers = { Cookie: 'a=1; b=2', Authorization: 'Bearer xyz', Origin: 'https://example.com', 'X-Own': 'yes', 'User-Agent': 'test', 'Sec-WebSocket-Extensions': 'permessage-deflate', Connection: 'Upgrade, X-Hop', 'X-Hop': 'no' };
    const [c, { request }] = await pair(weir, backend, { raw: true, target: '/ws?room=1&x=%20', host: 'chat.example.com', headers });
    assert.equal(request.line, 'GET /ws?room=1&x=%20 HTTP/1.1');
    for (const name of ['Cookie', 'Authorization', 'Origin', 'X-Own', 'User-Agent']) {
      assert.equal(request.headers[name.toLowerCase()], headers[name]);
    }
    assert.equal(request.headers.host, 'chat.example.com');
    assert.equal(request.headers['x-hop'], undefined, 'a field that Connection names is of one hop');
    assert.equal(request.headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(request.headers.upgrade, 'websocket');
    assert.equal(request.headers.connection.toLowerCase(), 'upgrade');
    assert.equal(request.headers['sec-websocket-version'], '13');
    assert.equal(Buffer.from(request.headers['sec-websocket-key'], 'base64').length, 16);
    assert.notEqual(request.headers['sec-websocket-key'], 'dGhlIHNhbXBsZSBub25jZQ==', 'the key is of one hop');
    assert.equal(request.headers['sec-websocket-extensions'], undefined, 'extensions are of one hop');
    assert.match(c.response.headers['sec-websocket-extensions'], /permessage-deflate/);
    assert.equal(c.response.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'of RFC 6455, section 1.3');
    c.destroy();
  });

  test('two sessions have two keys', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const keys = new Set();
    for (let i = 0; i < 5; i++) {
      const [c, b] = await pair(weir, backend, { raw: true });
      keys.add(b.request.headers['sec-websocket-key']);
      c.destroy();
    }
    assert.equal(keys.size, 5);
  });

  test('Set-Cookie and other fields of the 101 reach the client, those of the hop do not', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { proxy: { response_headers: { remove: ['X-Secret'], set: { 'X-Gateway': 'weir' } } } });
    const fields = ['Set-Cookie: sid=1; HttpOnly', 'Set-Cookie: theme=dark', 'X-Own: yes', 'X-Secret: no', 'Keep-Alive: timeout=5', 'Server: b'];
    const [c] = await pair(weir, backend, { raw: true, fields });
    const { head, headers } = c.response;
    assert.match(head, /\r\nset-cookie: sid=1; HttpOnly\r\n/i);
    assert.match(head, /\r\nset-cookie: theme=dark\r\n/i);
    assert.equal(headers['x-own'], 'yes');
    assert.equal(headers['x-gateway'], 'weir');
    assert.equal(headers['x-secret'], undefined);
    assert.equal(headers['keep-alive'], undefined);
    for (const name of ['upgrade', 'connection', 'sec-websocket-accept']) {
      assert.equal(head.toLowerCase().split(`\r\n${name}:`).length, 2, `${name} once`);
    }
    c.destroy();
  });
});

suite('the backend’s refusal', () => {
  const REFUSALS = {
    '401 with a body': { head: 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Type: text/plain\r\nX-Why: no\r\nContent-Length: 8\r\n\r\nsign in!', status: 401, headers: { 'www-authenticate': 'Basic realm="x"', 'x-why': 'no', 'content-type': 'text/plain' }, body: 'sign in!' },
    '302': { head: 'HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n', status: 302, headers: { location: '/login' }, body: '' },
    '500 in chunks': { head: 'HTTP/1.1 500 Broken\r\nTransfer-Encoding: chunked\r\n\r\n4\r\noh, \r\n2\r\nno\r\n0\r\n\r\n', status: 500, headers: {}, body: 'oh, no' },
    '200, which is no acceptance': { head: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi', status: 200, headers: {}, body: 'hi' },
    '426': { head: 'HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n', status: 426, headers: {}, body: '' },
  };
  for (const [name, { head, status, headers, body }] of Object.entries(REFUSALS)) {
    test(`${name} is passed back, and not before it came`, async (t) => {
      const backend = await rawBackend(t);
      const weir = await startForward(t, backend);
      const c = await rawConnect(weir.port);
      c.send(upgradeHead());
      const b = await backend.next();
      await readHead(b);
      assert.equal((await c.readQuiet(50)).length, 0, 'nothing yet');
      b.send(head);
      const answer = await c.readResponse();
      assert.equal(answer.status, status);
      for (const [field, value] of Object.entries(headers)) {
        assert.equal(answer.headers[field], value);
      }
      assert.equal(answer.body.toString(), body);
      c.destroy();
    });
  }

  test('a refusal with a body without end is streamed', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const c = await rawConnect(weir.port);
    c.send(upgradeHead());
    const b = await backend.next();
    await readHead(b);
    b.send('HTTP/1.1 503 Later\r\nRetry-After: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n');
    assert.match((await c.readUntil('\r\n\r\n')).toString(), /^HTTP\/1\.1 503 Later\r\n[^]*Retry-After: 5\r\n/i);
    await c.readUntil('first');
    b.send('6\r\nsecond\r\n0\r\n\r\n');
    await c.readUntil('second');
    c.destroy();
  });

  test('ws sees the refusal of a ws backend as it would without Weir', async (t) => {
    const backend = await wsBackend(t, { verifyClient: (info, done) => done(false, 403, 'go away', { 'X-Why': 'unknown' }) });
    const weir = await startForward(t, backend);
    const answer = await refused(weir.ws());
    assert.deepEqual([answer.status, answer.headers['x-why'], answer.body], [403, 'unknown', 'go away']);
  });
});

suite('the order of answers', () => {
  test('the client’s 101 comes after the backend’s', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const c = await rawConnect(weir.port);
    c.send(upgradeHead());
    const b = await backend.next();
    const request = await readHead(b);
    assert.equal((await c.readQuiet(100)).length, 0);
    b.send(upgradeAnswer(request));
    assert.equal((await c.readResponse()).status, 101);
    c.destroy();
  });

  test('a 101 that comes byte by byte, behind an interim response, is understood', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const c = await rawConnect(weir.port);
    c.send(upgradeHead());
    const b = await backend.next();
    const request = await readHead(b);
    await b.sendSplit('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n');
    await b.sendSplit(upgradeAnswer(request, [], frame({ payload: 'hi', mask: null })));
    assert.equal((await c.readResponse()).status, 103);
    assert.equal((await c.readResponse()).status, 101);
    assert.equal((await c.readFrame()).payload.toString(), 'hi');
    c.destroy();
  });

  test('a client that leaves while the backend thinks is the backend’s to know', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const c = await rawConnect(weir.port);
    c.send(upgradeHead());
    const b = await backend.next();
    await readHead(b);
    c.reset();
    await b.waitEnd();
    assert.equal(b.received.length, 0);
  });
});

suite('what never reaches the backend', () => {
  const BAD = {
    'without a key': [{ headers: { 'Sec-WebSocket-Key': null } }, 400],
    'with a key of the wrong length': [{ headers: { 'Sec-WebSocket-Key': 'c2hvcnQ=' } }, 400],
    'with another version': [{ headers: { 'Sec-WebSocket-Version': '8' } }, 426],
    'from a page that may not': [{ headers: { Origin: 'https://evil.example' } }, 403],
  };
  for (const [name, [options, status]] of Object.entries(BAD)) {
    test(`an upgrade ${name} is refused with ${status}`, async (t) => {
      const backend = await wsBackend(t);
      const weir = await startForward(t, backend, { websocket: { allowed_origins: ['https://good.example'] } });
      const c = await rawConnect(weir.port);
      c.send(upgradeHead(options));
      assert.equal((await c.readResponse()).status, status);
      c.destroy();
      const [client] = await pair(weir, backend, { origin: 'https://good.example' });
      assert.deepEqual([backend.connections, backend.requests.length], [1, 1], 'only the good one');
      assert.equal(backend.requests[0].headers.origin, 'https://good.example');
      client.close(1000);
      await client.closed;
    });
  }

  test('what a plugin refuses', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend, { plugins: '[gate]', files: { 'gate.lua': 'return { on_request = function(req) if not req.headers["cookie"] then return req:reply(401, {}, "sign in first") end end }' } });
    const answer = await refused(weir.ws());
    assert.deepEqual([answer.status, answer.body], [401, 'sign in first']);
    const [client] = await pair(weir, backend, { headers: { Cookie: 'x=1' } });
    assert.equal(backend.connections, 1);
    client.close(1000);
    await client.closed;
  });
});

suite('bad answers of the backend are 502', () => {
  const reply = (fields) => `HTTP/1.1 101 Switching Protocols\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
  const BAD = {
    'another accept key': () => reply(['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=']),
    'no accept key': () => reply(['Upgrade: websocket', 'Connection: Upgrade']),
    'an extension that nobody offered': (accept) => reply(['Upgrade: websocket', 'Connection: Upgrade', accept, 'Sec-WebSocket-Extensions: permessage-deflate']),
    'another protocol': (accept) => reply(['Upgrade: toy', 'Connection: Upgrade', accept]),
    'no Connection': (accept) => reply(['Upgrade: websocket', accept]),
    'no HTTP': () => 'what?\r\n\r\n',
  };
  const { createHash } = require('node:crypto');
  for (const [name, answer] of Object.entries(BAD)) {
    test(name, async (t) => {
      const backend = await rawBackend(t);
      const weir = await startForward(t, backend);
      const c = await rawConnect(weir.port);
      c.send(upgradeHead());
      const b = await backend.next();
      const { headers } = await readHead(b);
      const digest = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      b.send(answer(`Sec-WebSocket-Accept: ${digest}`));
      assert.equal((await c.readResponse()).status, 502);
      await b.waitEnd();
      c.destroy();
    });
  }

  test('a backend that ends without an answer, or is not there', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend);
    const c = await rawConnect(weir.port);
    c.send(upgradeHead());
    const b = await backend.next();
    await readHead(b);
    b.destroy();
    assert.equal((await c.readResponse()).status, 502);
    c.destroy();
    const nobody = await startForward(t, { port: 1 }, { upstream: { tries: 1 } });
    assert.equal((await refused(nobody.ws())).status, 502);
  });

  test('a backend that does not answer within read_timeout is 504', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { proxy: { read_timeout: '200ms' } });
    assert.equal((await refused(weir.ws())).status, 504);
    const b = await backend.next();
    await b.waitEnd();
  });
});

suite('the access log of proxied sessions', () => {
  test('tells codes, counts and the backend', async (t) => {
    const backend = await wsBackend(t);
    const weir = await startForward(t, backend, { plugins: '[{access_log: "-"}]' });
    const [client, session] = await pair(weir, backend, { headers: { 'User-Agent': 'tester' } });
    await client.send('x'.repeat(50000));
    await session.next();
    await session.send('hi');
    await session.send(Buffer.alloc(100000));
    await client.next();
    await client.next();
    session.close(4321, 'enough');
    assert.equal((await client.closed).code, 4321);
    const line = JSON.parse((await weir.waitForLog(/^\{.*"kind":"session".*\}$/m))[0]);
    const told = { ...line };
    for (const name of ['time', 'id', 'host', 'duration_ms', 'connect_ms', 'first_byte_ms', 'bytes_in', 'bytes_out', 'upstream_bytes_sent', 'upstream_bytes_received']) {
      assert.ok(name in line, `no ${name} in ${JSON.stringify(line)}`);
      delete told[name];
    }
    assert.deepEqual(told, {
      kind: 'session', remote: '127.0.0.1', method: 'GET', scheme: 'ws', path: '/ws', query: '', route: '/ws', status: 101, code: 4321, reason: 'enough',
      closed_by: 'backend', words: 'closed by the backend', messages_in: 1, messages_out: 2, upstream: 'back', server: `127.0.0.1:${backend.port}`,
      upstream_status: 101, tries: 1, user_agent: 'tester',
    });
    assert.deepEqual([line.bytes_in, line.bytes_out], [50000, 100002], 'payloads');
    // To and from the backend every byte counts: the handshake and the heads of frames too.
    assert.ok(line.upstream_bytes_sent > 50150 && line.upstream_bytes_sent < 51000, `${line.upstream_bytes_sent} sent`);
    assert.ok(line.upstream_bytes_received > 100120 && line.upstream_bytes_received < 101000, `${line.upstream_bytes_received} received`);
  });

  test('tells of a refusal and of a lost backend', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { plugins: '[{access_log: "-"}]' });
    const answer = refused(weir.ws());
    const b = await backend.next();
    await readHead(b);
    b.send('HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno');
    await answer;
    const first = JSON.parse((await weir.waitForLog(/^\{.*"kind":"request".*\}$/m))[0]);
    assert.deepEqual([first.status, first.upstream_status, first.server], [401, 401, `127.0.0.1:${backend.port}`]);
    const [client, lost] = await pair(weir, backend);
    lost.reset();
    assert.equal((await client.closed).code, 1014);
    const second = JSON.parse((await weir.waitForLog(/^\{.*"kind":"session".*\}$/m))[0]);
    assert.deepEqual([second.code, second.closed_by, second.words], [1014, 'backend', 'the backend was lost']);
  });
});
