// plugins/rate_limit.lua with real clients and two workers: what is refused, delayed, dropped and closed.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { startWeir, runWeir, waitFor, root } = require('./lib/weir');
const { connect, refused } = require('./lib/client');

const start = (t, settings) =>
  startWeir(
    t,
    ({ address }) => `
workers: 2
listen: [{address: "${address}"}]
plugin_path: [${root}/plugins]
http: {trusted_proxies: [127.0.0.1]}
shared: {rate_limit: {size: 1MiB}}
routes:
  - {path: /metrics, handler: {metrics: prometheus}}
  - path: /ws
    websocket: on
    plugins: [{lua: rate_limit, config: ${settings}}]
    handler: {lua: echo}
`,
  );

const count = async (weir, limit, action) => {
  const text = await (await fetch(weir.http('/metrics'))).text();
  const found = text.match(new RegExp(`^rate_limit_total\\{action="${action}",limit="${limit}"\\} (\\d+)$`, 'm'));
  return found ? Number(found[1]) : 0;
};

// Resolves when the gateway has taken everything that was sent before: pings keep their place among messages.
async function settled(client) {
  const before = client.pongs;
  client.socket.ping();
  await waitFor(() => client.pongs > before, { what: 'a pong' });
}

const from = (address) => ({ headers: { 'X-Forwarded-For': address } });

test('an address has so many sessions at a time, on all workers together', async (t) => {
  const weir = await start(t, '{connections: 4}');
  const clients = [];
  for (let i = 0; i < 4; i++) {
    clients.push(await connect(weir.ws(), from('192.0.2.1')));
  }
  for (let i = 0; i < 6; i++) {
    const { status, headers, body } = await refused(weir.ws(), from('192.0.2.1'));
    assert.equal(status, 429);
    assert.equal(headers['retry-after'], '10');
    assert.equal(body, 'too many connections\n');
  }
  assert.equal(await count(weir, 'connections', 'refuse'), 6);
  const other = await connect(weir.ws(), from('192.0.2.2'));
  await clients[0].close();
  await clients[1].terminate();
  const again = await waitFor(() => connect(weir.ws(), from('192.0.2.1')).catch(() => null), { what: 'room for one' });
  const last = await waitFor(() => connect(weir.ws(), from('192.0.2.1')).catch(() => null), { what: 'room for two' });
  assert.equal((await refused(weir.ws(), from('192.0.2.1'))).status, 429);
  for (const client of [again, last, other]) {
    await client.send('served');
    assert.equal((await client.next()).text, 'served');
  }
});

test('of many that come at once no more get in than may, and all can come again when they have gone', async (t) => {
  const weir = await start(t, '{connections: 5}');
  for (let round = 0; round < 3; round++) {
    const tries = await Promise.all(Array.from({ length: 25 }, () => connect(weir.ws()).catch(() => null)));
    const clients = tries.filter((client) => client);
    assert.ok(clients.length <= 5 && clients.length > 0, `${clients.length} sessions`);
    while (clients.length < 5) {
      clients.push(await connect(weir.ws())); // who was refused for one that was refused itself
    }
    assert.equal((await refused(weir.ws())).status, 429);
    await Promise.all(clients.map((client, i) => (i % 2 === 0 ? client.close() : client.terminate())));
    await waitFor(async () => /^weir_sessions 0$/m.test(await (await fetch(weir.http('/metrics'))).text()), { what: 'no sessions' });
  }
});

test('a network of IPv6 counts as one address', async (t) => {
  const weir = await start(t, '{connections: 2}');
  await connect(weir.ws(), from('2001:db8::1'));
  await connect(weir.ws(), from('2001:db8:0:0:ffff::1'));
  assert.equal((await refused(weir.ws(), from('2001:db8::2:3'))).status, 429);
  await connect(weir.ws(), from('2001:db8:0:1::1'));
  await connect(weir.ws(), from('2001:db9::1'));
});

test('drops the messages of a session that are too many, and no others', async (t) => {
  const weir = await start(t, '{session: {messages: 0.01, message_burst: 3}, action: drop}');
  const clients = [await connect(weir.ws()), await connect(weir.ws())];
  for (const client of clients) {
    for (let i = 0; i < 10; i++) {
      client.send(`message ${i}`);
    }
    await settled(client);
    assert.deepEqual(client.messages.map((message) => message.text), ['message 0', 'message 1', 'message 2']);
  }
  assert.equal(await count(weir, 'messages', 'drop'), 14);
});

test('closes a session that sends too much, with the code and reason of the settings', async (t) => {
  const weir = await start(t, '{session: {messages: 0.01, message_burst: 2}, action: close, close_code: 4029, close_reason: slow down}');
  const client = await connect(weir.ws());
  for (let i = 0; i < 5; i++) {
    client.send('x');
  }
  assert.deepEqual(await client.closed, { code: 4029, reason: 'slow down' });
  assert.equal(client.messages.length, 2);
  assert.equal(await count(weir, 'messages', 'close'), 1);
});

test('delays messages, in their order, and sends none away', async (t) => {
  const weir = await start(t, '{session: {messages: 25, message_burst: 1}}');
  const client = await connect(weir.ws());
  const began = Date.now();
  for (let i = 0; i < 11; i++) {
    client.send(`${i}`);
  }
  for (let i = 0; i < 11; i++) {
    assert.equal((await client.next()).text, `${i}`);
  }
  const took = Date.now() - began;
  assert.ok(took >= 390, `ten messages at 25 a second took ${took} ms`);
  assert.ok(await count(weir, 'messages', 'delay'));
});

test('closes who would have to wait longer than max_delay, with 1008 by default', async (t) => {
  const weir = await start(t, '{session: {messages: 0.1, message_burst: 1}, max_delay: 1}');
  const client = await connect(weir.ws());
  client.send('first');
  client.send('second');
  assert.equal((await client.next()).text, 'first');
  assert.deepEqual(await client.closed, { code: 1008, reason: 'rate limit' });
});

test('a session that ends while it is delayed leaves nothing behind', async (t) => {
  const weir = await start(t, '{session: {messages: 2, message_burst: 1}, connections: 1}');
  const client = await connect(weir.ws());
  client.send('first');
  client.send('second');
  assert.equal((await client.next()).text, 'first');
  await client.terminate();
  const again = await waitFor(() => connect(weir.ws()).catch(() => null), { what: 'the address to be free again' });
  await again.send('back');
  assert.equal((await again.next()).text, 'back');
});

test('counts bytes: what fits the burst passes, and a larger message takes all of it', async (t) => {
  const weir = await start(t, '{session: {bytes: 0.01, byte_burst: 250}, action: drop}');
  const [small, large] = [await connect(weir.ws()), await connect(weir.ws())];
  for (const size of [100, 100, 100, 50, 1]) {
    small.send('x'.repeat(size));
  }
  await settled(small);
  assert.deepEqual(small.messages.map((message) => message.data.length), [100, 100, 50]);
  for (const size of [1000, 1]) {
    large.send(Buffer.alloc(size));
  }
  await settled(large);
  assert.deepEqual(large.messages.map((message) => message.data.length), [1000]);
  assert.equal(await count(weir, 'bytes', 'drop'), 3);
});

for (const [key, option] of [
  ['{header: X-Api-Key}', (value) => ({ headers: { 'x-api-key': value } })],
  ['{cookie: sid}', (value) => ({ headers: { cookie: `other=1; sid=${value}` } })],
  ['{query: token}', (value) => ({ query: `?token=${value}` })],
  ['address', (value) => from(value === 'a' ? '192.0.2.1' : '192.0.2.2')],
]) {
  test(`sessions of one key (${key}) share their limit over all workers`, async (t) => {
    const weir = await start(t, `{key: ${key}, per_key: {messages: 0.01, message_burst: 5}, action: drop}`);
    const open = async (value) => {
      const { query = '', ...options } = option(value);
      return connect(weir.ws(`/ws${query}`), options);
    };
    for (const value of ['a', 'b']) {
      const clients = [];
      for (let i = 0; i < 8; i++) {
        clients.push(await open(value));
      }
      for (const client of clients) {
        client.send('x');
        client.send('y');
        await settled(client);
      }
      assert.equal(clients.reduce((sum, client) => sum + client.messages.length, 0), 5, value);
    }
  });
}

test('who does not say its key is limited by its address', async (t) => {
  const weir = await start(t, '{key: {header: X-Api-Key}, per_key: {messages: 0.01, message_burst: 1}, action: drop}');
  const clients = [await connect(weir.ws(), from('192.0.2.1')), await connect(weir.ws(), from('192.0.2.1')), await connect(weir.ws(), from('192.0.2.2'))];
  for (const client of clients) {
    client.send('x');
    await settled(client);
  }
  assert.deepEqual(clients.map((client) => client.messages.length), [1, 0, 1]);
});

test('settings that are wrong stop the start and say why', async () => {
  for (const [settings, words] of [
    ['{conections: 1}', /rate_limit: unknown setting conections/],
    ['{connections: 0}', /rate_limit: connections must be a number, at least 1/],
    ['{session: {message: 1}}', /rate_limit: session: unknown setting message/],
    ['{session: {message_burst: 1}}', /rate_limit: session: message_burst needs messages/],
    ['{key: {heading: x}}', /rate_limit: key must be address, \{header: NAME\}/],
    ['{action: wait}', /rate_limit: action must be delay, drop or close/],
    ['{dictionary: other}', /rate_limit: there is no dictionary `other`; add `shared: \{other: \{size: 10MiB\}\}`/],
  ]) {
    const yaml = `listen: [{address: "127.0.0.1:5000"}]
plugin_path: [${root}/plugins]
shared: {rate_limit: {}}
routes: [{path: /, websocket: on, plugins: [{lua: rate_limit, config: ${settings}}], handler: {lua: echo}}]
`;
    const { code, stderr } = await runWeir(['-t', '-c', 'weir.yaml'], { files: { 'weir.yaml': yaml } });
    assert.equal(code, 2, settings);
    assert.match(stderr, words);
  }
});

test('conf/rate-limit.yaml serves', async (t) => {
  const yaml = fs.readFileSync(path.join(root, 'conf/rate-limit.yaml'), 'utf8');
  const weir = await startWeir(t, ({ address }) =>
    `plugin_path: [${root}/plugins]\n${yaml.replaceAll('127.0.0.1:5000', address).replace('static: www', `static: ${root}/www`)}`,
  );
  const client = await connect(weir.ws());
  await client.send('hello');
  assert.equal((await client.next()).text, 'hello');
  assert.equal(await count(weir, 'messages', 'delay'), 0);
});
