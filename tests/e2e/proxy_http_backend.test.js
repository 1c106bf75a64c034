// The connection to the backend: by TCP, unix socket and TLS; kept, used again, found dead; and what the access log says
// of it.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test, describe } = require('node:test');
const { startBackend, startProxy, answer } = require('./lib/backend');
const { makeCertificates } = require('./lib/certs');
const { rawConnect, rawRequest } = require('./lib/raw');
const { freePort, waitFor } = require('./lib/weir');

const OK = async (request, socket) => {
  const { body } = await request.read();
  answer(socket, 200, {}, `${request.method} ${body}`);
};
const ask = (method, target = '/', body = '') => `${method} ${target} HTTP/1.1\r\nHost: a.example\r\n${body ? `Content-Length: ${body.length}\r\n` : ''}\r\n${body}`;

async function pass(weir, bytes = ask('GET')) {
  const { response, connection } = await rawRequest(weir.port, bytes);
  connection.destroy();
  return response;
}

test('a backend on a unix socket serves, and is called localhost', async (t) => {
  const backend = await startBackend(t, OK, { unix: true });
  const weir = await startProxy(t, backend.address, { handler: { host: 'server' } });
  const response = await pass(weir, ask('POST', '/', 'hello'));
  assert.deepEqual([response.status, response.body.toString()], [200, 'POST hello']);
  assert.equal(backend.requests[0].header('host'), 'localhost');
});

describe('TLS to the backend', () => {
  const NAME = 'backend.example';

  async function secure(t, { upstream = {}, server = {}, files = {} } = {}) {
    const certs = makeCertificates(t);
    const pair = certs.pair(NAME);
    const options = { cert: fs.readFileSync(pair.certificate), key: fs.readFileSync(pair.private_key) };
    const backend = await startBackend(t, OK, { tls: { ...options, ...(typeof server === 'function' ? server(certs) : server) } });
    const tls = typeof upstream === 'function' ? upstream(certs, pair) : { ca: pair.certificate, server_name: NAME, ...upstream };
    const weir = await startProxy(t, backend.address, { upstream: { tls }, files: typeof files === 'function' ? files(certs) : files });
    return { weir, backend };
  }

  test('is used, and the certificate is checked', async (t) => {
    const { weir, backend } = await secure(t);
    const response = await pass(weir, ask('POST', '/', 'secret'));
    assert.deepEqual([response.status, response.body.toString()], [200, 'POST secret']);
    const [{ socket }] = backend.requests;
    assert.equal(socket.encrypted, true);
    assert.equal(socket.servername, NAME, 'SNI');
  });

  test('is kept for the next request', async (t) => {
    const { weir, backend } = await secure(t);
    for (let i = 0; i < 3; i++) {
      assert.equal((await pass(weir)).status, 200);
    }
    assert.equal(backend.connections, 1);
  });

  test('is 502 where another authority is asked for', async (t) => {
    const { weir, backend } = await secure(t, { upstream: (certs) => ({ ca: certs.pair(NAME).certificate, server_name: NAME }) });
    assert.equal((await pass(weir)).status, 502);
    assert.equal(backend.requests.length, 0);
  });

  test('is 502 where the certificate is for another name', async (t) => {
    const { weir, backend } = await secure(t, { upstream: { server_name: 'other.example' } });
    assert.equal((await pass(weir)).status, 502);
    assert.equal(backend.requests.length, 0);
  });

  test('is 502 where the system’s authorities do not know it', async (t) => {
    const { weir, backend } = await secure(t, { upstream: () => true });
    assert.equal((await pass(weir)).status, 502);
    assert.equal(backend.requests.length, 0);
  });

  test('trusts whoever answers with `verify: off`', async (t) => {
    const { weir } = await secure(t, { upstream: () => ({ verify: false }) });
    assert.equal((await pass(weir)).status, 200);
  });

  test('is 502 where the backend speaks none', async (t) => {
    const server = http.createServer(); // it answers the ClientHello with 400
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const weir = await startProxy(t, `127.0.0.1:${server.address().port}`, { upstream: { tls: { verify: false } } });
    assert.equal((await pass(weir)).status, 502);
  });

  test('shows a certificate of Weir’s own', async (t) => {
    const files = {};
    const server = (certs) => {
      const ca = fs.readFileSync(certs.authority());
      const { cert, key } = certs.client('gateway', 'Weir');
      Object.assign(files, { 'own.pem': cert, 'own.key': key });
      return { requestCert: true, rejectUnauthorized: true, ca };
    };
    const { weir, backend } = await secure(t, { server, files, upstream: { certificate: 'own.pem', private_key: 'own.key' } });
    assert.equal((await pass(weir)).status, 200);
    assert.equal(backend.requests[0].socket.getPeerCertificate().subject.CN, 'gateway');
  });

  test('is 502 where the backend wants a certificate and there is none', async (t) => {
    const server = (certs) => ({ requestCert: true, rejectUnauthorized: true, ca: fs.readFileSync(certs.authority()) });
    const { weir, backend } = await secure(t, { server });
    assert.equal((await pass(weir)).status, 502);
    assert.equal(backend.requests.length, 0);
  });
});

describe('connections are kept', () => {
  test('for requests one after the other, of any client', async (t) => {
    const backend = await startBackend(t, OK);
    const weir = await startProxy(t, backend.address);
    for (let i = 0; i < 20; i++) {
      assert.equal((await pass(weir, i % 2 ? ask('POST', '/', 'x') : ask('GET'))).status, 200);
    }
    assert.equal(backend.connections, 1);
    assert.deepEqual(backend.requests.map((request) => request.index), Array.from({ length: 20 }, (_, i) => i + 1));
  });

  test('as many as there are requests at once', async (t) => {
    const waiting = [];
    const backend = await startBackend(t, async (request, socket) => {
      await new Promise((resolve) => waiting.push(resolve));
      await OK(request, socket);
    });
    const weir = await startProxy(t, backend.address);
    for (let round = 0; round < 2; round++) {
      const all = Array.from({ length: 5 }, () => pass(weir));
      await waitFor(() => waiting.length === 5, { what: 'five requests at the backend' });
      waiting.splice(0).forEach((go) => go());
      assert.deepEqual((await Promise.all(all)).map((response) => response.status), [200, 200, 200, 200, 200]);
    }
    assert.equal(backend.connections, 5);
  });

  test('not with `max_idle: 0`', async (t) => {
    const backend = await startBackend(t, OK);
    const weir = await startProxy(t, backend.address, { upstream: { keep_alive: { max_idle: 0 } } });
    await pass(weir);
    await pass(weir);
    assert.equal(backend.connections, 2);
  });

  test('for so many requests as `max_requests` says', async (t) => {
    const backend = await startBackend(t, OK);
    const weir = await startProxy(t, backend.address, { upstream: { keep_alive: { max_requests: 2 } } });
    for (let i = 0; i < 5; i++) {
      await pass(weir);
    }
    assert.deepEqual(backend.requests.map((request) => request.connection), [1, 1, 2, 2, 3]);
  });

  test('not where the backend says `Connection: close`', async (t) => {
    const backend = await startBackend(t, (request, socket) => answer(socket, 200, { Connection: 'close' }, 'x'));
    const weir = await startProxy(t, backend.address);
    for (let i = 0; i < 3; i++) {
      const response = await pass(weir);
      assert.deepEqual([response.status, response.body.toString(), response.headers.connection], [200, 'x', undefined]);
    }
    assert.equal(backend.connections, 3);
  });

  test('not where the backend speaks HTTP/1.0', async (t) => {
    const backend = await startBackend(t, async (request, socket) => void socket.write('HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx'));
    const weir = await startProxy(t, backend.address);
    await pass(weir);
    await pass(weir);
    assert.equal(backend.connections, 2);
  });

  test('not where the backend has sent more than its response', async (t) => {
    const backend = await startBackend(t, async (request, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'));
    const weir = await startProxy(t, backend.address);
    for (let i = 0; i < 3; i++) {
      assert.equal((await pass(weir)).body.toString(), 'x');
    }
    assert.equal(backend.connections, 3);
  });

  test('until the backend closes them while they are idle, which no client notices', async (t) => {
    const backend = await startBackend(t, OK);
    const weir = await startProxy(t, backend.address);
    for (let i = 1; i <= 3; i++) {
      assert.equal((await pass(weir, ask('POST', '/', 'x'))).status, 200);
      assert.equal(backend.connections, i);
      const idle = weir.openDescriptors();
      backend.closeConnections();
      await waitFor(() => weir.openDescriptors() < idle, { what: 'the gateway to have noticed' });
    }
  });
});

describe('a kept connection that turns out dead', () => {
  // Kills each connection with its second request, as a backend whose patience has just ended.
  const dying = async (request, socket) => {
    if (request.index > 1) {
      socket.destroy();
      return;
    }
    await OK(request, socket);
  };

  for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE']) {
    test(`is replaced for ${method}`, async (t) => {
      const backend = await startBackend(t, dying);
      const weir = await startProxy(t, backend.address);
      await pass(weir);
      const { response, connection } = await rawRequest(weir.port, ask(method) + ask('GET', '/next'));
      connection.destroy();
      assert.equal(response.status, 200);
      assert.deepEqual(backend.requests.slice(1, 3).map((request) => [request.method, request.connection, request.index]), [[method, 1, 2], [method, 2, 1]]);
    });
  }

  for (const [what, bytes] of [['POST', ask('POST', '/', 'x')], ['POST without a body', ask('POST')], ['PATCH', ask('PATCH', '/', 'x')], ['PUT that has begun to send its body', ask('PUT', '/', 'x')]]) {
    test(`is 502 for ${what}, which is sent once only`, async (t) => {
      const backend = await startBackend(t, async (request, socket) => {
        await request.read();
        await (request.index > 1 ? socket.destroy() : answer(socket, 200, {}, ''));
      });
      const weir = await startProxy(t, backend.address);
      await pass(weir);
      assert.equal((await pass(weir, bytes)).status, 502);
      assert.equal(backend.requests.length, 2);
    });
  }

  test('is replaced once only', async (t) => {
    const backend = await startBackend(t, OK);
    const weir = await startProxy(t, backend.address);
    await pass(weir);
    backend.answer = (request, socket) => void socket.destroy();
    assert.equal((await pass(weir)).status, 502);
    assert.deepEqual(backend.requests.map((request) => request.connection), [1, 1, 2]);
  });

  test('is no reason to try again where the connection was fresh', async (t) => {
    const backend = await startBackend(t, (request, socket) => void socket.destroy());
    const weir = await startProxy(t, backend.address);
    assert.equal((await pass(weir)).status, 502);
    assert.equal(backend.requests.length, 1);
  });

  test('is no reason to try again where an answer has begun', async (t) => {
    const backend = await startBackend(t, OK);
    const weir = await startProxy(t, backend.address);
    await pass(weir);
    backend.answer = (request, socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Le');
    assert.equal((await pass(weir)).status, 502);
    assert.equal(backend.requests.length, 2);
  });
});

describe('the access log', () => {
  // The lines of the gateway's own access log, once there are `count`.
  const lines = async (weir, count) => {
    const read = () => fs.readFileSync(path.join(weir.dir, 'access.log'), 'utf8').split('\n').filter(Boolean);
    await waitFor(() => read().length >= count, { what: `${count} lines of the access log` });
    return read().map((line) => JSON.parse(line));
  };
  const LOGGED = { route: { plugins: [{ access_log: 'access.log' }] } };
  const isTime = (value, atMost) => assert.ok(Number.isFinite(value) && value >= 0 && value <= atMost, `${value} of ${atMost} ms`);

  test('names upstream and server, with status, times and bytes', async (t) => {
    const backend = await startBackend(t, OK);
    const weir = await startProxy(t, backend.address, LOGGED);
    const response = await pass(weir, ask('POST', '/x', 'hello'));
    const [line] = await lines(weir, 1);
    assert.deepEqual(
      [line.method, line.path, line.status, line.upstream, line.server, line.upstream_status, line.tries],
      ['POST', '/x', 200, 'backend', backend.address, 200, 1],
    );
    isTime(line.connect_ms, line.first_byte_ms);
    isTime(line.first_byte_ms, line.duration_ms);
    assert.ok(line.upstream_bytes_sent > 'POST /x HTTP/1.1'.length + 5);
    assert.ok(line.upstream_bytes_received >= response.body.length);
  });

  test('has the time that the backend has taken', async (t) => {
    const TOOK_MS = 120;
    const backend = await startBackend(t, async (request, socket) => {
      await new Promise((resolve) => setTimeout(resolve, TOOK_MS)); // the time is what is measured
      answer(socket, 200, {}, '');
    });
    const weir = await startProxy(t, backend.address, LOGGED);
    await pass(weir);
    const [line] = await lines(weir, 1);
    assert.ok(line.first_byte_ms >= TOOK_MS - 5, `${line.first_byte_ms} ms`);
    assert.ok(line.connect_ms < line.first_byte_ms);
  });

  test('tells of a backend that could not be reached', async (t) => {
    const nobody = `127.0.0.1:${await freePort()}`;
    const weir = await startProxy(t, nobody, LOGGED);
    assert.equal((await pass(weir)).status, 502);
    const [line] = await lines(weir, 1);
    assert.deepEqual([line.status, line.upstream, line.server, line.upstream_status], [502, 'backend', nobody, undefined]);
  });

  test('tells the backend’s status where the client got another', async (t) => {
    const backend = await startBackend(t, (request, socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n'));
    const weir = await startProxy(t, backend.address, LOGGED);
    assert.equal((await pass(weir)).status, 502);
    const [line] = await lines(weir, 1);
    assert.deepEqual([line.status, line.server, line.upstream_status], [502, backend.address, undefined]);
  });

  test('has a line for a client that did not wait', async (t) => {
    const backend = await startBackend(t, () => new Promise(() => {}));
    const weir = await startProxy(t, backend.address, LOGGED);
    const c = await rawConnect(weir.port);
    c.send(ask('GET', '/slow'));
    await waitFor(() => backend.requests.length === 1, { what: 'the request at the backend' });
    c.destroy();
    const [line] = await lines(weir, 1);
    assert.deepEqual([line.path, line.server], ['/slow', backend.address]);
    assert.equal(line.upstream_status, undefined);
  });
});
