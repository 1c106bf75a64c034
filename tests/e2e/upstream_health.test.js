// Servers that turn bad and come back: active checks, ejection, slow start.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { connect } = require('./lib/client');
const { startFaulty, startFront, startServer, ask, askMany, tally } = require('./lib/faulty');
const { waitFor } = require('./lib/weir');

const startServers = (t, names) => Promise.all(names.map((name) => startServer(t, { name })));
const addresses = (servers) => servers.map((server) => server.address);

const whenHealthy = (weir, server, healthy) =>
  waitFor(async () => (await weir.server(server.address)).healthy === healthy, { what: `${server.name || server.address} to be ${healthy ? 'well' : 'ill'}` });

const FAST = { interval: '30ms', timeout: '250ms', rise: 2, fall: 2 };

// For each type of check: how a server turns bad, and good again, while plain requests would still succeed where that
// is possible.
const CHECKS = {
  tcp: {
    check: {},
    spoil: (server) => server.stop(),
    mend: (server) => server.start(),
  },
  'http, by status': {
    check: { type: 'http', path: '/healthz', status: 200 },
    spoil: (server) => (server.answer = (request, response) => response.writeHead(request.url === '/healthz' ? 204 : 200).end(server.name)),
    mend: (server) => (server.answer = null),
  },
  'http, by silence': {
    check: { path: '/healthz' },
    spoil: (server) => (server.answer = (request, response) => request.url === '/healthz' || response.end(server.name)),
    mend: (server) => (server.answer = null),
  },
  'websocket, by refusal': {
    check: { type: 'websocket', path: '/healthz' },
    spoil: (server) => (server.acceptSession = false),
    mend: (server) => (server.acceptSession = true),
  },
};

for (const [name, { check, spoil, mend }] of Object.entries(CHECKS)) {
  test(`a server that fails its check gets nothing, and traffic again when it is well (${name})`, async (t) => {
    const servers = await startServers(t, ['a', 'b']);
    const weir = await startFront(t, { servers: addresses(servers), health_check: { ...FAST, ...check } }, { workers: 2 });
    assert.deepEqual(Object.keys(tally(await askMany(weir, '/', 8))).sort(), ['a', 'b']);
    await spoil(servers[0]);
    await whenHealthy(weir, servers[0], false);
    assert.deepEqual(tally(await askMany(weir, '/', 8)), { b: 8 });
    await weir.waitForLog(new RegExp(`app: server ${servers[0].address}.*\n`));
    await mend(servers[0]);
    await whenHealthy(weir, servers[0], true);
    assert.deepEqual(Object.keys(tally(await askMany(weir, '/', 8))).sort(), ['a', 'b']);
  });
}

test('the status of a check may be a range, and both its ends count', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startFront(t, { servers: addresses(servers), health_check: { ...FAST, path: '/healthz', status: '200-299' } });
  const statusOf = (status) => (servers[0].answer = (request, response) => response.writeHead(status).end());
  for (const [status, healthy] of [[300, false], [299, true], [400, false], [200, true]]) {
    statusOf(status);
    await whenHealthy(weir, servers[0], healthy);
  }
});

test('a check over HTTP asks for its path at its host, and a check over WebSocket speaks to the end', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const check = { ...FAST, path: '/healthz?deep=1', host: 'app.example.com' };
  await startFront(t, { servers: [servers[0].address], health_check: check });
  await startFront(t, { servers: [servers[1].address], health_check: { ...check, type: 'websocket' } });
  let code = null;
  const asked = await waitFor(() => servers[0].requests[0], { what: 'a check' });
  assert.deepEqual([asked.method, asked.url, asked.headers.host], ['GET', '/healthz?deep=1', 'app.example.com']);
  const session = await waitFor(() => [...servers[1].sessions][0], { what: 'a check’s session' });
  let pings = 0;
  session.on('ping', () => pings++);
  session.on('close', (given) => (code = given));
  await waitFor(() => code !== null, { what: 'the check’s session to end' });
  assert.equal(code, 1000);
  assert.ok(pings <= 1);
  assert.equal(servers[1].requests[0].headers.host, 'app.example.com');
});

test('a WebSocket server that accepts and answers no ping is ill', async (t) => {
  const faulty = await startFaulty(t);
  let answers = true;
  faulty.behave = (peer) => {
    peer.send(peer.switching);
    peer.onData = () => answers && peer.send(Buffer.from([0x8a, 0x00])); // a pong without words
  };
  const weir = await startFront(t, { servers: [faulty.address], health_check: { ...FAST, timeout: '100ms', type: 'websocket' } });
  answers = false;
  await whenHealthy(weir, faulty, false);
  assert.equal((await ask(weir)).status, 503);
});

test('`rise` and `fall` count answers in a row', async (t) => {
  const [server] = await startServers(t, ['a']);
  const script = ['ok', 'bad', 'bad', 'ok', 'bad', 'bad', 'bad', 'ok', 'bad', 'ok', 'ok']; // then good for ever
  const seen = [];
  let weir = null;
  server.answer = async (request, response) => {
    const what = script.shift() || 'ok';
    if (weir) {
      seen.push(what);
    }
    response.writeHead(what === 'ok' ? 200 : 500).end();
  };
  weir = await startFront(t, { servers: [server.address], health_check: { interval: '150ms', rise: 2, fall: 3, path: '/healthz' } });
  let last = true;
  const changes = [];
  await waitFor(
    async () => {
      const { healthy } = await weir.server(server.address);
      if (healthy !== last) {
        changes.push([last, healthy, script.length]);
        last = healthy;
      }
      return script.length === 0 && last;
    },
    { what: 'the whole script' },
  );
  assert.deepEqual(changes, [[true, false, 4], [false, true, 0]], 'ill after the third bad one in a row, well after the second good one');
});

test('a check over TLS wants a certificate that it can believe', async (t) => {
  const { makeCertificates } = require('./lib/certs');
  const fs = require('node:fs');
  const pair = makeCertificates(t).pair('app.example.com');
  const secure = { cert: fs.readFileSync(pair.certificate), key: fs.readFileSync(pair.private_key) };
  const server = await startServer(t, { name: 'a', tls: secure });
  const check = { ...FAST, path: '/healthz' };
  const tls = { ca: pair.certificate, server_name: 'app.example.com' };
  const good = await startFront(t, { servers: [server.address], health_check: check, tls });
  assert.equal((await ask(good)).body, 'a');
  await waitFor(() => server.requests.length > 3, { what: 'checks to pass' });
  assert.equal((await good.server(server.address)).healthy, true);
  const bad = await startFront(t, { servers: [server.address], health_check: check, tls: { ca: pair.certificate, server_name: 'other.example.com' } });
  await whenHealthy(bad, server, false);
  assert.equal((await ask(bad)).status, 503);
});

test('sessions on a server that fails its checks live on', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const check = { ...FAST, path: '/healthz' };
  const weir = await startFront(t, { servers: [servers[0].address], health_check: check });
  const sessions = [await connect(weir.ws('/ws')), await connect(weir.ws('/tunnel'))];
  servers[0].status = 500;
  await whenHealthy(weir, servers[0], false);
  for (const session of sessions) {
    await session.send('still here');
    assert.equal((await session.next()).text, 'a: still here');
    await session.close();
  }
});

const EJECT = { failures: 3, backoff: '300ms', max_backoff: '1s' };
const whenEjected = (weir, server, times) =>
  waitFor(async () => (await weir.server(server.address)).ejections === times, { what: `ejection ${times} of ${server.name}` });

test('a server that answers 5xx is left out after so many in a row, for longer each time, and comes back', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startFront(t, { servers: addresses(servers), ejection: EJECT }, { workers: 2 });
  const [bad] = servers;
  bad.status = 503;
  const until = async (condition) => {
    while (!condition()) {
      await ask(weir);
    }
  };
  await until(() => bad.count === 2);
  assert.equal((await weir.server(bad.address)).takes_new, true, 'not yet');
  bad.status = 200; // a good answer ends the row
  await until(() => bad.count === 3);
  bad.status = 503;
  for (const [times, most] of [[1, 300], [2, 600], [3, 1000], [4, 1000]]) {
    const before = bad.count;
    await until(() => bad.count === before + (times === 1 ? 3 : 1));
    await whenEjected(weir, bad, times);
    const { ejected_for_ms: left, takes_new: takesNew } = await weir.server(bad.address);
    assert.equal(takesNew, false);
    assert.ok(left <= most && left > most - 250, `ejection ${times} lasts another ${left} ms of ${most}`);
    assert.deepEqual(tally(await askMany(weir, '/', 6)), { b: 6 }, 'the other one serves');
    await waitFor(async () => (await weir.server(bad.address)).takes_new, { what: 'its time to pass' });
  }
  bad.status = 200;
  const before = bad.count;
  await until(() => bad.count > before);
  await whenEjected(weir, bad, 0);
  await weir.waitForLog(/app: server .* is left out for 600 ms after 4 failures in a row/);
  await weir.waitForLog(/app: server .* answers well again/);
});

test('answers that are the client’s fault, 501 and 505, eject nobody', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startFront(t, { servers: addresses(servers), ejection: EJECT });
  for (const status of [400, 404, 429, 499, 501, 505]) {
    servers[0].status = status;
    await askMany(weir, '/', 8);
  }
  const { failures, takes_new: takesNew } = await weir.server(servers[0].address);
  assert.deepEqual([failures, takesNew], [0, true]);
});

for (const status of [500, 502, 503, 504]) {
  test(`answers with ${status} eject`, async (t) => {
    const servers = await startServers(t, ['a', 'b']);
    const weir = await startFront(t, { servers: addresses(servers), ejection: EJECT });
    servers[0].status = status;
    while (servers[0].count < 2) {
      await ask(weir);
    }
    assert.equal((await weir.server(servers[0].address)).takes_new, true);
    await askMany(weir, '/', 2);
    assert.equal((await weir.server(servers[0].address)).ejections, 1);
  });
}

test('connects that fail eject, for sessions and tunnels too', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startFront(t, { servers: addresses(servers), ejection: { ...EJECT, backoff: '5s', max_backoff: '5s' } });
  await servers[0].stop();
  for (const target of ['/ws', '/tunnel', '/ws', '/tunnel', '/ws', '/tunnel']) {
    const session = await connect(weir.ws(target));
    await session.close();
  }
  assert.equal((await weir.server(servers[0].address)).ejections, 1);
  const errors = (await weir.server(servers[0].address)).errors;
  assert.equal(errors, 3);
  await askMany(weir, '/', 6);
  assert.equal((await weir.server(servers[0].address)).errors, errors, 'nobody tries it any more');
});

test('the only server is still asked when it is ejected: a wrong guess costs no more than the 503', async (t) => {
  const [server] = await startServers(t, ['a']);
  const weir = await startFront(t, { servers: [server.address], ejection: { ...EJECT, backoff: '1m', max_backoff: '1m' } });
  server.status = 500;
  for (let i = 0; i < 5; i++) {
    assert.equal((await ask(weir)).status, 500);
  }
  assert.equal((await weir.server(server.address)).ejections, 1);
  server.status = 200;
  assert.equal((await ask(weir)).body, 'a');
  await server.stop();
  assert.equal((await ask(weir)).status, 502);
  await server.start();
  assert.equal((await ask(weir)).body, 'a');
});

test('`ejection: off` never leaves a server out', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startFront(t, { servers: addresses(servers), ejection: false });
  servers[0].status = 500;
  await askMany(weir, '/', 30);
  assert.equal(servers[0].count, 15);
});

test('a server that comes back takes a growing share of new requests', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const check = { ...FAST, path: '/healthz', rise: 1, fall: 1 };
  const weir = await startFront(t, { servers: addresses(servers), health_check: check, slow_start: '3s' });
  assert.deepEqual(tally(await askMany(weir, '/', 20)), { a: 10, b: 10 }, 'nobody warms up at the start');
  servers[0].status = 500;
  await whenHealthy(weir, servers[0], false);
  servers[0].status = 200;
  await whenHealthy(weir, servers[0], true);
  const start = Date.now();
  const shares = [];
  while (Date.now() - start < 3300) {
    const served = await askMany(weir, '/', 20);
    shares.push((tally(served).a || 0) / served.length);
  }
  const quarter = Math.floor(shares.length / 4);
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
  const [early, middle] = [mean(shares.slice(0, quarter)), mean(shares.slice(2 * quarter, 3 * quarter))];
  assert.ok(early < 0.3, `early: ${early}`);
  assert.ok(middle > early + 0.1, `later: ${middle} after ${early}`);
  const warm = tally(await askMany(weir, '/', 20));
  assert.ok(Math.abs(warm.a - warm.b) <= 2, `warm: ${JSON.stringify(warm)}`); // a turn may still be owed
});
