// What comes bit by bit arrives bit by bit: server-sent events, long polls, uploads that are answered while they last, and
// SignalR over all its transports with two servers behind one gateway.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { once } = require('node:events');
const { test, describe } = require('node:test');
const signalr = require('@microsoft/signalr');
const EventSource = require('eventsource');
const { startProxy } = require('./lib/backend');
const { rawConnect } = require('./lib/raw');
const { startHub } = require('./lib/signalr_server');
const { waitFor } = require('./lib/weir');

async function start(t, respond, options) {
  const server = http.createServer(respond);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return startProxy(t, `127.0.0.1:${server.address().port}`, options);
}

const GET = 'GET /events HTTP/1.1\r\nHost: a.example\r\nAccept: text/event-stream\r\n\r\n';

describe('server-sent events', () => {
  const EVENTS = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' };

  // In each test the backend writes only when the client has what was written before.
  test('each is at the client before the next is written', async (t) => {
    let stream;
    const weir = await start(t, (req, res) => {
      res.writeHead(200, EVENTS);
      res.flushHeaders();
      stream = res;
    });
    const c = await rawConnect(weir.port);
    c.send(GET);
    const head = (await c.readUntil('\r\n\r\n')).toString();
    assert.match(head, /^HTTP\/1\.1 200 /, 'the head comes before the first event');
    for (let i = 1; i <= 20; i++) {
      stream.write(`data: ${i}\n\n`);
      await c.readUntil(`data: ${i}\n\n`);
    }
    stream.end();
    assert.match((await c.readUntil('0\r\n\r\n')).toString(), /^\r\n0\r\n\r\n$/);
    c.destroy();
  });

  test('come to an EventSource, which resumes behind the last that it had', async (t) => {
    const streams = [];
    const asked = [];
    const weir = await start(t, (req, res) => {
      asked.push(req.headers['last-event-id']);
      res.writeHead(200, EVENTS);
      res.write('retry: 10\n\n');
      streams.push(res);
    });
    const source = new EventSource(weir.http('/events'));
    t.after(() => source.close());
    const got = [];
    source.onmessage = (event) => got.push(event.data);
    for (const i of [1, 2, 3]) {
      const stream = await waitFor(() => streams[i - 1], { what: 'the client to connect' });
      stream.write(`id: ${i}\ndata: number ${i}\n\n`);
      await waitFor(() => got.length === i, { what: `event ${i}` });
      stream.end();
    }
    assert.deepEqual(got, ['number 1', 'number 2', 'number 3']);
    assert.deepEqual(asked.slice(0, 3), [undefined, '1', '2']);
  });

  test('reach a client of HTTP/1.0, which has no chunks', async (t) => {
    let stream;
    const weir = await start(t, (req, res) => {
      res.writeHead(200, EVENTS);
      stream = res;
      res.write('data: 1\n\n');
    });
    const c = await rawConnect(weir.port);
    c.send('GET / HTTP/1.0\r\n\r\n');
    await c.readUntil('\r\n\r\ndata: 1\n\n');
    stream.write('data: 2\n\n');
    await c.readUntil('data: 2\n\n');
    stream.end('data: 3\n\n');
    assert.equal((await c.readToEnd()).toString(), 'data: 3\n\n');
    c.destroy();
  });

  test('may pause for longer than read_timeout only if something is sent', async (t) => {
    const weir = await start(t, (req, res) => void res.writeHead(200, EVENTS).write('data: 1\n\n'), { handler: { read_timeout: '200ms' } });
    const c = await rawConnect(weir.port);
    c.send(GET);
    await c.readUntil('data: 1\n\n');
    assert.doesNotMatch((await c.readToEnd()).toString(), /0\r\n\r\n$/, 'a cut is not a whole body');
    c.destroy();
  });
});

describe('both ways at once', () => {
  test('an upload is answered piece by piece while it lasts', async (t) => {
    const weir = await start(t, (req, res) => {
      res.writeHead(200);
      req.pipe(res);
    });
    const c = await rawConnect(weir.port);
    c.send('POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 20; i++) {
      const piece = `piece ${i}.`;
      c.send(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      await c.readUntil(piece);
    }
    c.send('0\r\n\r\n');
    await c.readUntil('\r\n0\r\n\r\n');
    c.destroy();
  });

  test('the first byte of an upload is at the backend before the second is sent', async (t) => {
    let uploading;
    const weir = await start(t, (req) => (uploading = req));
    const c = await rawConnect(weir.port);
    c.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\n');
    const upload = await waitFor(() => uploading, { what: 'the head at the backend' });
    for (let i = 0; i < 10; i++) {
      c.send(String(i));
      const [piece] = await once(upload, 'data');
      assert.equal(piece.toString(), String(i));
    }
    c.destroy();
  });
});

describe('long polls', () => {
  test('are held until the backend has something to say', async (t) => {
    const held = [];
    const weir = await start(t, (req, res) => void held.push(res));
    const c = await rawConnect(weir.port);
    for (let i = 0; i < 3; i++) {
      c.send(GET);
      const res = await waitFor(() => held.shift(), { what: 'the poll' });
      assert.equal(c.received.length, 0, 'an answer that nobody gave');
      res.end(`news ${i}`);
      assert.equal((await c.readResponse()).body.toString(), `news ${i}`);
    }
    c.destroy();
  });

  test('that last for longer than read_timeout get 504', async (t) => {
    const weir = await start(t, () => {}, { handler: { read_timeout: '200ms' } });
    const c = await rawConnect(weir.port);
    c.send(GET);
    assert.equal((await c.readResponse()).status, 504);
    c.destroy();
  });

  test('of many clients are held at the same time', async (t) => {
    const held = new Map();
    const weir = await start(t, (req, res) => void held.set(req.url, res));
    const clients = await Promise.all(Array.from({ length: 100 }, () => rawConnect(weir.port)));
    clients.forEach((c, i) => c.send(`GET /${i} HTTP/1.1\r\nHost: a.example\r\n\r\n`));
    await waitFor(() => held.size === clients.length, { what: 'all polls at the backend' });
    [...held].reverse().forEach(([url, res]) => res.end(`for ${url}`));
    for (const [i, c] of clients.entries()) {
      assert.equal((await c.readResponse()).body.toString(), `for /${i}`);
      c.destroy();
    }
  });
});

describe('SignalR over two servers, by the id in its requests alone', () => {
  const CLIENTS = 7; // odd, so that taking turns leads nobody back by chance
  const { HttpTransportType, HubConnectionBuilder, LogLevel } = signalr;

  async function connect(t, weir, transport) {
    const connection = new HubConnectionBuilder().withUrl(weir.http('/hub'), { transport }).configureLogging(LogLevel.None).build();
    t.after(() => connection.stop());
    connection.ticks = [];
    connection.on('tick', (i) => connection.ticks.push(i));
    await connection.start();
    return connection;
  }

  const counted = (connection, n) =>
    new Promise((resolve, reject) => {
      const items = [];
      connection.stream('count', n).subscribe({ next: (item) => items.push(item), complete: () => resolve(items), error: reject });
    });

  // All that a client does, on the one server that it began with.
  async function talk(connection) {
    const names = new Set();
    for (let i = 0; i < 5; i++) {
      names.add(await connection.invoke('whoAmI'));
    }
    assert.equal(names.size, 1, 'a client was sent to another server');
    const text = 'ä€😀'.repeat(2000);
    assert.equal(await connection.invoke('echo', text), text);
    assert.deepEqual(await counted(connection, 50), Array.from({ length: 50 }, (_, i) => i + 1));
    await connection.invoke('tickMe', 3);
    await waitFor(() => connection.ticks.length === 3, { what: 'calls by the server' });
    return [...names][0];
  }

  const VARIANTS = [
    ['long polling', HttpTransportType.LongPolling, 'off'],
    ['server-sent events', HttpTransportType.ServerSentEvents, 'off'],
    ['WebSocket through a tunnel', HttpTransportType.WebSockets, 'off'],
    ['WebSocket that Weir speaks', HttpTransportType.WebSockets, 'on'],
  ];
  for (const [name, transport, websocket] of VARIANTS) {
    test(name, async (t) => {
      const hubs = [await startHub(t, 'one'), await startHub(t, 'two')];
      const weir = await startProxy(t, hubs.map((hub) => hub.address), {
        upstream: { balance: 'sticky', sticky: { learn: 'signalr' } },
        route: { websocket: websocket === 'on' },
      });
      const connections = await Promise.all(Array.from({ length: CLIENTS }, () => connect(t, weir, transport)));
      const names = await Promise.all(connections.map(talk));
      assert.deepEqual([...new Set(names)].sort(), ['one', 'two'], 'both servers have clients');
      assert.deepEqual(hubs.map((hub) => hub.strangers), [0, 0], 'requests that came to the wrong server');
      assert.equal(hubs[0].negotiated + hubs[1].negotiated, CLIENTS);
      await Promise.all(connections.map((connection) => connection.stop()));
    });
  }

  for (const [name, transport, websocket] of VARIANTS) {
    test(`without learning, clients by ${name} come to servers that do not know them`, async (t) => {
      const hubs = [await startHub(t, 'one'), await startHub(t, 'two')];
      const weir = await startProxy(t, hubs.map((hub) => hub.address), { upstream: { ejection: false }, route: { websocket: websocket === 'on' } });
      const ends = await Promise.allSettled(Array.from({ length: CLIENTS }, () => connect(t, weir, transport)));
      assert.ok(ends.some((end) => end.status === 'rejected'));
      assert.ok(hubs[0].strangers + hubs[1].strangers > 0);
    });
  }
});
