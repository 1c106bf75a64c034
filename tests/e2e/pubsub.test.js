// Topics with two workers and real clients: who hears what, in which order, on both workers; who is too slow and what
// that costs the others; thousands of subscriptions; the end of sessions. And plugins/chat.lua, message by message.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { connect, refused } = require('./lib/client');
const { startWeir, waitFor } = require('./lib/weir');

// What a message asks for: `+topic` subscribes, `-topic` unsubscribes, `topic data` publishes to the others, `*topic data` to
// all, `?` asks for the worker. Each is answered with what the call returned.
const TOPICS = `
local function answer(conn, ok, why) conn:send("= " .. tostring(ok) .. (why and " " .. why or "")) end
return {
    on_message = function(conn, data, kind)
        local mark, rest = data:sub(1, 1), data:sub(2)
        if mark == "?" then conn:send("worker " .. weir.worker.id)
        elseif mark == "+" then answer(conn, conn:subscribe(rest))
        elseif mark == "-" then answer(conn, conn:unsubscribe(rest))
        elseif mark == "*" then answer(conn, weir.publish(rest:match("^(%S*) (.*)$")))
        else
            local topic, text = data:match("^(%S*) (.*)$")
            answer(conn, conn:publish(topic, text, kind))
        end
    end,
    on_close = function(conn) conn:publish("ends", "end of " .. conn.id) end,
}`;

// The first word of a message is a topic that its bytes go to, without an answer: for floods.
const FLOOD = `
return {
    on_open = function(conn) conn:subscribe("flood") end,
    on_message = function(conn, data, kind) conn:publish("flood", data, kind) end,
}`;

const UPPER = 'return { on_send = function(conn, data, kind) return data:upper() end }';

const config = ({ address, root }) => `
workers: 2
listen:
  - address: ${address}
plugin_path: [plugins, ${root}/plugins]
shared: {rooms: {size: 1MiB}}
routes:
  - {path: /ws, websocket: {keep_alive_interval: 0s}, handler: {lua: topics}}
  - {path: /upper, websocket: {}, plugins: [{lua: upper}], handler: {lua: topics}}
  - {path: /deflate, websocket: {compression: on}, handler: {lua: topics}}
  - {path: /flood, websocket: {keep_alive_interval: 0s, max_queue_size: 256KiB, write_timeout: 60s}, handler: {lua: flood}}
  - {path: /metrics, handler: {metrics: prometheus}}
  - {path: /rooms/ws, websocket: {}, handler: {lua: chat, config: {max_people: 3, max_text: 10}}}
`;

const start = (t) =>
  startWeir(t, config, { files: { 'plugins/topics.lua': TOPICS, 'plugins/flood.lua': FLOOD, 'plugins/upper.lua': UPPER } });

async function ask(client, message) {
  await client.send(message);
  return (await client.next()).text;
}

// One client on each worker; the kernel deals them out, so it takes a few.
async function onBoth(t, weir) {
  const found = [];
  for (let i = 0; i < 64 && !(found[0] && found[1]); i++) {
    const client = await connect(weir.ws('/ws'));
    const worker = Number((await ask(client, '?')).slice(7));
    if (found[worker]) {
      await client.close(1000);
    } else {
      found[worker] = client;
    }
  }
  assert.ok(found[0] && found[1], 'no client came to one of the workers');
  t.after(() => found.forEach((client) => client.socket.terminate()));
  return found;
}

async function subscribed(t, weir, topic, target = '/ws', options) {
  const client = await connect(weir.ws(target), options);
  t.after(() => client.socket.terminate());
  assert.match(await ask(client, `+${topic}`), /^= true$/i);
  return client;
}

test('what is published reaches both workers, in order, and not its publisher', async (t) => {
  const weir = await start(t);
  const [one, other] = await onBoth(t, weir);
  for (const client of [one, other]) {
    assert.equal(await ask(client, '+t'), '= true');
  }
  for (let i = 0; i < 1000; i++) {
    one.send(`t ${i}`);
  }
  for (let i = 0; i < 1000; i++) {
    assert.equal((await other.next()).text, String(i));
    assert.equal((await one.next()).text, '= true');
  }
  await one.send('*t to all');
  assert.equal((await one.next()).text, 'to all');
  assert.equal((await one.next()).text, '= true');
  assert.equal((await other.next()).text, 'to all');
  assert.equal(one.messages.length + other.messages.length, 0);
});

test('two publishers on two workers: each is heard in its order by everybody', async (t) => {
  const weir = await start(t);
  const publishers = await onBoth(t, weir);
  const listeners = [];
  for (let i = 0; i < 10; i++) {
    listeners.push(await subscribed(t, weir, 't'));
  }
  const count = 300;
  for (let i = 0; i < count; i++) {
    publishers.forEach((client, from) => client.send(`t ${from} ${i}`));
  }
  for (const listener of listeners) {
    const next = [0, 0];
    for (let i = 0; i < 2 * count; i++) {
      const [from, number] = (await listener.next()).text.split(' ').map(Number);
      assert.equal(number, next[from]++, `of publisher ${from}`);
    }
  }
});

test('binary stays binary, and a large message arrives whole on the other worker', async (t) => {
  const weir = await start(t);
  const [one, other] = await onBoth(t, weir);
  await ask(other, '+t');
  const payload = Buffer.concat([Buffer.from('t '), Buffer.alloc(300 * 1024, 0xe5)]);
  await one.send(payload);
  const got = await other.next();
  assert.ok(got.binary);
  assert.ok(got.data.equals(payload.subarray(2)));
});

test('after unsubscribing nothing comes; the end of a session is heard of, and ends its subscriptions', async (t) => {
  const weir = await start(t);
  const [one, other] = await onBoth(t, weir);
  assert.equal(await ask(other, '+t'), '= true');
  assert.equal(await ask(other, '-t'), '= true');
  assert.equal(await ask(other, '-t'), '= false');
  await ask(one, 't nobody hears this');
  assert.equal(await ask(other, '+ends'), '= true');
  one.socket.terminate();
  assert.match((await other.next()).text, /^end of \d+$/);
});

test('errors are words', async (t) => {
  const weir = await start(t);
  const client = await connect(weir.ws('/ws'));
  assert.equal(await ask(client, '+'), '= nil bad topic');
  assert.equal(await ask(client, `+${'x'.repeat(257)}`), '= nil bad topic');
  assert.equal(await ask(client, `*${'x'.repeat(257)} y`), '= nil bad topic');
  for (let i = 0; i < 256; i++) {
    assert.equal(await ask(client, `+t${i}`), '= true');
  }
  assert.equal(await ask(client, '+one more'), '= nil too many');
  await client.close(1000);
});

test('filters in front and compression hold for what is published, too', async (t) => {
  const weir = await start(t);
  const [one] = await onBoth(t, weir);
  const plain = await subscribed(t, weir, 't');
  const upper = await subscribed(t, weir, 't', '/upper');
  const packed = await subscribed(t, weir, 't', '/deflate', { perMessageDeflate: true });
  assert.match(packed.extensions, /permessage-deflate/);
  const text = 'again and again '.repeat(200);
  for (let i = 0; i < 3; i++) {
    await ask(one, `t ${i} ${text}`);
  }
  for (let i = 0; i < 3; i++) {
    assert.equal((await plain.next()).text, `${i} ${text}`);
    assert.equal((await upper.next()).text, `${i} ${text.toUpperCase()}`);
    assert.equal((await packed.next()).text, `${i} ${text}`);
  }
});

test('who does not read misses messages, and holds up neither the others nor the memory', async (t) => {
  const weir = await start(t);
  const slow = await connect(weir.ws('/flood'));
  t.after(() => slow.socket.terminate());
  slow.socket._socket.pause();
  const publisher = await connect(weir.ws('/flood'));
  const listener = await connect(weir.ws('/flood'));
  t.after(() => [publisher, listener].forEach((client) => client.socket.terminate()));
  const payload = Buffer.alloc(32 * 1024);
  const count = 1000; // 32 MiB, of which buffers of kernel and queue take a few
  for (let i = 0; i < count; i++) {
    payload.writeUInt32BE(i);
    await publisher.send(Buffer.from(payload));
    const got = await listener.next();
    assert.equal(got.data.readUInt32BE(), i);
  }
  const settled = weir.residentBytes();
  slow.socket._socket.resume();
  let last = -1;
  let heard = 0;
  // A marker, published until the slow one hears it: it has caught up then.
  const marker = Buffer.from('caught up');
  for (let done = false; !done;) {
    await publisher.send(marker);
    while (!done && (slow.messages.length > 0 || heard === 0)) {
      const { data } = await slow.next();
      done = data.equals(marker);
      if (!done) {
        assert.ok(data.readUInt32BE() > last, 'in order');
        last = data.readUInt32BE();
        heard++;
      }
    }
    await new Promise(setImmediate);
  }
  assert.ok(heard < count, `it heard all ${heard}`);
  const metrics = await (await fetch(weir.http('/metrics'))).text();
  const missed = Number(metrics.match(/^weir_published_missed_total (\d+)$/m)[1]);
  assert.ok(missed >= count - heard, `${missed} missed, ${heard} heard`);
  assert.ok(settled < 300 * 1024 * 1024, `${settled} bytes resident`);
});

test('thousands of subscriptions: each message reaches exactly those it is for', async (t) => {
  const weir = await start(t);
  const [one] = await onBoth(t, weir);
  const clients = await Promise.all(Array.from({ length: 40 }, () => connect(weir.ws('/ws'))));
  t.after(() => clients.forEach((client) => client.socket.terminate()));
  await Promise.all(
    clients.map(async (client, c) => {
      for (let i = 0; i < 100; i++) {
        client.send(`+topic-${c}-${i}`);
      }
      client.send('+all');
      for (let i = 0; i <= 100; i++) {
        assert.equal((await client.next()).text, '= true');
      }
    }),
  );
  for (let i = 0; i < 100; i += 9) {
    for (let c = 0; c < clients.length; c++) {
      one.send(`topic-${c}-${i} ${c}/${i}`);
    }
  }
  one.send('all over');
  for (const [c, client] of clients.entries()) {
    for (let i = 0; i < 100; i += 9) {
      assert.equal((await client.next()).text, `${c}/${i}`);
    }
    assert.equal((await client.next()).text, 'over');
    assert.equal(client.messages.length, 0);
  }
});

test('workers that stop while others publish to them lose nothing but the messages', async (t) => {
  const weir = await start(t);
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect(weir.ws('/flood'))));
  clients.forEach((client) => client.socket.on('message', () => {}));
  let stopped = false;
  const pump = clients.map(async (client) => {
    while (!stopped && !client.closeInfo) {
      await client.send('x'.repeat(100)).catch(() => {});
      await new Promise(setImmediate);
    }
  });
  await waitFor(() => clients.every((client) => client.messages.length > 100), { what: 'messages' });
  await weir.stop(); // which checks the exit status, and in a build with sanitizers the memory
  stopped = true;
  await Promise.all(pump);
  for (const client of clients) {
    assert.equal((await client.closed).code, 1001);
  }
});

// --- plugins/chat.lua ---

async function enter(t, weir, query) {
  const client = await connect(weir.ws(`/rooms/ws${query}`));
  t.after(() => client.socket.terminate());
  const welcome = JSON.parse((await client.next()).text);
  return { client, welcome };
}

const hears = async ({ client }) => JSON.parse((await client.next()).text);
const says = ({ client }, message) => client.send(typeof message === 'string' ? message : JSON.stringify(message));

test('chat: coming, talking, typing, asking and going', async (t) => {
  const weir = await start(t);
  const ada = await enter(t, weir, '?room=garden&name=Ada');
  const id = ada.welcome.id;
  assert.match(id, /^\d+$/);
  assert.deepEqual(ada.welcome, { type: 'welcome', id, name: 'Ada', room: 'garden', people: [{ id, name: 'Ada' }] });
  const grace = await enter(t, weir, '?room=garden&name=%20Grace%20%20Hopper%0a');
  const hers = { id: grace.welcome.id, name: 'Grace Hopper' };
  assert.deepEqual(grace.welcome.people, [{ id, name: 'Ada' }, hers]);
  assert.deepEqual(await hears(ada), { type: 'joined', ...hers });
  says(grace, { type: 'typing', on: true });
  says(grace, { type: 'typing', on: true });
  says(grace, { type: 'say', text: 'hi\n"you"' });
  assert.deepEqual(await hears(ada), { type: 'typing', ...hers, on: true });
  for (const one of [ada, grace]) {
    const { at, ...said } = await hears(one);
    assert.deepEqual(said, { type: 'said', ...hers, text: 'hi "you"' });
    assert.ok(Math.abs(at - Date.now()) < 60000);
  }
  says(ada, { type: 'who' });
  assert.deepEqual(await hears(ada), { type: 'who', people: [{ id, name: 'Ada' }, hers] });
  grace.client.socket.terminate();
  assert.deepEqual(await hears(ada), { type: 'left', ...hers });
  says(ada, { type: 'who' });
  assert.deepEqual((await hears(ada)).people, [{ id, name: 'Ada' }]);
});

test('chat: names are unique in a room over all workers, and limits are kept', async (t) => {
  const weir = await start(t);
  const all = await Promise.all([1, 2, 3].map(() => enter(t, weir, '?room=r&name=Ada')));
  assert.deepEqual(all.map(({ welcome }) => welcome.name).sort(), ['Ada', 'Ada 2', 'Ada 3']);
  const full = await connect(weir.ws('/rooms/ws?room=r&name=Ada'));
  assert.deepEqual(await full.closed, { code: 4003, reason: 'the room is full' });
  const elsewhere = await enter(t, weir, '?room=s&name=Ada');
  assert.equal(elsewhere.welcome.name, 'Ada');
  const { client } = elsewhere;
  for (const bad of ['{', '[]', '7', '{"type":"shout"}', '{"type":7}', '{"type":"say"}', '{"type":"say","text":" \\n"}',
    '{"type":"say","text":"12345678901"}', '{"type":"say","text":7}']) {
    await client.send(bad);
    assert.equal(JSON.parse((await client.next()).text).type, 'error', bad);
  }
  await client.send('{"type":"say","text":"éééééééééé"}');
  assert.equal(JSON.parse((await client.next()).text).text, 'éééééééééé');
  for (const query of ['?name=', `?name=${'x'.repeat(41)}`, '?room=%00', '?room=%ff']) {
    assert.equal((await refused(weir.ws(`/rooms/ws${query}`))).status, 400, query);
  }
  assert.equal((await enter(t, weir, '')).welcome.room, 'lobby');
});
