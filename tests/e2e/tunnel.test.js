// `websocket: off`: an upgrade is passed on as it came, and after the backend's 101 bytes pass both ways, untouched.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const { test, suite } = require('node:test');
const { connect } = require('./lib/client');
const { makeCertificates } = require('./lib/certs');
const { startForward, wsBackend, rawBackend, readHead } = require('./lib/forward');
const { rawConnect, upgradeHead } = require('./lib/raw');
const { waitFor } = require('./lib/weir');
const { openConnections } = require('./lib/echo');

const MIB = 1024 * 1024;
const off = { websocket: 'off' };
const toyHead = (fields = [], version = '1.1') => `GET /ws HTTP/${version}\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: toy/2\r\n${fields.map((one) => `${one}\r\n`).join('')}\r\n`;
const TOY_101 = 'HTTP/1.1 101 Toys\r\nConnection: Upgrade\r\nUpgrade: toy/2\r\nX-Toy: bear\r\n\r\n';

// A client and the backend's side of its tunnel, both raw. `early` leaves with the request, `behind` with the 101.
async function tunnel(weir, backend, { early = '', behind = '', where = {}, head = toyHead() } = {}) {
  const c = await rawConnect({ port: weir.port, ...where }, { timeoutMs: 10000 });
  c.send(Buffer.concat([Buffer.from(head), Buffer.from(early)]));
  const b = await backend.next();
  b.request = await readHead(b);
  b.send(Buffer.concat([Buffer.from(TOY_101), Buffer.from(behind)]));
  c.response = await c.readResponse();
  assert.equal(c.response.status, 101);
  return [c, b];
}

async function assertPasses(from, to, text) {
  from.send(text);
  assert.equal((await to.readBytes(Buffer.byteLength(text))).toString(), text);
}

suite('any protocol', () => {
  test('passes, with what the backend answered, and then every byte', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, off);
    const [c, b] = await tunnel(weir, backend, { head: toyHead(['Cookie: a=1', 'X-Own: yes']) });
    assert.equal(b.request.line, 'GET /ws HTTP/1.1');
    assert.deepEqual([b.request.headers.upgrade, b.request.headers.connection.toLowerCase()], ['toy/2', 'upgrade']);
    assert.deepEqual([b.request.headers.cookie, b.request.headers['x-own'], b.request.headers['x-forwarded-for']], ['a=1', 'yes', '127.0.0.1']);
    assert.deepEqual([c.response.reason, c.response.headers.upgrade, c.response.headers['x-toy']], ['Toys', 'toy/2', 'bear']);
    assert.match(c.response.headers.connection, /^upgrade$/i);
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    for (const [from, to] of [[c, b], [b, c]]) {
      from.send(every);
      assert.ok((await to.readBytes(256)).equals(every));
    }
    c.destroy();
  });

  test('what leaves right behind the request and right behind the 101 is not lost', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, off);
    const early = 'e'.repeat(100000);
    const behind = 'b'.repeat(100000);
    const [c, b] = await tunnel(weir, backend, { early, behind });
    assert.equal((await c.readBytes(behind.length)).toString(), behind);
    assert.equal((await b.readBytes(early.length)).toString(), early);
    await assertPasses(c, b, 'later');
    await assertPasses(b, c, 'later too');
    c.destroy();
  });

  test('the client’s early bytes wait for the 101: a backend that refuses never gets them', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, off);
    const c = await rawConnect(weir.port);
    c.send(`${toyHead()}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`);
    const b = await backend.next();
    await readHead(b);
    b.send('HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    assert.equal((await c.readResponse()).status, 400);
    assert.equal((await b.readQuiet(50)).includes('smuggled'), false);
    c.destroy();
  });

  test('every byte in a segment of its own, both ways at once', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, off);
    const [c, b] = await tunnel(weir, backend);
    const [x, y] = [crypto.randomBytes(500), crypto.randomBytes(500)];
    await Promise.all([c.sendSplit(x), b.sendSplit(y)]);
    assert.ok((await b.readBytes(500)).equals(x));
    assert.ok((await c.readBytes(500)).equals(y));
    c.destroy();
  });

  test('the request and the 101 may come byte by byte', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, off);
    const c = await rawConnect(weir.port);
    await c.sendSplit(`${toyHead()}early`);
    const b = await backend.next();
    await readHead(b);
    await b.sendSplit(`${TOY_101}behind`);
    assert.equal((await c.readResponse()).status, 101);
    assert.equal((await c.readBytes(6)).toString(), 'behind');
    assert.equal((await b.readBytes(5)).toString(), 'early');
    c.destroy();
  });
});

suite('refusals', () => {
  for (const [name, answer, status, body] of [
    ['400 with a body', 'HTTP/1.1 400 Session ID unknown\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"code":1}', 400, '{"code":1}'],
    ['302', 'HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n', 302, ''],
    ['500 in chunks', 'HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n', 500, 'no'],
    ['200, for a backend that ignores Upgrade', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain', 200, 'plain'],
  ]) {
    test(`${name} is passed back, and the connection serves the next request`, async (t) => {
      const backend = await rawBackend(t);
      const weir = await startForward(t, backend, off);
      const c = await rawConnect(weir.port);
      c.send(toyHead());
      let b = await backend.next();
      await readHead(b);
      b.send(answer);
      const response = await c.readResponse();
      assert.deepEqual([response.status, response.body.toString()], [status, body]);
      c.send('GET /ws HTTP/1.1\r\nHost: x\r\n\r\n');
      const again = await Promise.race([backend.next().catch(() => null), b.readUntil('\r\n\r\n').then(() => b)]);
      if (again !== b) {
        b = again;
        await readHead(b);
      }
      b.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext');
      assert.equal((await c.readResponse()).body.toString(), 'next');
      c.destroy();
    });
  }

  test('a backend that is not there is 502, one that does not answer 504, and a 101 without Upgrade 502', async (t) => {
    const nobody = await startForward(t, { port: 1 }, off);
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { ...off, proxy: { read_timeout: '200ms' } });
    const statusOf = async (port, answer) => {
      const c = await rawConnect(port);
      c.send(toyHead());
      if (answer !== undefined) {
        const b = await backend.next();
        await readHead(b);
        b.send(answer);
      }
      const { status } = await c.readResponse();
      c.destroy();
      return status;
    };
    assert.equal(await statusOf(nobody.port), 502);
    assert.equal(await statusOf(weir.port, ''), 504);
    assert.equal(await statusOf(weir.port, 'HTTP/1.1 101 Switching\r\n\r\n'), 502);
  });

  test('HTTP/1.0 has no upgrades: the backend gets a plain request', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, off);
    const c = await rawConnect(weir.port);
    c.send(toyHead([], '1.0'));
    const b = await backend.next();
    const { headers } = await readHead(b);
    assert.equal(headers.upgrade, undefined);
    b.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain');
    assert.match((await c.readToEnd()).toString(), /^HTTP\/1\.[01] 200 [^]*\r\n\r\nplain$/);
    c.destroy();
  });

  test('an upgrade to h2c is not passed on: HTTP/2 in a tunnel would get past the routes', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, off);
    const c = await rawConnect(weir.port);
    c.send('GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n');
    const b = await backend.next();
    const { headers } = await readHead(b);
    assert.deepEqual([headers.upgrade, headers['http2-settings']], [undefined, undefined]);
    b.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain');
    assert.equal((await c.readResponse()).status, 200);
    c.destroy();
  });
});

suite('half-close', () => {
  test('the client ends its direction: the backend sees the end, and still speaks', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, off);
    const [c, b] = await tunnel(weir, backend);
    await c.send('last words');
    c.end();
    assert.equal((await b.readToEnd()).toString(), 'last words');
    for (const text of ['the other', 'direction', 'flows']) {
      await assertPasses(b, c, text);
    }
    const much = crypto.randomBytes(3 * MIB);
    b.send(much);
    b.end();
    assert.ok((await c.readToEnd(10000)).equals(much));
    await waitFor(() => openConnections(weir) === 0, { what: 'the end of the tunnel' });
  });

  test('the backend ends its direction: the client sees the end, and still speaks', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, off);
    const [c, b] = await tunnel(weir, backend);
    await b.send('last words');
    b.end();
    assert.equal((await c.readToEnd()).toString(), 'last words');
    for (const text of ['the other', 'direction', 'flows']) {
      await assertPasses(c, b, text);
    }
    const much = crypto.randomBytes(3 * MIB);
    c.send(much);
    c.end();
    assert.ok((await b.readToEnd(10000)).equals(much));
    await waitFor(() => openConnections(weir) === 0, { what: 'the end of the tunnel' });
  });

  test('an end right behind the request, and right behind the 101', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, off);
    const c = await rawConnect(weir.port);
    c.send(toyHead());
    const b = await backend.next();
    await readHead(b);
    await b.send(`${TOY_101}all of it`);
    b.end();
    assert.equal((await c.readResponse()).status, 101);
    assert.equal((await c.readToEnd()).toString(), 'all of it');
    c.send('answer');
    c.end();
    assert.equal((await b.readToEnd()).toString(), 'answer');
  });

  for (const [who, index] of [['client', 0], ['backend', 1]]) {
    test(`a reset by the ${who} ends both at once`, async (t) => {
      const backend = await rawBackend(t);
      const weir = await startForward(t, backend, off);
      const both = await tunnel(weir, backend);
      await assertPasses(both[0], both[1], 'x');
      both[index].reset();
      await both[1 - index].waitEnd();
      await waitFor(() => openConnections(weir) === 0, { what: 'the end of the tunnel' });
      both[1 - index].destroy();
    });
  }
});

suite('time and counts', () => {
  test('a tunnel in which nothing moves is closed after idle_timeout, one in which anything does is not', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { ...off, proxy: { idle_timeout: '400ms' }, plugins: '[{access_log: "-"}]' });
    const [idle, idleBackend] = await tunnel(weir, backend);
    const [c, b] = await tunnel(weir, backend);
    const [d, e] = await tunnel(weir, backend);
    const start = Date.now();
    let done = false;
    const ended = Promise.all([idle.waitEnd(), idleBackend.waitEnd()]).then(() => (done = true));
    while (!done || Date.now() - start < 1000) {
      await assertPasses(c, b, 'only this way');
      await assertPasses(e, d, 'only that way');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await ended;
    assert.equal(c.ended || b.ended || d.ended || e.ended, false);
    const line = JSON.parse((await weir.waitForLog(/^\{.*"kind":"request".*\}$/m))[0]);
    assert.ok(line.duration_ms >= 400, `${line.duration_ms} ms`);
    assert.equal(line.words, 'no byte either way within idle_timeout');
    c.destroy();
    d.destroy();
  });

  test('a keep-alive timeout of requests does not end a tunnel', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { ...off, top: 'http: {idle_timeout: 100ms, header_timeout: 100ms, body_timeout: 100ms}', proxy: { read_timeout: '100ms' } });
    const [c, b] = await tunnel(weir, backend);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await assertPasses(c, b, 'still here');
    await assertPasses(b, c, 'me too');
    c.destroy();
  });

  test('the access log has status, upstream and bytes of each direction', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { ...off, plugins: '[{access_log: "-"}]' });
    const [c, b] = await tunnel(weir, backend, { early: 'x'.repeat(10), behind: 'y'.repeat(20) });
    c.send(Buffer.alloc(100000));
    await b.readBytes(100010);
    b.send(Buffer.alloc(300000));
    await c.readBytes(300020);
    c.end();
    await b.waitEnd();
    b.end();
    await c.waitEnd();
    const line = JSON.parse((await weir.waitForLog(/^\{.*"kind":"request".*\}$/m))[0]);
    assert.deepEqual([line.status, line.upstream, line.server, line.upstream_status, line.tries], [101, 'back', `127.0.0.1:${backend.port}`, 101, 1]);
    const headIn = b.request.head.length;
    assert.ok(line.upstream_bytes_sent >= 100010 && line.upstream_bytes_sent <= 100010 + headIn, `${line.upstream_bytes_sent} sent`);
    assert.ok(line.upstream_bytes_received >= 300020 && line.upstream_bytes_received <= 300020 + TOY_101.length, `${line.upstream_bytes_received} received`);
    assert.ok(line.bytes_in >= 100010 && line.bytes_in < 100010 + 1000, `${line.bytes_in} in`);
    assert.ok(line.bytes_out >= 300020 && line.bytes_out < 300020 + 1000, `${line.bytes_out} out`);
  });

  test('SIGTERM lets tunnels go on until they end', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { ...off, top: 'shutdown_timeout: 1m' });
    const [c, b] = await tunnel(weir, backend);
    const stopped = weir.stop();
    await waitFor(() => rawConnect(weir.port).then((other) => other.destroy(), () => true), { what: 'no more connections' });
    await assertPasses(c, b, 'still');
    await assertPasses(b, c, 'here');
    c.end();
    await b.waitEnd();
    b.end();
    await stopped;
  });

  test('SIGTERM cuts tunnels after shutdown_timeout', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { ...off, top: 'shutdown_timeout: 500ms' });
    const [c, b] = await tunnel(weir, backend);
    await assertPasses(c, b, 'x');
    await weir.stop({ timeoutMs: 10000 });
    await Promise.all([c.waitEnd(), b.waitEnd()]);
    c.destroy();
  });
});

suite('back-pressure', () => {
  const BOUND = 12 * MIB; // of growth: the queues are bounded by 256 and 512 KiB; the rest is the allocator's

  // Sends until nothing more is taken for 300 ms; returns the bytes sent. The kernel's buffers take several MiB.
  async function sendUntilStuck(c) {
    const block = crypto.randomBytes(256 * 1024);
    const hash = crypto.createHash('sha256');
    let sent = 0;
    while (sent < 256 * MIB) {
      hash.update(block);
      sent += block.length;
      const taken = c.send(block).then(() => true);
      if (c.socket.writableLength > MIB && !(await Promise.race([taken, new Promise((resolve) => setTimeout(resolve, 300, false))]))) {
        return { sent, hash: hash.digest('hex') };
      }
    }
    throw new Error('256 MiB were taken, and nobody reads them');
  }

  async function readHash(c, size) {
    const hash = crypto.createHash('sha256');
    for (let left = size; left > 0; ) {
      const part = await c.readBytes(Math.min(left, MIB), 20000);
      hash.update(part);
      left -= part.length;
    }
    return hash.digest('hex');
  }

  for (const [who, index] of [['client', 0], ['backend', 1]]) {
    test(`a ${who} that does not read stops the other one's sending, with flat memory, and then gets everything`, async (t) => {
      const backend = await rawBackend(t);
      const weir = await startForward(t, backend, off);
      const pairs = [];
      for (let i = 0; i < 4; i++) {
        pairs.push(await tunnel(weir, backend));
      }
      const before = weir.residentBytes();
      pairs.forEach((both) => both[index].pause());
      const sent = await Promise.all(pairs.map((both) => sendUntilStuck(both[1 - index])));
      const grown = weir.residentBytes() - before;
      assert.ok(grown < BOUND, `grew by ${grown} bytes`);
      await assertPasses(pairs[0][index], pairs[0][1 - index], 'the other direction flows');
      for (const [i, both] of pairs.entries()) {
        both[index].resume();
        assert.equal(await readHash(both[index], sent[i].sent), sent[i].hash);
      }
      await assertPasses(pairs[0][0], pairs[0][1], 'and on');
      pairs.forEach(([c]) => c.destroy());
    });
  }
});

suite('WebSocket through a tunnel', () => {
  test('client and backend settle extensions and subprotocols themselves; Weir changes no field of the handshake', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, off);
    const c = await rawConnect(weir.port);
    const headers = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, x-own; a=1', 'Sec-WebSocket-Protocol': 'a, b', Origin: 'https://e.example', 'Sec-WebSocket-Key': 'not even a key', 'Sec-WebSocket-Version': '99' };
    c.send(upgradeHead({ headers }));
    const b = await backend.next();
    const request = await readHead(b);
    for (const [name, value] of Object.entries(headers)) {
      assert.equal(request.headers[name.toLowerCase()], value);
    }
    const answer = { Upgrade: 'websocket', 'Sec-WebSocket-Accept': 'whatever', 'Sec-WebSocket-Extensions': 'x-own; b="2"', 'Sec-WebSocket-Protocol': 'b' };
    b.send(`HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\n${Object.entries(answer).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    const response = await c.readResponse();
    for (const [name, value] of Object.entries(answer)) {
      assert.equal(response.headers[name.toLowerCase()], value);
    }
    c.destroy();
  });

  test('ws and ws agree on permessage-deflate through it, with context takeover, and see each other’s pings and codes', async (t) => {
    const backend = await wsBackend(t, { perMessageDeflate: { threshold: 0 }, handleProtocols: () => 'b' });
    const weir = await startForward(t, backend, off);
    const client = await connect(weir.ws(), { perMessageDeflate: { threshold: 0 }, protocols: ['a', 'b'] });
    const session = await backend.next();
    assert.match(client.extensions, /permessage-deflate/);
    assert.equal(client.protocol, 'b');
    for (let i = 0; i < 50; i++) {
      client.send(`message ${i} `.repeat(100));
      assert.equal((await session.next()).text, `message ${i} `.repeat(100));
      session.send(Buffer.alloc(10000, i));
      assert.ok((await client.next()).data.equals(Buffer.alloc(10000, i)));
    }
    client.socket.ping();
    await waitFor(() => client.pongs === 1, { what: 'the pong' });
    assert.equal(session.pings, 1, 'it was the backend’s to answer');
    session.close(4242, 'mine');
    assert.deepEqual(await client.closed, { code: 4242, reason: 'mine' });
  });

  test('100 tunnels at once carry random bytes both ways without mixing them up', async (t) => {
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { ...off, top: '' });
    const SIZE = 200000;
    const run = async () => {
      const id = crypto.randomBytes(8).toString('hex');
      const c = await rawConnect(weir.port, { timeoutMs: 20000 });
      c.send(toyHead([`X-Id: ${id}`]));
      const response = await c.readResponse();
      assert.equal(response.headers['x-id'], id);
      const data = crypto.randomBytes(SIZE);
      c.send(data);
      c.end();
      assert.ok((await c.readToEnd(20000)).equals(Buffer.from(data.map((byte) => byte ^ 0xff))), 'other bytes');
      c.destroy();
    };
    const serve = async () => {
      const b = await backend.next(20000);
      const { headers } = await readHead(b);
      b.send(TOY_101.replace('X-Toy', `X-Id: ${headers['x-id']}\r\nX-Toy`));
      for (let left = SIZE; left > 0; ) {
        const part = await b.readBytes(Math.min(left, 5000), 20000);
        left -= part.length;
        b.send(Buffer.from(part.map((byte) => byte ^ 0xff)));
      }
      await b.waitEnd(20000);
      b.end();
    };
    await Promise.all(Array.from({ length: 100 }, () => [run(), serve()]).flat());
    await waitFor(() => openConnections(weir) === 0, { what: 'the end of all tunnels' });
  });
});

suite('TLS', () => {
  async function assertTunnels(weir, backend, where) {
    const [c, b] = await tunnel(weir, backend, { early: 'early', behind: 'behind', where });
    assert.equal((await c.readBytes(6)).toString(), 'behind');
    assert.equal((await b.readBytes(5)).toString(), 'early');
    for (const [from, to] of [[c, b], [b, c]]) {
      const data = crypto.randomBytes(2 * MIB);
      from.send(data);
      assert.ok((await to.readBytes(data.length, 10000)).equals(data));
    }
    await b.send('the end');
    b.end();
    assert.equal((await c.readToEnd()).toString(), 'the end');
    c.end();
    await b.waitEnd();
    c.destroy();
  }

  test('with the client', async (t) => {
    const certs = makeCertificates(t);
    const backend = await rawBackend(t);
    const weir = await startForward(t, backend, { ...off, listener: { tls: certs.pair('localhost') } });
    await assertTunnels(weir, backend, { tls: {} });
    const [c, b] = await tunnel(weir, backend, { where: { tls: {} } });
    assert.equal(b.request.headers['x-forwarded-proto'], 'https');
    c.destroy();
  });

  test('with the backend', async (t) => {
    const certs = makeCertificates(t);
    const { certificate, private_key: key } = certs.pair('back.example');
    const backend = await rawBackend(t, { tls: { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) } });
    const weir = await startForward(t, backend, { ...off, upstream: { tls: { ca: certificate, server_name: 'back.example' } } });
    await assertTunnels(weir, backend, {});
  });

  test('with both', async (t) => {
    const certs = makeCertificates(t);
    const { certificate, private_key: key } = certs.pair('back.example');
    const backend = await rawBackend(t, { tls: { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) } });
    const weir = await startForward(t, backend, { ...off, listener: { tls: certs.pair('localhost') }, upstream: { tls: { ca: certificate, server_name: 'back.example' } } });
    await assertTunnels(weir, backend, { tls: {} });
  });
});
