// plugins/webhook.lua with a stateless backend in Node.js: what it is told, in which order, what its answers do, and
// what happens when it fails.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const path = require('node:path');
const { startWeir, runWeir, root, freePort, waitFor } = require('./lib/weir');
const { connect } = require('./lib/client');
const { startService, never } = require('./lib/service');

const plugins = path.join(root, 'plugins');

const gateway = (t, config, more = {}) =>
  startWeir(
    t,
    ({ address }) => `
workers: 1
listen: [{address: "${address}"}]
plugin_path: ["${plugins}"]
routes:
  - path: /
    websocket: {subprotocols: [chat.v1]}
    handler: ${JSON.stringify({ lua: 'webhook', config, ...more })}
`,
  );

const json = (value) => ({ status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) });
const nothing = { status: 204 };
const events = (service) => service.asked.map(({ json: event }) => event);

test('the backend hears of the opening, each message and the closing, and its answers reach the client', async (t) => {
  const service = await startService(t, ({ json: event }) => {
    if (event.event === 'open') {
      return json({ send: [`welcome ${event.request.headers.cookie}`] });
    }
    return event.event === 'message' ? json({ send: [{ text: `${event.kind} ${event.data}` }] }) : nothing;
  });
  const weir = await gateway(t, { url: service.url, headers: { 'X-Api-Key': 'k' } });
  const client = await connect(weir.ws('/room?name=ada'), {
    protocols: ['chat.v1'],
    headers: { cookie: 'user=5', 'x-private': 'no' },
  });
  assert.equal((await client.next()).text, 'welcome user=5');
  await client.send('hällo');
  assert.equal((await client.next()).text, 'text hällo');
  await client.send(Buffer.from([0, 1, 255]));
  assert.equal((await client.next()).text, 'binary AAH/');
  client.close(4000, 'bye');
  await waitFor(() => service.asked.length === 4);

  const [open, text, binary, close] = events(service);
  const id = open.id;
  assert.match(id, /^\d+$/);
  assert.ok(Math.abs(open.time - Date.now() / 1000) < 60);
  assert.deepEqual(
    { ...open, time: 0 },
    {
      event: 'open',
      id,
      seq: 1,
      time: 0,
      request: {
        target: '/room?name=ada',
        host: weir.authority,
        remote: '127.0.0.1',
        subprotocol: 'chat.v1',
        headers: { cookie: 'user=5' },
      },
    },
  );
  assert.deepEqual({ ...text, time: 0 }, { event: 'message', id, seq: 2, time: 0, kind: 'text', data: 'hällo' });
  assert.deepEqual({ ...binary, time: 0 }, { event: 'message', id, seq: 3, time: 0, kind: 'binary', data: 'AAH/' });
  assert.ok(close.duration >= 0);
  assert.deepEqual(
    { ...close, time: 0, duration: 0 },
    {
      event: 'close',
      id,
      seq: 4,
      time: 0,
      code: 4000,
      reason: 'bye',
      closed_by: 'client',
      duration: 0,
      messages_in: 2,
      messages_out: 3,
    },
  );
  for (const [i, { method, headers }] of service.asked.entries()) {
    assert.equal(method, 'POST');
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['x-weir-event'], ['open', 'message', 'message', 'close'][i]);
    assert.equal(headers['x-weir-conn-id'], id);
    assert.equal(headers['x-weir-seq'], `${i + 1}`);
    assert.equal(headers['x-api-key'], 'k');
    assert.equal(headers['x-weir-signature'], undefined);
  }
  assert.equal(service.connections, 1);
});

test('an answer may send several messages of both kinds, keep a state, and close', async (t) => {
  const service = await startService(t, ({ json: event }) => {
    if (event.event !== 'message') {
      return event.event === 'open' ? json({ state: { count: 0, of: ['x'] } }) : nothing;
    }
    const state = { ...event.state, count: event.state.count + 1 };
    if (event.data === 'close') {
      return json({ send: 'last', close: { code: 4321, reason: 'done' } });
    }
    return json({ state, send: [`${state.count}${state.of}`, { binary: 'AP8=' }, { text: 't' }] });
  });
  const weir = await gateway(t, { url: service.url });
  const client = await connect(weir.ws());
  for (const count of [1, 2]) {
    await client.send('x');
    assert.equal((await client.next()).text, `${count}x`);
    const binary = await client.next();
    assert.ok(binary.binary);
    assert.deepEqual(binary.data, Buffer.from([0, 255]));
    assert.equal((await client.next()).text, 't');
  }
  await client.send('close');
  assert.equal((await client.next()).text, 'last');
  assert.deepEqual(await client.closed, { code: 4321, reason: 'done' });
  await waitFor(() => service.asked.length === 5);
  assert.deepEqual(events(service)[4].state, { count: 2, of: ['x'] });
  assert.equal(events(service)[4].closed_by, 'gateway');
});

test('messages are told one after the other, however long each takes', async (t) => {
  const service = await startService(t, async ({ json: event }) => {
    if (event.event === 'message') {
      await new Promise((resolve) => setTimeout(resolve, (Number(event.data) * 7) % 23));
      return json({ send: [event.data] });
    }
    return nothing;
  });
  const weir = await gateway(t, { url: service.url });
  const client = await connect(weir.ws());
  for (let i = 0; i < 30; i++) {
    client.send(`${i}`);
  }
  for (let i = 0; i < 30; i++) {
    assert.equal((await client.next()).text, `${i}`);
  }
  assert.equal(service.mostAtOnce, 1);
  assert.deepEqual(
    events(service).map(({ seq }) => seq),
    [...Array(31).keys()].map((i) => i + 1),
  );
  client.close();
});

test('the binary form: messages are bodies, both ways', async (t) => {
  const service = await startService(t, ({ headers, body }) => {
    if (headers['x-weir-event'] !== 'message') {
      return nothing;
    }
    if (body.toString() === 'close') {
      return { status: 200, headers: { 'x-weir-close': '4002 enough now' } };
    }
    const type = headers['content-type'].startsWith('text/') ? 'text/plain' : 'application/octet-stream';
    return { status: 200, headers: { 'content-type': type }, body: Buffer.concat([Buffer.from('>'), body]) };
  });
  const weir = await gateway(t, { url: service.url, format: 'binary' });
  const client = await connect(weir.ws());
  await client.send('text');
  assert.equal((await client.next()).text, '>text');
  const bytes = Buffer.from([...Array(256).keys()]);
  await client.send(bytes);
  assert.deepEqual((await client.next()).data, Buffer.concat([Buffer.from('>'), bytes]));
  await client.send('close');
  assert.deepEqual(await client.closed, { code: 4002, reason: 'enough now' });
  await waitFor(() => service.asked.length === 5);
  const [open, text, binary, , close] = service.asked;
  assert.equal(open.headers['content-type'], 'application/json');
  assert.equal(open.json.event, 'open');
  assert.equal(text.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(binary.headers['content-type'], 'application/octet-stream');
  assert.deepEqual(binary.body, bytes);
  assert.equal(close.json.code, 4002);
});

test('what is told is signed with the secret', async (t) => {
  const service = await startService(t, () => nothing);
  const weir = await gateway(t, { url: service.url, secret: 's3cret' });
  const client = await connect(weir.ws());
  await client.send('hello');
  client.close();
  await waitFor(() => service.asked.length === 3);
  for (const { headers, body } of service.asked) {
    const parts = ['timestamp', 'event', 'conn-id', 'seq'].map((name) => headers[`x-weir-${name}`]);
    const mac = crypto.createHmac('sha256', 's3cret').update(`${parts.join('.')}.`).update(body).digest('hex');
    assert.equal(headers['x-weir-signature'], `sha256=${mac}`);
    assert.ok(Math.abs(Number(parts[0]) - Date.now() / 1000) < 60);
  }
});

test('an opening that fails is told again, and then goes on', async (t) => {
  const service = await startService(t, (asked, n) => (n < 2 ? [{ status: 503 }, null][n] : json({ send: ['at last'] })));
  const weir = await gateway(t, { url: service.url });
  const client = await connect(weir.ws());
  assert.equal((await client.next()).text, 'at last');
  assert.deepEqual(
    events(service).map(({ event, seq }) => [event, seq]),
    [['open', 1], ['open', 1], ['open', 1]],
  );
  client.close();
});

const failures = {
  'hangs up': [() => null, /the connection ended early/],
  'fails': [() => ({ status: 500 }), /status 500/],
  'hangs': [never, /timeout/],
  'says too much': [() => ({ status: 200, body: 'x'.repeat(2001) }), /longer than 2000 bytes/],
  'says no JSON': [() => ({ status: 200, body: '{"send":' }), /not a JSON object/],
  'says what cannot be sent': [() => json({ send: [{ binary: '?' }] }), /neither text nor/],
  'closes with no code': [() => json({ close: { code: 1006 } }), /cannot be sent/],
};

for (const [name, [answer, words]] of Object.entries(failures)) {
  test(`a backend that ${name} at a message: told once, and the session ends, or goes on where that is asked for`, async (t) => {
    const service = await startService(t, (asked) => {
      const { event, data } = asked.json;
      return event !== 'message' ? nothing : data === 'bad' ? answer() : json({ send: [data] });
    });
    const config = { url: service.url, timeout: 0.3, max_response: 2000 };
    const weir = await gateway(t, config);
    const client = await connect(weir.ws());
    await client.send('good');
    assert.equal((await client.next()).text, 'good');
    await client.send('bad');
    assert.equal((await client.closed).code, 1013);
    await weir.waitForLog(words);
    await waitFor(() => service.asked.length === 4);
    assert.deepEqual(
      events(service).map(({ event, data, code }) => data || code || event),
      ['open', 'good', 'bad', 1013],
    );

    const patient = await gateway(t, { ...config, on_failure: 'ignore' });
    const other = await connect(patient.ws());
    await other.send('bad');
    await other.send('good');
    assert.equal((await other.next()).text, 'good');
    await patient.waitForLog(words);
    other.close();
    await waitFor(() => service.asked.length === 8);
  });
}

test('a backend that refuses closes with 1008, and hears no more of who it has not let in', async (t) => {
  const service = await startService(t, ({ json: { event, request, data } }) => {
    if (event === 'open') {
      return request.target === '/no' ? { status: 403 } : nothing;
    }
    return data === 'no' ? { status: 404 } : nothing;
  });
  const weir = await gateway(t, { url: service.url });
  const stranger = await connect(weir.ws('/no'));
  stranger.send('too early');
  assert.equal((await stranger.closed).code, 1008);
  const client = await connect(weir.ws('/yes'));
  await client.send('no');
  assert.equal((await client.closed).code, 1008);
  await waitFor(() => service.asked.length === 4);
  assert.deepEqual(
    events(service).map(({ event }) => event),
    ['open', 'open', 'message', 'close'],
  );
});

test('nobody listens: the session closes, and the log says why', async (t) => {
  const weir = await gateway(t, { url: `http://127.0.0.1:${await freePort()}/`, retries: 0 });
  const client = await connect(weir.ws());
  assert.equal((await client.closed).code, 1013);
  await weir.waitForLog(/could not connect/);
});

test('a client that leaves while its message is told: the backend hears the end after that', async (t) => {
  let release;
  const service = await startService(t, ({ json: { event } }) =>
    event === 'message' ? new Promise((resolve) => (release = () => resolve(nothing))) : nothing,
  );
  const weir = await gateway(t, { url: service.url });
  const client = await connect(weir.ws());
  await client.send('last words');
  await waitFor(() => release);
  client.terminate();
  await new Promise((resolve) => setTimeout(resolve, 100)); // it must not come in this time
  assert.equal(service.asked.length, 2);
  assert.equal(service.asked[1].aborted, false);
  release();
  await waitFor(() => service.asked.length === 3);
  assert.deepEqual(
    events(service).map(({ event }) => event),
    ['open', 'message', 'close'],
  );
  assert.equal(events(service)[2].code, 1006);
  assert.equal(service.mostAtOnce, 1);
});

test('sessions share what max_http_requests allows, and each is served', async (t) => {
  const service = await startService(t, async ({ json: event }) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return event.event === 'message' ? json({ send: [event.data] }) : nothing;
  });
  const weir = await gateway(t, { url: service.url }, { max_http_requests: 3 });
  const clients = await Promise.all([...Array(20).keys()].map(() => connect(weir.ws())));
  await Promise.all(
    clients.map(async (client, i) => {
      await client.send(`from ${i}`);
      assert.equal((await client.next()).text, `from ${i}`);
      client.close();
    }),
  );
  await waitFor(() => service.asked.length === 60);
  assert.ok(service.mostAtOnce <= 3, `${service.mostAtOnce} at once`);
});

test('a stop of the gateway waits until the backend has heard of each end', async (t) => {
  const service = await startService(t, async ({ json: { event } }) => {
    await new Promise((resolve) => setTimeout(resolve, event === 'close' ? 200 : 0));
    return nothing;
  });
  const weir = await gateway(t, { url: service.url });
  const clients = await Promise.all([...Array(10).keys()].map(() => connect(weir.ws())));
  await waitFor(() => service.asked.length === 10);
  await weir.stop();
  for (const client of clients) {
    assert.equal((await client.closed).code, 1001);
  }
  const told = events(service).slice(10);
  assert.deepEqual(
    told.map(({ event, code }) => [event, code]),
    Array(10).fill(['close', 1001]),
  );
  assert.ok(service.asked.every(({ aborted }) => !aborted));
});

test('openings and closings are not told where that is not wanted', async (t) => {
  const service = await startService(t, ({ json: event }) => json({ send: [event.data] }));
  const weir = await gateway(t, { url: service.url, open: false, close: false });
  const client = await connect(weir.ws());
  await client.send('x');
  assert.equal((await client.next()).text, 'x');
  await client.close(1000);
  const other = await connect(weir.ws());
  await other.send('y');
  assert.equal((await other.next()).text, 'y');
  await other.close(1000);
  assert.deepEqual(
    events(service).map(({ event }) => event),
    ['message', 'message'],
  );
});

const mistakes = {
  '{}': /config\.url is missing/,
  '{url: "http://x/", format: xml}': /config\.format must be one of json, binary, not "xml"/,
  '{url: "http://x/", retries: 11}': /config\.retries must be a whole number from 0 to 10, not 11/,
  '{url: "http://x/", open: "yes"}': /config\.open must be true or false, not "yes"/,
  '{url: "http://x/", secret: ""}': /config\.secret must be a string that is not empty, not ""/,
  '{url: "http://x/", headers: {X-Weir-Event: x}}': /config\.headers must not have x-weir-event: the plugin sets it/,
  '{url: "http://x/", headers: [x]}': /config\.headers must be a mapping of header names to values, not a list/,
  '{url: "http://x/", headers: {X: "a\\nb"}}': /config\.headers\.X must be a header's value/,
  '{url: "http://x/", on_error: close}': /config\.on_error is not known; there are .*on_failure/,
};

for (const [config, words] of Object.entries(mistakes)) {
  test(`settings are checked when they are loaded: ${config}`, async () => {
    const result = await runWeir(['-t', '-c', 'weir.yaml'], {
      files: {
        'weir.yaml': `
listen: [{address: "127.0.0.1:1"}]
plugin_path: ["${plugins}"]
routes: [{path: /, websocket: {}, handler: {lua: webhook, config: ${config}}}]
`,
      },
    });
    assert.notEqual(result.code, 0);
    assert.match(result.stdout + result.stderr, words);
  });
}
