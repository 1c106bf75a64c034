// A client that goes away is no secret: the backend's connection ends at once, whatever was going on, and nothing is left
// open. And the other way about: a response that the backend does not finish is not passed off as whole.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { test, describe } = require('node:test');
const { startBackend, startProxy, answer } = require('./lib/backend');
const { makeCertificates } = require('./lib/certs');
const { openConnections } = require('./lib/echo');
const { rawConnect } = require('./lib/raw');
const { waitFor } = require('./lib/weir');

// A Node backend. `next()`: the next request, as { req, res, aborted }, where `aborted` resolves when the response can no
// longer be sent, with whether Node calls the request complete.
async function start(t, { secure = false, ...options } = {}) {
  const came = [];
  const server = http.createServer((req, res) => {
    const aborted = new Promise((resolve) => res.once('close', () => resolve({ complete: req.complete, answered: res.writableFinished })));
    req.on('error', () => {}); // that is what is waited for, by `aborted`
    came.push({ req, res, aborted });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const tls = secure ? makeCertificates(t).pair('localhost') : undefined;
  const weir = await startProxy(t, `127.0.0.1:${server.address().port}`, {
    listen: ({ address }) => [{ address, ...(tls && { tls }) }],
    ...options,
  });
  return {
    connect: () => rawConnect(secure ? { port: weir.port, tls: {} } : weir.port),
    next: () => waitFor(() => came.shift(), { what: 'a request at the backend' }),
    nothingIsLeft: () => waitFor(() => openConnections(weir) === 0, { what: 'the connections on both sides to be closed' }),
  };
}

const GET = 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n';
const post = (length) => `POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${length}\r\n\r\n`;
const CHUNKED = 'POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';
const MIB = 1024 * 1024;

// Sends until nothing is taken any more.
async function fill(c) {
  for (let taken = true; taken; ) {
    const stalled = new Promise((resolve) => setTimeout(resolve, 300, false));
    taken = await Promise.race([c.send(Buffer.alloc(MIB)).then(() => true), stalled]);
  }
}

// How clients leave.
const LEAVINGS = {
  'by closing': (c) => c.destroy(),
  'by a reset': (c) => c.reset(),
};

// [when, how it comes to that; returns the request at the backend]
const MOMENTS = {
  'while the answer is awaited': async (c, next) => {
    c.send(GET);
    return next();
  },
  'in the middle of an answer by length': async (c, next) => {
    c.send(GET);
    const one = await next();
    one.res.writeHead(200, { 'Content-Length': 100 });
    one.res.write('half');
    await c.readUntil('half');
    return one;
  },
  'in the middle of a chunked answer': async (c, next) => {
    c.send(GET);
    const one = await next();
    one.res.write('half');
    await c.readUntil('half');
    return one;
  },
  'in the middle of an answer that it does not read': async (c, next) => {
    c.send(GET);
    const one = await next();
    one.res.writeHead(200, { 'Content-Length': 64 * MIB });
    one.res.write(Buffer.alloc(64 * MIB));
    c.pause();
    await waitFor(() => one.res.socket.bytesWritten > MIB, { what: 'much to be on its way' });
    return one;
  },
  'in the middle of an upload by length': async (c, next) => {
    c.send(`${post(100)}half`);
    const one = await next();
    await new Promise((resolve) => one.req.once('data', resolve));
    return one;
  },
  'in the middle of a chunked upload': async (c, next) => {
    c.send(CHUNKED);
    const one = await next();
    await new Promise((resolve) => one.req.once('data', resolve));
    return one;
  },
  'in the middle of an upload that the backend does not read': async (c, next) => {
    c.send(post(1024 * MIB));
    const one = await next();
    await fill(c);
    return one;
  },
};

for (const secure of [false, true]) {
  describe(`a client ${secure ? 'by TLS' : 'by plain TCP'} goes`, () => {
    for (const [when, arrange] of Object.entries(MOMENTS)) {
      for (const [how, leave] of Object.entries(LEAVINGS)) {
        if (secure && how === 'by a reset') {
          continue; // it is the TCP connection below that is reset
        }
        test(`${when}, ${how}`, async (t) => {
          const { connect, next, nothingIsLeft } = await start(t, { secure, route: { max_body_size: '1GiB' } });
          const c = await connect();
          const { req, aborted } = await arrange(c, next);
          leave(c);
          req.resume(); // Node sees the end only where it reads
          assert.deepEqual(await aborted, { complete: req.method === 'GET', answered: false });
          await nothingIsLeft();
        });
      }
    }
  });
}

test('a client that goes while it waits in a queue never reaches the backend', async (t) => {
  const held = [];
  const backend = await startBackend(t, (request, socket) => new Promise((resolve) => held.push(resolve)).then(() => answer(socket, 200)));
  const weir = await startProxy(t, [{ address: backend.address, max_connections: 1 }], { upstream: { queue: { size: 10, timeout: '1m' } } });
  const first = await rawConnect(weir.port);
  first.send(GET);
  await waitFor(() => held.length === 1 && openConnections(weir) === 2, { what: 'the first request at the backend' });
  const second = await rawConnect(weir.port);
  second.send(GET);
  await waitFor(() => openConnections(weir) === 3, { what: 'the second client' });
  second.destroy();
  await waitFor(() => openConnections(weir) === 2, { what: 'the second client to be let go' });
  held.shift()();
  assert.equal((await first.readResponse()).status, 200);
  first.send(GET);
  await waitFor(() => held.length === 1, { what: 'the next request' });
  held.shift()();
  assert.equal((await first.readResponse()).status, 200);
  assert.equal(backend.requests.length, 2);
  first.destroy();
});

test('a client that has only shut its own direction counts as gone, as it cannot be told from one', async (t) => {
  const { connect, next, nothingIsLeft } = await start(t);
  const c = await connect();
  c.send(GET);
  const { aborted } = await next();
  c.end();
  assert.equal((await aborted).answered, false);
  assert.equal((await c.readToEnd()).length, 0);
  c.destroy();
  await nothingIsLeft();
});

describe('a response that the backend does not finish', () => {
  // [what it is, what the backend does; what the client must not take for whole]
  const CUTS = [
    ['by length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'],
    ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
    ['in the middle of a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf'],
  ];
  for (const [what, bytes] of CUTS) {
    for (const [how, end] of [['closed', (socket) => socket.end()], ['reset', (socket) => socket.resetAndDestroy()]]) {
      test(`${what}, ${how}, is cut for the client too`, async (t) => {
        let cut;
        const backend = await startBackend(t, (request, socket) => {
          cut = () => end(socket);
          socket.write(bytes);
          return new Promise(() => {});
        });
        const weir = await startProxy(t, backend.address);
        const c = await rawConnect(weir.port);
        c.send(GET);
        await c.readUntil('half');
        cut();
        const rest = (await c.readToEnd()).toString();
        assert.doesNotMatch(rest, /\r\n0\r\n\r\n/, 'the last chunk of a body that is not whole');
        c.destroy();
      });
    }
  }
});
