// docs/socket.io.md and conf/socket.io.yaml, done: every configuration is run with real servers and real
// clients, and what the page says of affinity, timeouts, recovery, several Weirs and CORS is looked at.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { startWeir, waitFor, root } = require('./lib/weir');
const { startRedis } = require('./lib/redis');
const { startBrowser, browserPath } = require('./lib/browser');
const { startServers } = require('./lib/socketio_servers');
const { startRelay } = require('./lib/socketio_cut');
const { openClient, CookieJar, POLLING, WEBSOCKET, UPGRADED } = require('./lib/socketio_client');
const { handshake, post, poll } = require('./lib/socketio_raw');

const read = (name) => fs.readFileSync(path.join(root, name), 'utf8');
const page = read('docs/socket.io.md');
const files = { 'www/index.html': 'a page' };
const env = { WEIR_COOKIE_SECRET: 'a secret for the tests' };
const UNKNOWN_SID = /"code":1\b.*Session ID unknown/;

// The one YAML block below a heading.
function configurationOf(heading) {
  const start = page.indexOf(`\n## ${heading}\n`);
  assert.ok(start >= 0, `docs/socket.io.md has no heading ${heading}`);
  const end = page.indexOf('\n## ', start + 1);
  const blocks = [...page.slice(start, end).matchAll(/^```yaml\n(.*?)^```$/gms)];
  assert.equal(blocks.length, 1, `${blocks.length} configurations below ${heading}`);
  return blocks[0][1];
}

function replaceOnce(text, what, by) {
  assert.equal(text.split(what).length, 2, `${what} is not once in:\n${text}`);
  return text.replace(what, by);
}

// The page's configuration on this machine: other addresses, two workers, nothing else changed but `changes`.
function startAsTold(t, heading, servers, changes = []) {
  let yaml = `workers: 2\n${configurationOf(heading)}`;
  const places = [['chat-1:3000', servers[0].address], ['chat-2:3000', servers[1].address], ...changes];
  for (const [what, by] of places) {
    yaml = replaceOnce(yaml, what, by);
  }
  return startWeir(t, ({ address }) => replaceOnce(yaml, '0.0.0.0:5000', address), { files, env });
}

// Clients come until both servers have some: which one a client gets is Weir's choice, and six may all get the same.
async function bothServersServe(t, weir, transports) {
  const clients = [];
  const served = () => [...new Set(clients.map(({ server }) => server))].sort();
  for (let round = 0; round < 10 && served().length < 2; round++) {
    clients.push(...(await Promise.all(Array.from({ length: 6 }, () => openClient(t, weir.http('/'), { transports })))));
  }
  for (const client of clients) {
    const who = await client.ask('whoami');
    assert.deepEqual([who.server, who.transport], [client.server, transports.at(-1)]);
    assert.deepEqual(client.disconnects, []);
  }
  assert.deepEqual(served(), ['a', 'b']);
  return clients;
}

async function pageIsServed(weir) {
  assert.equal(await (await fetch(weir.http('/'))).text(), 'a page');
}

const TOLD = {
  'With learned ids': [POLLING, WEBSOCKET, UPGRADED],
  'With a cookie': [POLLING, WEBSOCKET, UPGRADED],
  "With Weir's own WebSocket": [POLLING, WEBSOCKET, UPGRADED],
  'WebSocket only': [WEBSOCKET],
};

for (const [heading, ways] of Object.entries(TOLD)) {
  test(`the configuration "${heading}" serves real clients`, async (t) => {
    const servers = await startServers(t, ['a', 'b']);
    const weir = await startAsTold(t, heading, servers);
    await pageIsServed(weir);
    for (const transports of ways) {
      const clients = await bothServersServe(t, weir, transports);
      const cookies = clients.map(({ jar }) => jar.lines.length);
      assert.deepEqual(cookies, cookies.map(() => Number(heading === 'With a cookie')));
      clients.forEach((client) => client.close());
    }
  });
}

test('no configuration of the page is left out of these tests', () => {
  assert.equal(page.match(/^```yaml$/gm).length, Object.keys(TOLD).length);
});

test('conf/socket.io.yaml serves real clients', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const addresses = { WEIR_CHAT_1: servers[0].address, WEIR_CHAT_2: servers[1].address };
  const shipped = read('conf/socket.io.yaml');
  const config = ({ address }) => replaceOnce(shipped, '0.0.0.0:5000', address);
  const weir = await startWeir(t, config, { files, env: addresses });
  await pageIsServed(weir);
  const clients = await bothServersServe(t, weir, UPGRADED);
  clients.forEach((client) => client.close());
  await weir.waitForLog(/"path":"\/socket\.io\//);
});

// How many of many sessions the next request finds their server.
async function foundAgain(weir, count, next = weir) {
  let found = 0;
  for (let i = 0; i < count; i++) {
    const { sid } = await handshake(weir.http(''));
    const answer = await post(next.http(''), sid);
    assert.ok(answer.status === 200 || UNKNOWN_SID.test(answer.text), `${answer.status} ${answer.text}`);
    found += answer.status === 200;
  }
  return found;
}

test('polling clients get "Session ID unknown" without affinity, and with a hash of the sid', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const hash = ['balance: least_connections', 'balance: hash\n    hash: {by: query, name: sid}'];
  for (const changes of [[], [hash]]) {
    const weir = await startAsTold(t, 'WebSocket only', servers, changes);
    assert.notEqual(await foundAgain(weir, 40), 40);
  }
  const weir = await startAsTold(t, 'With learned ids', servers);
  assert.equal(await foundAgain(weir, 40), 40);
});

test('one session can come through several Weirs with a cookie, not with learned ids', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const start = (heading) => Promise.all([1, 2].map(() => startAsTold(t, heading, servers)));
  const weirs = await start('With a cookie');
  for (let i = 0; i < 20; i++) {
    const { sid, cookie } = await handshake(weirs[0].http(''));
    assert.match(cookie, /^weir_backend=/);
    assert.equal((await post(weirs[1].http(''), sid, { cookie })).text, 'ok');
    assert.match((await poll(weirs[0].http(''), sid, { cookie })).text, /^40\{"sid":/);
  }
  const [one, two] = await start('With learned ids');
  assert.notEqual(await foundAgain(one, 40, two), 40);
});

test('a cookie whose server is gone is replaced, and one whose server lives is not', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startAsTold(t, 'With a cookie', servers);
  const cookies = {};
  for (const client of await bothServersServe(t, weir, WEBSOCKET)) {
    cookies[client.server] = `weir_backend=${client.jar.cookies.get('weir_backend').value}`;
    client.close();
  }
  await servers[0].kill();
  const alive = await handshake(weir.http(''), { cookie: cookies.b });
  assert.equal(alive.headers.get('set-cookie'), null);
  for (let i = 0; i < 5; i++) {
    const moved = await handshake(weir.http(''), { cookie: cookies.a });
    assert.equal(moved.cookie, cookies.b);
    assert.equal((await post(weir.http(''), moved.sid, { cookie: moved.cookie })).text, 'ok');
  }
  await weir.waitForLog(new RegExp(`server ${servers[0].address} is left out`)); // after five failures in a row
});

test('a read_timeout shorter than a held poll answers it with 504, as the page warns', async (t) => {
  const servers = await startServers(t, ['a', 'b']);
  const weir = await startAsTold(t, 'With learned ids', servers, [['read_timeout: 90s', 'read_timeout: 200ms']]);
  const { sid } = await handshake(weir.http(''));
  await post(weir.http(''), sid);
  assert.match((await poll(weir.http(''), sid)).text, /^40\{/);
  let answer = await poll(weir.http(''), sid);
  while (answer.status === 200) {
    answer = await poll(weir.http(''), sid); // first what the server has said already
  }
  assert.equal(answer.status, 504);
});

// A pulled cable, as in the suite, with the adapter that cannot recover.
test('with the pub/sub adapter, sessions do not recover, as the page says', async (t) => {
  const redis = await startRedis(t);
  if (!redis) {
    t.skip('there is no redis-server');
    return;
  }
  const servers = await startServers(t, ['a', 'b'], { REDIS_URL: redis.url });
  const weir = await startAsTold(t, 'With a cookie', servers);
  const relay = await startRelay(t, weir.port);
  const client = await openClient(t, relay.url, { transports: WEBSOCKET });
  await client.ask('join', 'room');
  await client.ask('say', { room: 'room', text: 'hello' });
  await waitFor(() => client.heard('hello') === 1);
  const { server } = client;
  relay.pull();
  await waitFor(() => client.disconnects.length === 1);
  relay.plug();
  await waitFor(() => client.connects === 2 && client.isSettled);
  assert.equal(client.server, server, 'the cookie led back');
  assert.equal(client.socket.recovered, false);
  client.close();
});

test('CORS is the servers’: preflights and their answers pass, and Weir adds nothing', async (t) => {
  const origin = 'https://pages.example.com';
  const servers = await startServers(t, ['a', 'b'], { ALLOWED_ORIGIN: origin });
  const weir = await startAsTold(t, 'With learned ids', servers);
  const url = weir.http('/socket.io/?EIO=4&transport=polling');
  const asked = { origin, 'access-control-request-method': 'POST' };
  const preflight = await fetch(url, { method: 'OPTIONS', headers: asked });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), origin);
  assert.match(preflight.headers.get('access-control-allow-methods'), /POST/);
  const { headers } = await handshake(weir.http(''), { headers: { origin } });
  assert.equal(headers.get('access-control-allow-origin'), origin);
  assert.equal(headers.get('access-control-allow-credentials'), 'true');
});

test('the package of the chat and that of these tests name the same versions', () => {
  const chat = JSON.parse(read('tests/backends/chat/package.json')).dependencies;
  const own = JSON.parse(read('tests/e2e/package.json')).devDependencies;
  assert.deepEqual(chat, Object.fromEntries(Object.keys(chat).map((name) => [name, own[name]])));
});

const needsBrowser = { skip: !browserPath() && !process.env.WEIR_NEED_BROWSER && 'no Chromium on this machine' };

test('a browser keeps the cookie: page after page is with one server, until that dies', needsBrowser, async (t) => {
  const redis = await startRedis(t);
  if (!redis) {
    t.skip('there is no redis-server');
    return;
  }
  const servers = await startServers(t, ['a', 'b'], { REDIS_URL: redis.url });
  const weir = await startAsTold(t, 'With a cookie', servers, [['static: www', `static: ${root}/www`]]);
  const browser = await startBrowser(t);
  const page = await browser.newPage(weir.http('/chat/'));
  const shown = (id) => page.textContent(`#${id}`);
  const isWith = async (one) => (await shown('status-text')) === 'Connected' && (await shown('server')) === one;
  await waitFor(async () => (await shown('transport')) === 'websocket', { what: 'the upgrade' });
  const own = await shown('server');
  assert.match(own, /^[ab]$/);

  // New clients go where fewest are: this one is with the other server.
  const app = await openClient(t, weir.http('/'), { transports: WEBSOCKET });
  assert.notEqual(app.server, own);
  await app.ask('join', await page.inputValue('#room'));
  await page.fill('#text', 'from the page');
  await page.click('#send');
  await waitFor(() => app.heard('from the page') === 1);

  // More clients with the page's cookie, so that by numbers alone a new session would go to the other server.
  const [{ value, httpOnly }] = (await page.context().cookies()).filter(({ name }) => name === 'weir_backend');
  assert.equal(httpOnly, true);
  for (let i = 0; i < 3; i++) {
    const jar = new CookieJar();
    jar.cookies.set('weir_backend', { value });
    assert.equal((await openClient(t, weir.http('/'), { transports: WEBSOCKET, jar })).server, own);
  }
  for (let i = 0; i < 3; i++) {
    await page.reload();
    await waitFor(() => isWith(own), { what: `${own} again` });
  }
  assert.deepEqual(page.problems, []);
  await servers.find(({ name }) => name === own).kill();
  await waitFor(() => isWith(app.server), { what: 'the other server' });
});
