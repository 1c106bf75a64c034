// Backends that misbehave on purpose, and ones that behave until they are told not to.
//
//   const bad = await startFaulty(t);              // { tls: {...} } speaks TLS
//   bad.behave = (peer) => { peer.send('HTTP/1.1 200'); peer.reset(); };   // for each connection, once a head has come
//   bad.address; bad.open;                         // 127.0.0.1:PORT; how many connections are open now
//   peer.head, peer.accept                         // the request's head; the Sec-WebSocket-Accept that fits it
//
//   const server = await startServer(t, { name: 'a', host: '127.0.0.2', port });
//   server.status = 503;                           // from now on
//   server.requests, server.sessions               // [{ method, url, headers }], open WebSockets
//   await server.stop(); await server.start();     // cuts everything; the same address again
//
//   const weir = await startFront(t, { servers: [server.address] });          // a gateway before one upstream, `app`
//   await weir.servers()                           // what the page for operators says of its servers
//   await ask(weir, '/x', { headers, localAddress, agent })    // { status, headers, body } of one request
'use strict';

const { createHash } = require('node:crypto');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const tls = require('node:tls');
const { WebSocketServer } = require('ws');
const { startWeir } = require('./weir');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455, section 1.3
const HEAD_END = '\r\n\r\n';

class Peer {
  constructor(socket) {
    this.socket = socket;
    this.received = Buffer.alloc(0); // behind the head
    this.head = null;
    this.onData = () => {}; // called when more than the head has come
    this.onEnd = () => socket.end(); // the gateway has ended its direction
    this.gone = new Promise((resolve) => socket.once('close', resolve));
    this.ended = new Promise((resolve) => {
      socket.once('end', resolve);
      socket.once('close', resolve);
    });
  }

  get accept() {
    const [, key] = this.head.match(/^Sec-WebSocket-Key: (.*)\r$/im);
    return createHash('sha1').update(key + GUID).digest('base64');
  }

  // The head of a right answer to an upgrade.
  get switching() {
    return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${this.accept}\r\n\r\n`;
  }

  send(bytes) {
    return new Promise((resolve) => this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, resolve));
  }

  end() {
    this.socket.end();
  }

  // Sends RST behind what has been handed to the kernel, which the other side may read first.
  async sendAndReset(bytes) {
    await this.send(bytes);
    this.reset();
  }

  reset() {
    this.socket.resetAndDestroy();
  }
}

function takeConnection(backend, socket) {
  const peer = new Peer(socket);
  backend.connections++;
  backend.peers.add(peer);
  socket.on('close', () => backend.peers.delete(peer));
  socket.on('error', () => {}); // the faults are the test's own
  socket.on('end', () => peer.onEnd());
  socket.on('data', (bytes) => {
    peer.received = Buffer.concat([peer.received, bytes]);
    if (peer.head !== null) {
      peer.onData(peer);
      return;
    }
    const end = peer.received.indexOf(HEAD_END);
    if (end >= 0) {
      peer.head = peer.received.toString('latin1', 0, end + HEAD_END.length);
      peer.received = peer.received.subarray(end + HEAD_END.length);
      backend.behave(peer);
    }
  });
}

async function startFaulty(t, { tls: secure = null, host = '127.0.0.1', port = 0 } = {}) {
  const backend = { behave: () => {}, connections: 0, peers: new Set() };
  const accept = (socket) => takeConnection(backend, socket);
  const options = { allowHalfOpen: true, noDelay: true };
  const server = secure ? tls.createServer({ ...options, ...secure }, accept) : net.createServer(options, accept);
  await new Promise((resolve) => server.listen(port, host, resolve));
  backend.port = server.address().port;
  backend.address = `${host}:${backend.port}`;
  Object.defineProperty(backend, 'open', { get: () => backend.peers.size });
  backend.cutAll = () => backend.peers.forEach((peer) => peer.socket.destroy());
  t.after(() => {
    backend.cutAll();
    server.close();
  });
  return backend;
}

// A well-behaved server: answers with its name, echoes on WebSockets, and can be switched.
class Server {
  constructor({ name, host = '127.0.0.1', port = 0, path = null, tls: secure = null }) {
    Object.assign(this, { name, host, port, path, secure });
    this.status = 200;
    this.headers = {};
    this.answer = null; // (request, response) => { ... } instead of name and status
    this.acceptSession = true;
    this.requests = [];
    this.sessions = new Set();
    this.sockets = new Set();
  }

  get address() {
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    return this.path ? `unix:${this.path}` : `${host}:${this.port}`;
  }

  // Requests that were no health checks.
  get count() {
    return this.requests.filter(({ url }) => !url.startsWith('/healthz')).length;
  }

  start() {
    this.listener = this.secure ? https.createServer(this.secure) : http.createServer();
    this.listener.keepAliveTimeout = 60000;
    this.websockets = new WebSocketServer({ noServer: true });
    this.listener.on(this.secure ? 'secureConnection' : 'connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => {});
    });
    this.listener.on('request', (request, response) => this.#serve(request, response));
    this.listener.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    return new Promise((resolve, reject) => {
      this.listener.once('error', reject);
      const done = () => {
        this.port = this.path ? 0 : this.listener.address().port;
        resolve(this);
      };
      if (this.path) {
        this.listener.listen(this.path, done);
      } else {
        this.listener.listen(this.port, this.host, done);
      }
    });
  }

  stop() {
    const closed = new Promise((resolve) => this.listener.close(resolve));
    this.sockets.forEach((socket) => socket.destroy());
    return closed;
  }

  #note(request) {
    this.requests.push({ method: request.method, url: request.url, headers: request.headers, socket: request.socket });
  }

  #serve(request, response) {
    this.#note(request);
    if (this.answer) {
      this.answer(request, response);
      return;
    }
    request.resume();
    response.writeHead(this.status, { 'Content-Length': Buffer.byteLength(this.name), ...this.headers });
    response.end(request.method === 'HEAD' ? '' : this.name);
  }

  #upgrade(request, socket, head) {
    this.#note(request);
    if (!this.acceptSession) {
      socket.end('HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    this.websockets.handleUpgrade(request, socket, head, (session) => {
      this.sessions.add(session);
      session.on('close', () => this.sessions.delete(session));
      session.on('error', () => {});
      session.on('message', (data) => session.send(`${this.name}: ${data}`));
    });
  }
}

async function startServer(t, options) {
  const server = await new Server(options).start();
  t.after(() => server.listener.listening && server.stop());
  return server;
}

// A gateway with one upstream, `app`: /ws is a session, /tunnel a tunnel, /upstreams the page for operators, all else
// plain requests. `proxy`: keys of the handler beside `proxy`. `options` are those of startWeir.
async function startFront(t, upstream, { workers = 1, proxy = {}, websocket = {}, top = '', listen, ...options } = {}) {
  const handler = JSON.stringify({ proxy: 'app', ...proxy });
  const listeners = listen || (({ address }) => [{ address }]);
  const weir = await startWeir(
    t,
    (given) => `
workers: ${workers}
listen: ${JSON.stringify(listeners(given))}
upstreams: ${JSON.stringify({ app: upstream })}
${top}
routes:
  - {path: /ws, websocket: ${JSON.stringify(websocket)}, plugins: [access_log], handler: ${handler}}
  - {path: /tunnel, plugins: [access_log], handler: ${handler}}
  - {path: /upstreams, handler: {upstream_admin: app}}
  - {path: /, plugins: [access_log], handler: ${handler}}
`,
    options,
  );
  weir.servers = async () => JSON.parse((await ask(weir, '/upstreams')).body).upstreams[0].servers;
  weir.server = async (address) => (await weir.servers()).find((server) => server.address === address);
  weir.upstream = async () => JSON.parse((await ask(weir, '/upstreams')).body).upstreams[0];
  weir.setState = (address, state) => ask(weir, `/upstreams?server=${encodeURIComponent(address)}&state=${state}`, { method: 'POST' });
  return weir;
}

// One request to the gateway. Without `agent` the connection is closed after it.
function ask(weir, target = '/', { method = 'GET', headers = {}, body = '', localAddress, agent = false } = {}) {
  const closing = agent ? headers : { Connection: 'close', ...headers };
  return new Promise((resolve, reject) => {
    const request = http.request({ host: weir.host, port: weir.port, path: target, method, headers: closing, localAddress, agent }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString() }));
    });
    request.once('error', reject);
    request.end(body);
  });
}

// The bodies of `count` requests, one after the other, on one connection: who has served them.
async function askMany(weir, target, count, options = {}) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const bodies = [];
  for (let i = 0; i < count; i++) {
    bodies.push((await ask(weir, target, { agent, ...options })).body);
  }
  agent.destroy();
  return bodies;
}

// { a: 3, b: 1 } of ['a', 'b', 'a', 'a'].
function tally(words) {
  const counts = {};
  for (const word of words) {
    counts[word] = (counts[word] || 0) + 1;
  }
  return counts;
}

module.exports = { startFaulty, startServer, startFront, ask, askMany, tally };
