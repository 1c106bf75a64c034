// A backend that reads requests to the byte and answers with whatever bytes the test writes.
//
//   const backend = await startBackend(t, async (request, socket) => {
//     const { body } = await request.read();
//     answer(socket, 200, { 'X-Size': body.length }, 'hello');
//   });
//   backend.address            // 127.0.0.1:PORT or unix:PATH, for `upstreams`
//   backend.requests           // { method, target, headers: [[name, value]], connection, ... }, in order of coming
//   backend.connections        // how many have been accepted
//   backend.answer = other;    // from the next request on
//
//   const weir = await startProxy(t, backend.address, { handler: { strip_prefix: '/api' } });
//
// One connection's requests are answered one after the other. What of a body the answer did not read is read,
// and thrown away, before the next request.
'use strict';

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const tls = require('node:tls');
const { startWeir } = require('./weir');

// Pulls bytes from a socket; nothing is read that nobody asked for, beyond one chunk.
class Reader {
  constructor(socket) {
    this.source = socket[Symbol.asyncIterator]();
    this.kept = Buffer.alloc(0);
  }

  // More bytes into `kept`; false at the end.
  async #more() {
    const { value, done } = await this.source.next();
    if (!done) {
      this.kept = this.kept.length === 0 ? value : Buffer.concat([this.kept, value]);
    }
    return !done;
  }

  #take(size) {
    const bytes = this.kept.subarray(0, size);
    this.kept = this.kept.subarray(size);
    return bytes;
  }

  // Up to `mark`, which is consumed and left out; null where the peer ends before it.
  async until(mark) {
    for (;;) {
      const at = this.kept.indexOf(mark, 0, 'latin1');
      if (at >= 0) {
        const text = this.#take(at + mark.length).toString('latin1');
        return text.slice(0, -mark.length);
      }
      if (!(await this.#more())) {
        return null;
      }
    }
  }

  // A line of a body's framing.
  async line() {
    const text = await this.until('\r\n');
    if (text === null) {
      throw new Error('the connection ended within a body');
    }
    return text;
  }

  // At least one byte and at most `size`.
  async some(size) {
    if (this.kept.length === 0 && !(await this.#more())) {
      throw new Error('the connection ended within a body');
    }
    return this.#take(Math.min(size, this.kept.length));
  }
}

const fieldOf = (line) => {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
};

class Request {
  constructor(head, reader, socket) {
    const [line, ...lines] = head.split('\r\n');
    [this.method, this.target, this.version] = line.split(' ');
    this.headers = lines.map(fieldOf);
    this.reader = reader;
    this.socket = socket;
    this.isRead = false;
  }

  // All values of that name, joined; undefined where there is none.
  header(name) {
    const values = this.headers.filter(([other]) => other.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
    return values.length > 0 ? values.join(', ') : undefined;
  }

  // The pieces of the body as they come. Trailers are in `trailers` at its end.
  async *pieces() {
    this.isRead = true;
    this.trailers = [];
    if (this.header('transfer-encoding') === 'chunked') {
      yield* this.#chunks();
    } else {
      yield* this.#counted(Number(this.header('content-length') || 0));
    }
  }

  async *#counted(size) {
    for (let left = size; left > 0; ) {
      const piece = await this.reader.some(left);
      left -= piece.length;
      yield piece;
    }
  }

  async *#chunks() {
    for (;;) {
      const size = parseInt(await this.reader.line(), 16);
      if (size === 0) {
        break;
      }
      yield* this.#counted(size);
      await this.reader.line();
    }
    for (let line = await this.reader.line(); line !== ''; line = await this.reader.line()) {
      this.trailers.push(fieldOf(line));
    }
  }

  // { size, hash, body }: all of the body; `body` is null above 1 MiB.
  async read() {
    const hash = createHash('sha256');
    const kept = [];
    let size = 0;
    for await (const piece of this.pieces()) {
      hash.update(piece);
      size += piece.length;
      if (size <= 1024 * 1024) {
        kept.push(piece);
      }
    }
    this.size = size;
    this.hash = hash.digest('hex');
    return { size, hash: this.hash, body: size <= 1024 * 1024 ? Buffer.concat(kept) : null };
  }
}

async function serve(backend, socket) {
  const reader = new Reader(socket);
  const connection = ++backend.connections;
  for (let index = 1; !socket.writableEnded; index++) {
    const head = await reader.until('\r\n\r\n');
    if (head === null) {
      break;
    }
    const request = Object.assign(new Request(head, reader, socket), { connection, index });
    backend.requests.push(request);
    await backend.answer(request, socket);
    if (!request.isRead && !socket.writableEnded) {
      await request.read();
    }
  }
  socket.end();
}

// Writes a whole response with Content-Length, unless `headers` frame it otherwise.
function answer(socket, status, headers = {}, body = '', reason = 'Whatever') {
  const bytes = Buffer.from(body);
  const all = status === 204 || 'Transfer-Encoding' in headers ? headers : { 'Content-Length': bytes.length, ...headers };
  const lines = Object.entries(all).flatMap(([name, value]) => [].concat(value).map((one) => `${name}: ${one}\r\n`));
  socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n${lines.join('')}\r\n`, 'latin1'), bytes]));
}

// Options: `unix: true` for a socket in the file system; `tls`: options of tls.createServer.
async function startBackend(t, respond, { unix = false, tls: secure = null } = {}) {
  const backend = { answer: respond, requests: [], connections: 0, sockets: new Set() };
  const accept = (socket) => {
    backend.sockets.add(socket);
    socket.on('close', () => backend.sockets.delete(socket));
    socket.on('error', () => {}); // a reset is the test's own doing, and ends the reading below
    serve(backend, socket).catch(() => socket.destroy());
  };
  const server = secure ? tls.createServer({ allowHalfOpen: true, ...secure }, accept) : net.createServer({ allowHalfOpen: true, noDelay: true }, accept);
  server.on('tlsClientError', (error) => (backend.tlsError = error));
  const dir = unix ? fs.mkdtempSync(path.join(os.tmpdir(), 'weir-backend-')) : null;
  const file = unix && path.join(dir, 'backend.sock');
  await new Promise((resolve) => (unix ? server.listen(file, resolve) : server.listen(0, '127.0.0.1', resolve)));
  backend.port = unix ? null : server.address().port;
  backend.address = unix ? `unix:${file}` : `127.0.0.1:${backend.port}`;
  backend.closeConnections = () => backend.sockets.forEach((socket) => socket.destroy());
  t.after(() => {
    backend.closeConnections();
    server.close();
    if (dir) {
      fs.rmSync(dir, { recursive: true, force: true });
    }
  });
  return backend;
}

// A gateway with one worker that forwards everything to `addresses`. `upstream`, `handler`, `route`: further keys of the
// YAML; `routes`: routes before that one; `listen`: a function from what startWeir gives to a list of listeners.
function startProxy(t, addresses, { upstream = {}, handler = {}, route = {}, routes = [], http = {}, listen, ...options } = {}) {
  const listeners = listen || (({ address }) => [{ address }]);
  return startWeir(
    t,
    (given) =>
      JSON.stringify(
        {
          workers: 1,
          log_level: 'info',
          listen: listeners(given),
          http,
          upstreams: { backend: { servers: [].concat(addresses), ...upstream } },
          routes: [...routes, { path: '/', ...route, handler: { proxy: 'backend', ...handler } }],
        },
        null,
        2,
      ),
    options,
  );
}

module.exports = { startBackend, startProxy, answer };
