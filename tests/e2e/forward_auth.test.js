// plugins/forward_auth.lua with a service in Node.js: what it is told, what passes, what is refused, and what happens
// when it fails.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { startWeir, runWeir, root, freePort, waitFor } = require('./lib/weir');
const { connect, refused } = require('./lib/client');
const { startService, never } = require('./lib/service');

const plugins = path.join(root, 'plugins');

const gateway = (t, config) =>
  startWeir(
    t,
    ({ address }) => `
workers: 1
listen: [{address: "${address}"}]
plugin_path: ["${plugins}", plugins]
routes:
  - path: /
    websocket: {}
    plugins: [{lua: forward_auth, config: ${JSON.stringify(config)}}]
    handler: {lua: inner}
`,
    {
      files: {
        'plugins/inner.lua': `
return {
    on_request = function(req)
        if req.path == "/headers" then
            local lines = {}
            for i, name in ipairs({"x-user", "x-role", "x-team", "x_user", "x-other"}) do
                lines[i] = name .. "=" .. tostring(req.headers[name])
            end
            return req:reply(200, {}, table.concat(lines, "\\n"))
        end
        if not req.is_websocket then return req:reply(200, {}, "inside") end
    end,
    on_message = function(conn, data) conn:send(data) end,
}`,
      },
    },
  );

test('the service hears who wants what, and lets it pass', async (t) => {
  const service = await startService(t, () => ({ status: 204 }));
  const weir = await gateway(t, { url: `${service.url}?a=b`, request_headers: ['Authorization', 'x-chosen'] });
  const client = await connect(weir.ws('/chat%20room?x=1'), {
    headers: { authorization: 'Bearer t', 'x-other': 'no', 'x-forwarded-uri': '/admin', host: 'chat.test' },
  });
  await client.send('hello');
  assert.equal((await client.next()).text, 'hello');
  client.close();
  const { method, url, headers } = service.asked[0];
  assert.equal(method, 'GET');
  assert.equal(url, '/hook?a=b');
  assert.deepEqual(
    Object.fromEntries(Object.entries(headers).filter(([name]) => /^(x-|auth)/.test(name))),
    {
      authorization: 'Bearer t',
      'x-forwarded-method': 'GET',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'chat.test',
      'x-forwarded-uri': '/chat%20room?x=1',
      'x-forwarded-for': '127.0.0.1',
    },
  );

  const plain = await fetch(weir.http('/page'), { method: 'POST', body: 'x', headers: { 'x-chosen': 'c' } });
  assert.equal(await plain.text(), 'inside');
  assert.equal(service.asked[1].headers['x-forwarded-method'], 'POST');
  assert.equal(service.asked[1].headers['x-chosen'], 'c');
  assert.equal(service.asked[1].body.length, 0);
  assert.equal(service.asked.length, 2); // messages are not asked about
  assert.equal(service.connections, 1); // and the connection is used again
});

test('a refusal is the client’s, with the headers that are for it', async (t) => {
  const answers = {
    '/a': {
      status: 401,
      headers: { 'www-authenticate': 'Bearer realm="x"', 'content-type': 'application/json', 'x-internal': 'no' },
      body: '{"error":"who?"}',
    },
    '/b': { status: 302, headers: { location: 'https://sign.in/?to=/b', 'set-cookie': ['a=1; Path=/', 'b=2'] } },
    '/c': { status: 403 },
  };
  const service = await startService(t, (asked) => answers[asked.headers['x-forwarded-uri']]);
  const weir = await gateway(t, { url: service.url });
  const a = await refused(weir.ws('/a'));
  assert.equal(a.status, 401);
  assert.equal(a.body, '{"error":"who?"}');
  assert.equal(a.headers['www-authenticate'], 'Bearer realm="x"');
  assert.equal(a.headers['content-type'], 'application/json');
  assert.equal(a.headers['x-internal'], undefined);
  const b = await refused(weir.ws('/b'));
  assert.equal(b.status, 302);
  assert.equal(b.headers.location, 'https://sign.in/?to=/b');
  assert.deepEqual(b.headers['set-cookie'], ['a=1; Path=/', 'b=2']);
  const c = await fetch(weir.http('/c'));
  assert.equal(c.status, 403);
  assert.equal(await c.text(), '');
});

test('what the service says of the client goes on with the request, and what the client says does not', async (t) => {
  let fails = false;
  const service = await startService(t, () =>
    fails ? { status: 500 } : { status: 200, headers: { 'x-user': 'ada', 'x-role': ['a', 'b'], 'x-other': 'no' } },
  );
  const weir = await gateway(t, { url: service.url, pass_headers: ['X-User', 'x-role', 'x-team'], on_failure: 'allow' });
  const headers = { 'x-user': 'root', x_user: 'root', 'x-team': 'red' };
  const seen = async () => (await (await fetch(weir.http('/headers'), { headers })).text()).split('\n');
  assert.deepEqual(await seen(), ['x-user=ada', 'x-role=a, b', 'x-team=nil', 'x_user=nil', 'x-other=nil']);
  fails = true;
  assert.deepEqual(await seen(), ['x-user=nil', 'x-role=nil', 'x-team=nil', 'x_user=nil', 'x-other=nil']);
});

const failures = {
  'a service that fails': [() => ({ status: 500, body: 'secret stack trace' }), {}, /status 500/],
  'a service that hangs': [never, { timeout: 0.1 }, /timeout/],
  'a service that hangs up': [() => null, {}, /the connection ended early/],
  'a service that says too much': [() => ({ status: 200, body: 'x'.repeat(101) }), { max_response: 100 }, /longer than 100 bytes/],
};

for (const [name, [answer, config, words]] of Object.entries(failures)) {
  test(`${name} lets nobody in, or everybody where that is asked for`, async (t) => {
    const service = await startService(t, answer);
    const closed = await gateway(t, { url: service.url, ...config });
    const answered = await refused(closed.ws('/'));
    assert.equal(answered.status, 503);
    assert.doesNotMatch(answered.body, /secret/);
    await closed.waitForLog(words);
    const open = await gateway(t, { url: service.url, ...config, on_failure: 'allow' });
    const client = await connect(open.ws('/'));
    await client.send('in');
    assert.equal((await client.next()).text, 'in');
    client.close();
    await open.waitForLog(words);
  });
}

test('nobody is let in when nobody listens', async (t) => {
  const weir = await gateway(t, { url: `http://me:pass%40@127.0.0.1:${await freePort()}/` });
  assert.equal((await refused(weir.ws('/'))).status, 503);
  await weir.waitForLog(/no word from http:\/\/127\.0\.0\.1:\d+\/: could not connect/);
  assert.doesNotMatch(weir.log, /pass/);
});

test('a slow answer holds up its own request alone, and a client that leaves ends the question', async (t) => {
  let release;
  const service = await startService(t, (asked) =>
    asked.headers['x-forwarded-uri'] === '/slow'
      ? new Promise((resolve) => (release = () => resolve({ status: 200 })))
      : asked.headers['x-forwarded-uri'] === '/left'
        ? never()
        : { status: 200 },
  );
  const weir = await gateway(t, { url: service.url });
  const slow = connect(weir.ws('/slow'));
  await waitFor(() => release);
  for (let i = 0; i < 5; i++) {
    const quick = await connect(weir.ws('/quick'));
    await quick.send('x');
    assert.equal((await quick.next()).text, 'x');
    quick.close();
  }
  release();
  const late = await slow;
  await late.send('late');
  assert.equal((await late.next()).text, 'late');
  late.close();

  const leaving = new AbortController();
  const left = fetch(weir.http('/left'), { signal: leaving.signal }).catch(() => 'left');
  const asked = await waitFor(() => service.asked.find(({ headers }) => headers['x-forwarded-uri'] === '/left'));
  leaving.abort();
  assert.equal(await left, 'left');
  await waitFor(() => asked.aborted);
});

const mistakes = {
  '{}': /config\.url is missing/,
  '{url: "ftp://x/"}': /config\.url must be a URL that begins with http:\/\/ or https:\/\/, not "ftp:\/\/x\/"/,
  '{url: "http://x/", timeout: "5s"}': /config\.timeout must be a number of seconds from 0\.001 to 60, not "5s"/,
  '{url: "http://x/", timeout: 61}': /config\.timeout must be .*, not 61/,
  '{url: "http://x/", on_failure: maybe}': /config\.on_failure must be one of deny, allow, not "maybe"/,
  '{url: "http://x/", request_header: [a]}': /config\.request_header is not known; there are .*request_headers/,
  '{url: "http://x/", request_headers: cookie}': /config\.request_headers must be a list of header names, not "cookie"/,
  '{url: "http://x/", request_headers: ["a b"]}': /config\.request_headers\[0\] must be a header's name, not "a b"/,
  '{url: "http://x/", request_headers: [X-Forwarded-For]}': /must not have x-forwarded-for: the gateway sets it/,
  '{url: "http://x/", verify: "no"}': /config\.verify must be true or false, not "no"/,
  '{url: "http://x/", max_response: 1.5}': /config\.max_response must be a whole number of bytes from 0 to 16777216, not 1\.5/,
};

for (const [config, words] of Object.entries(mistakes)) {
  test(`settings are checked when they are loaded: ${config}`, async () => {
    const { code, output } = await check(config);
    assert.notEqual(code, 0);
    assert.match(output, words);
  });
}

async function check(config) {
  const result = await runWeir(['-t', '-c', 'weir.yaml'], {
    files: {
      'weir.yaml': `
workers: 1
listen: [{address: "127.0.0.1:1"}]
plugin_path: ["${plugins}"]
routes:
  - path: /
    websocket: {}
    plugins: [{lua: forward_auth, config: ${config}}]
    handler: {lua: echo}
`,
    },
  });
  return { code: result.code, output: result.stdout + result.stderr };
}
