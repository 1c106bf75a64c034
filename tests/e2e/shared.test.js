// weir.shared in the running gateway: plugins on two workers count, add and take in one dictionary.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { startWeir, runWeir, root } = require('./lib/weir');
const { connect } = require('./lib/client');

const plugin = `
local d = weir.shared.numbers
local commands = {}
function commands.incr(key) return d:incr(key, 1, 0) end
function commands.add(key) return d:add(key, weir.worker.id) and "new" or "exists" end
function commands.take(key) return (d:take(key, 0, 100)) end
function commands.set(key, value) return d:set(key, value) end
function commands.get(key) return d:get(key) end
function commands.fill(key) for i = 1, 1000 do d:set(key .. i, ("x"):rep(100)) end return #d:keys(0) end
return {
    on_message = function(conn, data)
        local name, key, value = data:match("^(%w+) (%w+) ?(.*)$")
        conn:send(weir.worker.id .. " " .. tostring(commands[name](key, value)))
    end,
}`;

const start = (t, size = '1MiB') =>
  startWeir(
    t,
    ({ address }) => `
workers: 2
listen: [{address: "${address}"}]
plugin_path: [plugins]
shared: {numbers: {size: ${size}}}
routes: [{path: /, websocket: on, handler: {lua: numbers}}]
`,
    { files: { 'plugins/numbers.lua': plugin } },
  );

// Clients on both workers: the kernel spreads connections over them, so there are more until each has one.
async function clientsOnBoth(weir, count) {
  const clients = [];
  const workers = new Set();
  while (clients.length < count || workers.size < 2) {
    assert.ok(clients.length < 200, 'every connection went to one worker');
    const client = await connect(weir.ws('/'));
    await client.send('get nothing');
    workers.add((await client.next()).text.split(' ')[0]);
    clients.push(client);
  }
  return clients;
}

// Every client sends `text` so often, all at once; resolves with what follows the worker's number in each answer.
async function askAll(clients, text, times) {
  const answers = await Promise.all(
    clients.map(async (client) => {
      for (let i = 0; i < times; i++) {
        client.send(text);
      }
      const got = [];
      for (let i = 0; i < times; i++) {
        got.push((await client.next()).text.split(' ')[1]);
      }
      return got;
    }),
  );
  return answers.flat();
}

test('workers lose no increase, and no two get the same number', async (t) => {
  const weir = await start(t);
  const clients = await clientsOnBoth(weir, 20);
  const numbers = (await askAll(clients, 'incr n', 50)).map(Number).sort((a, b) => a - b);
  assert.deepEqual(numbers, Array.from({ length: clients.length * 50 }, (_, i) => i + 1));
});

test('of all workers one adds a key, and a bucket gives each token once', async (t) => {
  const weir = await start(t);
  const clients = await clientsOnBoth(weir, 20);
  const added = await askAll(clients, 'add once', 10);
  assert.equal(added.filter((answer) => answer === 'new').length, 1);
  assert.equal(added.filter((answer) => answer === 'exists').length, added.length - 1);
  const taken = await askAll(clients, 'take bucket', 10);
  assert.equal(taken.filter((answer) => answer === 'true').length, 100);
});

test('what one worker sets the other gets, and the size holds', async (t) => {
  const weir = await start(t, '64KiB');
  const clients = await clientsOnBoth(weir, 2);
  await clients[0].send('set colour green');
  assert.match((await clients[0].next()).text, / true$/);
  assert.deepEqual(new Set(await askAll(clients, 'get colour', 1)), new Set(['green']));
  const [kept] = await askAll(clients.slice(0, 1), 'fill key', 1);
  assert.ok(kept > 100 && kept < 600, `${kept} entries of 100 bytes in 64KiB`);
  assert.deepEqual(new Set(await askAll(clients, 'get colour', 1)), new Set(['nil']));
});

test('a size that is none is a configuration error', async () => {
  const yaml = `listen: [{address: "127.0.0.1:5000"}]
shared: {numbers: {size: many}}
routes: [{path: /, handler: {static: .}}]
`;
  const { code, stderr } = await runWeir(['-t', '-c', 'weir.yaml'], { files: { 'weir.yaml': yaml } });
  assert.equal(code, 2);
  assert.match(stderr, /weir\.yaml:2:26: shared\.numbers\.size: /);
});

const page = fs.readFileSync(path.join(root, 'docs/shared.md'), 'utf8');
const blocks = (language) => [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((match) => match[1]);

test('the examples of docs/shared.md do what the page says', async (t) => {
  const [yaml] = blocks('yaml');
  const [rooms, taking] = blocks('lua');
  const one = await startWeir(t, ({ address }) => `workers: 2\nlisten: [{address: "${address}"}]\n${yaml}`, { files: { 'plugins/rooms.lua': rooms } });
  for (let i = 1; i <= 6; i++) {
    assert.equal((await (await connect(one.ws('/ws?room=a'))).next()).text, `you are number ${i}`);
  }
  const two = await startWeir(t, ({ address }) => `listen: [{address: "${address}"}]\n${yaml}`, { files: { 'plugins/rooms.lua': taking } });
  const client = await connect(two.ws('/ws'));
  const began = Date.now();
  for (let i = 0; i < 24; i++) {
    client.send(`${i}`);
  }
  for (let i = 0; i < 24; i++) {
    assert.equal((await client.next()).text, `${i}`);
  }
  assert.ok(Date.now() - began >= 350, 'four messages beyond the burst of 20, at 10 a second');
});
