// A hub for @microsoft/signalr clients, by its published protocols: negotiate, the three transports, JSON records.
//
//   const hub = await startHub(t, 'one');      // hub.address, for `upstreams`
//   hub.negotiated; hub.strangers              // how many negotiate requests, and requests with an id that it does not know
//
// Its methods: whoAmI() gives the hub's name, echo(x) gives x, tickMe(n) calls the client's `tick` n times, and the stream
// count(n) gives 1 to n.
'use strict';

const { randomBytes } = require('node:crypto');
const http = require('node:http');
const { WebSocketServer } = require('ws');

const SEPARATOR = '\x1e';
const TRANSPORTS = ['WebSockets', 'ServerSentEvents', 'LongPolling'];

// One client; `push(text)` is what its transport does with records, null while there is none.
class Connection {
  constructor(hub) {
    this.hub = hub;
    this.push = null;
    this.waiting = '';
    this.isGreeted = false;
  }

  send(record) {
    this.waiting += JSON.stringify(record) + SEPARATOR;
    this.flush();
  }

  flush() {
    if (this.push && this.waiting) {
      const text = this.waiting;
      this.waiting = '';
      this.push(text);
    }
  }

  take(text) {
    for (const part of text.split(SEPARATOR).filter(Boolean)) {
      const record = JSON.parse(part);
      if (this.isGreeted) {
        this.#call(record);
      } else {
        this.isGreeted = record.protocol === 'json';
        this.send(this.isGreeted ? {} : { error: 'JSON only' });
      }
    }
  }

  #call({ type, target, invocationId, arguments: given = [] }) {
    const result = { whoAmI: this.hub.name, echo: given[0] }[target];
    if (type === 4) {
      Array.from({ length: given[0] }, (_, i) => this.send({ type: 2, invocationId, item: i + 1 }));
    }
    if (target === 'tickMe') {
      Array.from({ length: given[0] }, (_, i) => this.send({ type: 1, target: 'tick', arguments: [i + 1] }));
    }
    if (type === 4 || (type === 1 && invocationId)) {
      this.send({ type: 3, invocationId, ...(result === undefined ? {} : { result }) });
    }
  }
}

async function textOf(req) {
  return Buffer.concat(await req.toArray()).toString();
}

function negotiate(hub, res) {
  const token = randomBytes(16).toString('base64url');
  hub.negotiated++;
  hub.connections.set(token, new Connection(hub));
  const availableTransports = TRANSPORTS.map((transport) => ({ transport, transferFormats: ['Text'] }));
  res.setHeader('Content-Type', 'application/json');
  res.end(JSON.stringify({ negotiateVersion: 1, connectionId: `id-of-${token.slice(0, 4)}`, connectionToken: token, availableTransports }));
}

function openEvents(connection, res) {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  res.write(':\r\n\r\n');
  connection.push = (text) => res.write(`data: ${text}\r\n\r\n`);
  connection.flush();
}

// The first poll says that the connection is there; each further one is held until there is something to say.
function poll(connection, res) {
  if (!connection.isPolled) {
    connection.isPolled = true;
    res.end();
    return;
  }
  connection.push = (text) => {
    connection.push = null;
    res.setHeader('Content-Type', 'text/plain');
    res.end(text);
  };
  res.once('close', () => (connection.push = null));
  connection.flush();
}

async function serve(hub, req, res) {
  const url = new URL(req.url, 'http://hub');
  if (url.pathname.endsWith('/negotiate')) {
    negotiate(hub, res);
    return;
  }
  const connection = hub.connections.get(url.searchParams.get('id'));
  if (!connection) {
    hub.strangers++;
    res.writeHead(404).end();
  } else if (req.method === 'POST') {
    connection.take(await textOf(req));
    res.end();
  } else if (req.method === 'DELETE') {
    hub.connections.delete(url.searchParams.get('id'));
    res.writeHead(202).end();
  } else if ((req.headers.accept || '').includes('text/event-stream')) {
    openEvents(connection, res);
  } else {
    poll(connection, res);
  }
}

async function startHub(t, name) {
  const hub = { name, connections: new Map(), negotiated: 0, strangers: 0 };
  const server = http.createServer((req, res) => serve(hub, req, res).catch(() => res.destroy()));
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (req, socket, head) => {
    const connection = hub.connections.get(new URL(req.url, 'http://hub').searchParams.get('id'));
    if (!connection) {
      hub.strangers++;
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(req, socket, head, (ws) => {
      ws.on('message', (data) => connection.take(data.toString()));
      connection.push = (text) => ws.send(text);
      connection.flush();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  hub.address = `127.0.0.1:${server.address().port}`;
  t.after(() => {
    sockets.clients.forEach((ws) => ws.terminate());
    server.closeAllConnections();
    server.close();
  });
  return hub;
}

module.exports = { startHub };
