// A TCP (or TLS, or unix) socket for tests that must send exactly these bytes, and see exactly what comes.
//
//   const c = await rawConnect(weir.port);          // or { port, host, path, tls: {...} }
//   c.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');     // string (latin1) or Buffer
//   const response = await c.readResponse();        // { status, headers, body, head }
//   await c.sendSplit(bytes);                       // one byte per segment
//   await c.readUntil('\r\n\r\n'); await c.readBytes(2); await c.readToEnd(); await c.readFrame();
//   c.destroy();                                    // c.reset() sends RST
//
// Every read consumes what it returns, and fails after `timeoutMs` (5 s) with what had come by then.
'use strict';

const net = require('node:net');
const tls = require('node:tls');
const { takeFrame, frameSize } = require('./frames');

class RawConnection {
  constructor(socket, timeoutMs) {
    this.socket = socket;
    this.timeoutMs = timeoutMs;
    this.chunks = []; // not yet consumed
    this.size = 0; // of all of them
    this.needed = 0; // what a read has found out that it waits for, so that it is not asked for each chunk
    this.ended = false; // the peer has sent FIN or RST
    this.error = null;
    this.waiting = new Set();
    socket.on('data', (bytes) => {
      this.chunks.push(bytes);
      this.size += bytes.length;
      if (this.size >= this.needed) {
        this.#wake();
      }
    });
    socket.on('end', () => this.#end(null));
    socket.on('close', () => this.#end(null));
    socket.on('error', (error) => this.#end(error));
  }

  // What has come and was not consumed, as one Buffer.
  get received() {
    if (this.chunks.length !== 1) {
      this.chunks = [Buffer.concat(this.chunks)];
    }
    return this.chunks[0];
  }

  #end(error) {
    this.error = this.error || error;
    this.ended = true;
    this.#wake();
  }

  #wake() {
    this.needed = 0;
    for (const check of [...this.waiting]) {
      check();
    }
  }

  // Until so many bytes have come, the one read that waits need not look again.
  #need(size) {
    this.needed = this.waiting.size === 1 ? size : 0;
    return undefined;
  }

  // Waits until `take()` returns something other than undefined; `what` is for the error message.
  #read(what, take, timeoutMs = this.timeoutMs) {
    return new Promise((resolve, reject) => {
      const done = (settle, value) => {
        clearTimeout(timer);
        this.waiting.delete(check);
        settle(value);
      };
      const fail = (why) => {
        const had = JSON.stringify(this.received.subarray(0, 500).toString('latin1'));
        done(reject, new Error(`${why} while waiting for ${what}; had ${this.received.length} bytes: ${had}`));
      };
      const check = () => {
        const value = take();
        if (value !== undefined) {
          done(resolve, value);
        } else if (this.ended) {
          fail(`connection ended${this.error ? ` (${this.error.code})` : ''}`);
        }
      };
      const timer = setTimeout(() => fail(`${timeoutMs} ms passed`), timeoutMs);
      this.needed = 0;
      this.waiting.add(check);
      check();
    });
  }

  #consume(size) {
    const bytes = this.received.subarray(0, size);
    this.chunks = [this.received.subarray(size)];
    this.size -= size;
    return bytes;
  }

  // Resolves when the bytes have been handed to the kernel; need not be awaited.
  send(bytes) {
    return new Promise((resolve) => this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, resolve));
  }

  // Each byte in a write of its own (TCP_NODELAY is on), so that the peer sees many short reads.
  async sendSplit(bytes, size = 1) {
    const all = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    for (let at = 0; at < all.length; at += size) {
      await this.send(all.subarray(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  // Up to and including the first occurrence of `mark`, as a Buffer.
  readUntil(mark, timeoutMs) {
    return this.#read(
      JSON.stringify(mark),
      () => {
        const at = this.received.indexOf(mark, 0, 'latin1');
        return at < 0 ? undefined : this.#consume(at + mark.length);
      },
      timeoutMs,
    );
  }

  readBytes(size, timeoutMs) {
    return this.#read(`${size} bytes`, () => (this.size < size ? this.#need(size) : this.#consume(size)), timeoutMs);
  }

  // Everything until the peer closes. A reset counts as closing; see `error` to tell them apart.
  readToEnd(timeoutMs) {
    return this.#read('the end', () => (this.ended ? this.#consume(this.size) : this.#need(Infinity)), timeoutMs);
  }

  // Everything that comes until nothing has come for `quietMs`, or the peer closes. Only for proving
  // that nothing more is sent; it always costs `quietMs`.
  async readQuiet(quietMs = 150) {
    let size = -1;
    while (size !== this.size && !this.ended) {
      size = this.size;
      await new Promise((resolve) => setTimeout(resolve, quietMs));
    }
    return this.#consume(this.size);
  }

  // One HTTP/1.1 response: { status, reason, headers (lower case names; repeated ones joined by ", "), head, body }.
  // `request`: 'HEAD' when the response has no body whatever its headers say.
  async readResponse({ request = 'GET', timeoutMs } = {}) {
    const head = (await this.readUntil('\r\n\r\n', timeoutMs)).toString('latin1');
    const response = parseHead(head);
    const { status, headers } = response;
    if (request === 'HEAD' || status < 200 || status === 204 || status === 304) {
      response.body = Buffer.alloc(0);
    } else if (headers['transfer-encoding'] === 'chunked') {
      response.body = await this.#readChunked(timeoutMs);
    } else if (headers['content-length'] !== undefined) {
      response.body = await this.readBytes(Number(headers['content-length']), timeoutMs);
    } else {
      response.body = await this.readToEnd(timeoutMs);
    }
    return response;
  }

  async #readChunked(timeoutMs) {
    const parts = [];
    for (;;) {
      const size = parseInt((await this.readUntil('\r\n', timeoutMs)).toString('latin1'), 16);
      parts.push(await this.readBytes(size, timeoutMs));
      await this.readUntil('\r\n', timeoutMs);
      if (size === 0) {
        return Buffer.concat(parts);
      }
    }
  }

  // One WebSocket frame as in frames.js: { fin, rsv, opcode, masked, payload }.
  readFrame(timeoutMs) {
    return this.#read(
      'a frame',
      () => {
        const taken = takeFrame(this.received);
        if (!taken) {
          return this.#need(frameSize(this.received));
        }
        this.#consume(taken.size);
        return taken.frame;
      },
      timeoutMs,
    );
  }

  // Resolves when the peer has closed; what it had sent stays readable.
  waitEnd(timeoutMs) {
    return this.#read('the peer to close', () => (this.ended ? true : undefined), timeoutMs);
  }

  // Sends FIN.
  end() {
    this.socket.end();
  }

  // Sends RST.
  reset() {
    this.socket.resetAndDestroy();
  }

  destroy() {
    this.socket.destroy();
  }

  // A slow reader: the kernel's buffers fill up until resume().
  pause() {
    this.socket.pause();
  }

  resume() {
    this.socket.resume();
  }
}

function parseHead(head) {
  const [first, ...lines] = head.slice(0, -4).split('\r\n');
  const match = first.match(/^HTTP\/1\.1 (\d{3}) (.*)$/);
  if (!match) {
    throw new Error(`not a status line: ${JSON.stringify(first)}`);
  }
  const headers = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return { status: Number(match[1]), reason: match[2], headers, head };
}

// `where`: a port on 127.0.0.1, or { port, host } or { path }; with `tls: {...}` (options of tls.connect)
// the handshake is done first. `timeoutMs` is the default of every read.
function rawConnect(where, { timeoutMs = 5000 } = {}) {
  const to = typeof where === 'number' ? { port: where } : { ...where };
  const options = { host: '127.0.0.1', noDelay: true, allowHalfOpen: true, ...to };
  if (options.path) {
    delete options.host;
  }
  const secure = options.tls;
  delete options.tls;
  return new Promise((resolve, reject) => {
    const socket = secure ? tls.connect({ rejectUnauthorized: false, ...options, ...secure }) : net.connect(options);
    socket.once('error', reject);
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      socket.off('error', reject);
      socket.setNoDelay(true);
      resolve(new RawConnection(socket, timeoutMs));
    });
  });
}

// Sends `bytes` on a new connection, reads until the peer closes, and returns all of it as a Buffer.
async function rawExchange(where, bytes, options) {
  const c = await rawConnect(where, options);
  c.send(bytes);
  const answer = await c.readToEnd();
  c.destroy();
  return answer;
}

// Sends `bytes` on a new connection and returns { response, connection }; close the connection yourself.
async function rawRequest(where, bytes, options) {
  const connection = await rawConnect(where, options);
  connection.send(bytes);
  return { response: await connection.readResponse(), connection };
}

// The head of a correct upgrade request. A header given as null is left out; others replace or are added.
function upgradeHead({ target = '/ws', host = 'localhost', headers = {} } = {}) {
  const all = {
    Host: host,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', // the sample of RFC 6455, section 1.3
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== null);
  return `GET ${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

// A raw connection on which the upgrade has been done: send frames from frames.js, read with readFrame().
// The 101 response is in `connection.response`.
async function rawUpgrade(where, options = {}) {
  const connection = await rawConnect(where, options);
  connection.send(upgradeHead(options));
  connection.response = await connection.readResponse();
  if (connection.response.status !== 101) {
    connection.destroy();
    throw new Error(`the upgrade was answered with ${connection.response.status}`);
  }
  return connection;
}

module.exports = { RawConnection, rawConnect, rawExchange, rawRequest, rawUpgrade, upgradeHead };
