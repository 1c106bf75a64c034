// A WebSocket client for tests: npm `ws` with promises instead of events.
//
//   const client = await connect(weir.ws('/ws'), { protocols: ['chat.v1'], headers: {...} });
//   client.send('hello'); client.send(Buffer.from([1]));
//   await client.next();                  // { data: Buffer, text: 'hello' or null when binary, binary }
//   client.close(1000, 'bye'); await client.closed;   // { code, reason }
//   await refused(weir.ws('/nowhere'));   // { status, headers, body } of the answer that was not 101
'use strict';

const WebSocket = require('ws');

class Client {
  constructor(socket, timeoutMs) {
    this.socket = socket;
    this.timeoutMs = timeoutMs;
    this.messages = []; // that nobody has asked for yet
    this.readers = [];
    this.pings = 0;
    this.pongs = 0;
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        this.closeInfo = { code, reason: reason.toString() };
        for (const reader of this.readers.splice(0)) {
          reader.reject(new Error(`closed with ${code} ${reason} instead of a message`));
        }
        resolve(this.closeInfo);
      });
    });
    socket.on('message', (data, binary) => {
      const message = { data, binary, text: binary ? null : data.toString() };
      const reader = this.readers.shift();
      if (reader) {
        reader.resolve(message);
      } else {
        this.messages.push(message);
      }
    });
    socket.on('ping', () => this.pings++);
    socket.on('pong', () => this.pongs++);
    socket.on('error', (error) => (this.error = error));
  }

  get protocol() {
    return this.socket.protocol;
  }

  get extensions() {
    return this.socket.extensions;
  }

  // A string is sent as text, anything else as binary. `options` as of ws: { binary, compress, fin, mask }.
  send(data, options = {}) {
    return new Promise((resolve, reject) => this.socket.send(data, options, (error) => (error ? reject(error) : resolve())));
  }

  // The next message, in order; rejects after `timeoutMs` or when the connection closes first.
  next(timeoutMs = this.timeoutMs) {
    if (this.messages.length > 0) {
      return Promise.resolve(this.messages.shift());
    }
    if (this.closeInfo) {
      return Promise.reject(new Error(`already closed with ${this.closeInfo.code} ${this.closeInfo.reason}`));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.readers.splice(this.readers.indexOf(reader), 1);
        reject(new Error(`no message within ${timeoutMs} ms`));
      }, timeoutMs);
      const settle = (how) => (value) => {
        clearTimeout(timer);
        how(value);
      };
      const reader = { resolve: settle(resolve), reject: settle(reject) };
      this.readers.push(reader);
    });
  }

  close(code, reason) {
    this.socket.close(code, reason);
    return this.closed;
  }

  // Drops the TCP connection without a close handshake.
  terminate() {
    this.socket.terminate();
    return this.closed;
  }
}

// Resolves with a Client when the handshake is done. `options` are those of ws (headers, origin, ca,
// perMessageDeflate, ...) and `protocols`, `timeoutMs`.
function connect(url, { protocols = [], timeoutMs = 5000, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols, {
      handshakeTimeout: timeoutMs,
      perMessageDeflate: false,
      rejectUnauthorized: false,
      ...options,
    });
    const client = new Client(socket, timeoutMs); // before 'open', so that no early message is lost
    socket.once('error', reject);
    socket.once('open', () => {
      client.error = null;
      client.response = upgradeResponse;
      resolve(client);
    });
    let upgradeResponse = null;
    socket.once('upgrade', (response) => (upgradeResponse = response));
  });
}

// Resolves with the answer to an upgrade that must not succeed.
function refused(url, { protocols = [], timeoutMs = 5000, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols, { handshakeTimeout: timeoutMs, perMessageDeflate: false, ...options });
    socket.once('open', () => {
      socket.terminate();
      reject(new Error(`${url} accepted an upgrade that it should have refused`));
    });
    socket.once('error', reject);
    socket.once('unexpected-response', (request, response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => {
        request.destroy();
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString() });
      });
    });
  });
}

module.exports = { Client, connect, refused };
