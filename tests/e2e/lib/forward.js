// A gateway that forwards /ws to backends of the test's own, which hand out their connections one by one.
//
//   const backend = await wsBackend(t);                  // npm `ws`; options of WebSocketServer
//   const weir = await startForward(t, backend, { websocket: { max_message_size: '16MiB' }, proxy: { lost_code: 1012 } });
//   const [client, session] = await pair(weir, backend); // both are Clients of client.js; session.request is the upgrade
//
//   const backend = await rawBackend(t);                 // each connection a RawConnection of raw.js
//   const [client, c] = await pair(weir, backend);       // the handshake is done; c.send(frame({ mask: null }))
//   const c = await backend.next(); await readHead(c);   // or by hand
'use strict';

const { createHash } = require('node:crypto');
const http = require('node:http');
const net = require('node:net');
const tls = require('node:tls');
const { WebSocketServer } = require('ws');
const { Client, connect } = require('./client');
const { RawConnection, rawUpgrade } = require('./raw');
const { startWeir } = require('./weir');

// What comes is waited for in order, and no longer than 10 s.
class Queue {
  #items = [];
  #readers = [];

  put(item) {
    const reader = this.#readers.shift();
    if (reader) {
      reader(item);
    } else {
      this.#items.push(item);
    }
  }

  get size() {
    return this.#items.length;
  }

  next(timeoutMs = 10000) {
    if (this.#items.length > 0) {
      return Promise.resolve(this.#items.shift());
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#readers.splice(this.#readers.indexOf(reader), 1);
        reject(new Error(`no connection reached the backend within ${timeoutMs} ms`));
      }, timeoutMs);
      const reader = (item) => {
        clearTimeout(timer);
        resolve(item);
      };
      this.#readers.push(reader);
    });
  }
}

function listen(t, server) {
  const sockets = new Set();
  server.on(server instanceof tls.Server ? 'secureConnection' : 'connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {}); // resets are the test's own doing
  });
  t.after(() => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
}

// A backend of npm `ws`: `next()` is the next session, `requests` the heads of all upgrades, `connections` a count.
// `options` are those of WebSocketServer, and `setHeaders` a list of lines for the 101.
async function wsBackend(t, { setHeaders = [], timeoutMs = 10000, ...options } = {}) {
  const queue = new Queue();
  const server = http.createServer();
  const backend = { requests: [], connections: 0, next: (ms) => queue.next(ms) };
  const wss = new WebSocketServer({ server, perMessageDeflate: false, ...options });
  wss.on('headers', (lines) => lines.push(...setHeaders));
  wss.on('connection', (socket, request) => {
    const session = new Client(socket, timeoutMs);
    session.request = request;
    queue.put(session);
  });
  server.on('upgrade', (request) => backend.requests.push(request));
  server.on('connection', () => backend.connections++);
  backend.port = await listen(t, server);
  return backend;
}

// A backend of raw sockets: `next()` is the next connection. `tls`: options of tls.createServer.
async function rawBackend(t, { timeoutMs = 10000, tls: secure = null } = {}) {
  const queue = new Queue();
  const backend = { raw: true, connections: 0, next: (ms) => queue.next(ms) };
  const accept = (socket) => {
    backend.connections++;
    queue.put(new RawConnection(socket, timeoutMs));
  };
  const options = { allowHalfOpen: true, noDelay: true };
  const server = secure ? tls.createServer({ ...options, ...secure }, accept) : net.createServer(options, accept);
  backend.port = await listen(t, server);
  return backend;
}

// Reads a request's head: { line, headers: lower case names, head }.
async function readHead(c) {
  const head = (await c.readUntil('\r\n\r\n')).toString('latin1');
  const [line, ...fields] = head.slice(0, -4).split('\r\n');
  const headers = {};
  for (const field of fields) {
    const colon = field.indexOf(':');
    const name = field.slice(0, colon).toLowerCase();
    headers[name] = headers[name] === undefined ? field.slice(colon + 1).trim() : `${headers[name]}, ${field.slice(colon + 1).trim()}`;
  }
  return { line, headers, head };
}

// The 101 for that request; `fields` are more lines of it, `behind` bytes that leave with it.
function upgradeAnswer(request, fields = [], behind = Buffer.alloc(0)) {
  const digest = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${digest}`, ...fields];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), behind]);
}

// Reads an upgrade and accepts it; the connection, with `request`.
async function nextUpgraded(backend, fields = [], behind = undefined) {
  const c = await backend.next();
  c.request = await readHead(c);
  c.send(upgradeAnswer(c.request, fields, behind));
  return c;
}

// Starts a gateway whose /ws forwards to `backend`, an object with `port` or a list of them. `websocket`, `proxy`,
// `upstream`: keys of those mappings; `plugins`, `top`, `listener`: YAML; `options` are those of startWeir.
// A sanitizer keeps freed memory for a while: not here, where memory is measured.
function startForward(t, backend, { websocket = 'on', proxy = {}, upstream = {}, plugins = '[]', top = '', listener = {}, ...options } = {}) {
  const servers = [].concat(backend).map(({ port }) => `127.0.0.1:${port}`);
  const sanitizer = `${process.env.ASAN_OPTIONS ? `${process.env.ASAN_OPTIONS}:` : ''}quarantine_size_mb=1`;
  return startWeir(
    t,
    ({ address, root }) => `
workers: 1
log_level: warn
listen: [${JSON.stringify({ address, ...listener })}]
plugin_path: [${root}/plugins, .]
upstreams:
  back: ${JSON.stringify({ servers, ...upstream })}
${top}
routes:
  - path: /ws
    websocket: ${typeof websocket === 'string' ? websocket : JSON.stringify(websocket)}
    plugins: ${plugins}
    handler: ${JSON.stringify({ proxy: 'back', ...proxy })}
`,
    { ...options, env: { ASAN_OPTIONS: sanitizer, ...options.env } },
  );
}

// A client and the backend's side of its session. The client is raw when `raw` is set, else of `ws`; a raw backend
// accepts with `fields` and `behind`.
async function pair(weir, backend, { raw = false, fields, behind, ...options } = {}) {
  const coming = raw ? rawUpgrade(weir.port, { timeoutMs: 10000, ...options }) : connect(weir.ws(), { timeoutMs: 10000, ...options });
  coming.catch(() => {}); // it is awaited below
  const session = await (backend.raw ? Promise.race([nextUpgraded(backend, fields, behind), coming.then(() => new Promise(() => {}))]) : coming.then(() => backend.next()));
  return [await coming, session];
}

module.exports = { startForward, wsBackend, rawBackend, nextUpgraded, readHead, upgradeAnswer, pair };
