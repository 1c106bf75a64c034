// weir.http in the running gateway, with services in Node.js: TLS, names, large bodies, and who waits for what.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const https = require('node:https');
const { startWeir, waitFor } = require('./lib/weir');
const { connect } = require('./lib/client');
const { startService, never } = require('./lib/service');
const { makeCertificates } = require('./lib/certs');

// A message is the options as JSON; what comes back is "STATUS SIZE BODY", or the reason.
const ask = `
return {
    on_message = function(conn, data)
        if data == "echo" then return conn:send(data) end
        local options = weir.json.decode(data)
        if options.repeated then
            options.body = ("x"):rep(options.repeated)
            options.repeated = nil
        end
        local answer, why = weir.http.request(options)
        conn:send(answer and ("%d %d %s"):format(answer.status, #answer.body, answer.body:sub(1, 20)) or why)
    end,
    on_request = function(req)
        if req.is_websocket then return end
        local url = req.query.url -- the request is over when these run
        weir.spawn(function() weir.log.info("spawned " .. weir.http.request{url = url}.body) end)
        weir.timer.at(0, function() weir.log.info("timed " .. weir.http.request{url = url}.body) end)
        return req:reply(204)
    end,
}`;

const gateway = (t, more = {}, lua = ask) =>
  startWeir(
    t,
    ({ address }) => `
workers: 1
listen: [{address: "${address}"}]
plugin_path: [plugins]
routes:
  - path: /
    websocket: {}
    handler: ${JSON.stringify({ lua: 'ask', ...more })}
`,
    { files: { 'plugins/ask.lua': lua } },
  );

async function asked(client, options) {
  await client.send(JSON.stringify(options));
  return (await client.next()).text;
}

test('bodies of megabytes, both ways', async (t) => {
  const service = await startService(t, ({ body }) => ({ status: 200, body: body.length > 0 ? `${body.length}` : 'y'.repeat(5e6) }));
  const weir = await gateway(t);
  const client = await connect(weir.ws());
  assert.equal(await asked(client, { url: service.url, repeated: 5e6 }), '200 7 5000000');
  assert.equal(await asked(client, { url: service.url, max_response: 5e6 }), `200 5000000 ${'y'.repeat(20)}`);
  assert.equal(await asked(client, { url: service.url }), 'the response is longer than 1048576 bytes');
  assert.equal(await asked(client, { url: service.url, repeated: 1 }), '200 1 1');
});

test('a name is looked up, and one that does not exist is a reason', async (t) => {
  const service = await startService(t, ({ headers }) => ({ status: 200, body: headers.host }));
  const weir = await gateway(t);
  const client = await connect(weir.ws());
  const url = service.url.replace('127.0.0.1', 'localhost');
  assert.match(await asked(client, { url }), /^200 \d+ localhost:\d+$/);
  assert.match(await asked(client, { url: 'http://nobody.invalid/' }), /^could not resolve the name: |^timeout$/);
});

test('TLS: the authority that is named, no other, and none where that is said', async (t) => {
  const pair = makeCertificates(t).pair('localhost');
  const server = https.createServer(
    { cert: fs.readFileSync(pair.certificate), key: fs.readFileSync(pair.private_key) },
    (request, response) => response.end('secret'),
  );
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const weir = await gateway(t);
  const client = await connect(weir.ws());
  const url = `https://localhost:${server.address().port}/`;
  assert.equal(await asked(client, { url, ca: pair.certificate }), '200 6 secret');
  assert.equal(await asked(client, { url, verify: false }), '200 6 secret');
  assert.match(await asked(client, { url }), /^the server's certificate is not trusted: /);
  assert.match(await asked(client, { url: url.replace('https', 'http') }), /ended early/);
  server.closeAllConnections?.();
});

test('what waits for a service that hangs holds up nobody else, and is cancelled with its session', async (t) => {
  const service = await startService(t, never);
  const weir = await gateway(t, { max_http_requests: 50 });
  const waiting = await Promise.all([...Array(50).keys()].map(() => connect(weir.ws())));
  await Promise.all(waiting.map((client) => client.send(JSON.stringify({ url: service.url, timeout: 60 }))));
  await waitFor(() => service.asked.length === 50);
  const client = await connect(weir.ws());
  for (let i = 0; i < 200; i++) {
    await client.send('echo');
    assert.equal((await client.next()).text, 'echo');
  }
  assert.equal(await asked(client, { url: service.url }), 'too many requests');
  await weir.waitForLog(/plugin ask: has 50 HTTP requests under way \(max_http_requests\)/);
  assert.ok(service.asked.every(({ aborted }) => !aborted));
  waiting.forEach((one) => one.terminate());
  await waitFor(() => service.asked.every(({ aborted }) => aborted));
  assert.equal(await asked(client, { url: service.url, timeout: 0.05 }), 'timeout');
});

test('timers and coroutines of the plugin’s own ask too, and connections are used again', async (t) => {
  const service = await startService(t, ({ url }) => ({ status: 200, body: url }));
  const weir = await gateway(t);
  await fetch(weir.http(`/?url=${encodeURIComponent(service.url)}`));
  await weir.waitForLog(/spawned \/hook/);
  await weir.waitForLog(/timed \/hook/);
  const client = await connect(weir.ws());
  for (let i = 0; i < 20; i++) {
    assert.equal(await asked(client, { url: service.url }), '200 5 /hook');
  }
  assert.ok(service.connections <= 2, `${service.connections} connections`);
});

test('a service that ends its idle connections costs nothing', async (t) => {
  const service = await startService(t, () => ({ status: 200, headers: { connection: 'close' }, body: 'x' }));
  const weir = await gateway(t);
  const client = await connect(weir.ws());
  for (let i = 0; i < 10; i++) {
    assert.equal(await asked(client, { url: service.url, body: 'b' }), '200 1 x');
  }
  assert.equal(service.asked.length, 10);
  const descriptors = weir.openDescriptors();
  for (let i = 0; i < 30; i++) {
    assert.equal(await asked(client, { url: service.url, body: 'b' }), '200 1 x');
  }
  assert.ok(weir.openDescriptors() <= descriptors + 2);
});
