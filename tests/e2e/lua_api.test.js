// What plugins in Lua may do beside their callbacks: start and end, require, spawn, read bodies, accept, be trusted,
// have limits of their own, and reach sessions of other workers.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const http = require('node:http');
const { startWeir, runWeir, freePort, waitFor } = require('./lib/weir');
const { connect, refused } = require('./lib/client');
const { rawConnect } = require('./lib/raw');

const gateway = (t, files, { handler = '{lua: plugin}', workers = 1, more = '' } = {}) =>
  startWeir(
    t,
    ({ address }) => `
workers: ${workers}
listen: [{address: "${address}"}]
plugin_path: [plugins, shared]
${more}
routes:
  - path: /
    websocket: {subprotocols: [chat.v1]}
    handler: ${handler}
`,
    { files: { 'shared/none.lua': 'return {}', ...files } },
  );

// One request with full control of its body; resolves with { status, headers, body }.
function ask(weir, { method = 'POST', headers = {}, parts = [] } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ port: weir.port, host: weir.host, path: '/', method, headers }, (response) => {
      const got = [];
      response.on('data', (part) => got.push(part));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(got).toString() }));
    });
    request.on('error', reject);
    for (const part of parts) {
      request.write(part);
    }
    request.end();
  });
}

test('init gets the settings on each worker before anything is served, and exit ends each state', async (t) => {
  const weir = await gateway(
    t,
    {
      'plugins/plugin.lua': `
local greeting
return {
    init = function(config)
        greeting = config.greeting
        weir.log.info("init " .. weir.worker.id)
    end,
    on_open = function(conn) conn:send(greeting) end,
    exit = function() weir.log.info("exit " .. weir.worker.id .. " " .. tostring(weir.worker.exiting)) end,
}`,
    },
    { handler: '{lua: plugin, config: {greeting: hello}}', workers: 2 },
  );
  const client = await connect(weir.ws('/'));
  assert.equal((await client.next()).text, 'hello');
  client.close(1000);
  await client.closed;
  await weir.stop();
  const said = [...weir.log.matchAll(/plugin plugin: (.*)/g)].map((match) => match[1]);
  assert.deepEqual(said.sort(), ['exit 0 true', 'exit 1 true', 'init 0', 'init 1']);
});

test('an error in init stops the start with words, and a check does not run it', async () => {
  const files = {
    'weir.yaml': `
listen: [{address: "127.0.0.1:${await freePort()}"}]
plugin_path: [plugins]
routes: [{path: /, websocket: on, handler: {lua: plugin}}]
`,
    'plugins/plugin.lua': 'return {init = function() error("no key for the safe") end}',
  };
  const started = await runWeir(['-c', 'weir.yaml'], { files });
  assert.notEqual(started.code, 0);
  assert.match(started.stderr + started.stdout, /plugin does not start: init failed: plugins\/plugin\.lua:1: no key for the safe/);
  assert.equal((await runWeir(['-t', '-c', 'weir.yaml'], { files })).code, 0);
});

test('require finds modules along plugin_path, each state its own, in the sandbox', async (t) => {
  const weir = await gateway(t, {
    'plugins/plugin.lua': `
local near, far, package = require("near"), require("far"), require("folder")
near.count = near.count + 1
return {on_open = function(conn)
    conn:send(near.name .. far.name .. package.name .. near.count .. tostring(io) .. type(os.exit))
    conn:send(tostring(pcall(require, "bytecode")) .. tostring(pcall(require, "nowhere")))
end}`,
    'plugins/other.lua': 'local near = require("near") near.count = near.count + 100 return {}',
    'plugins/near.lua': 'return {name = "near", count = 0}',
    'shared/far.lua': 'assert(io == nil and os.execute == nil and package == nil) return {name = "far"}',
    'shared/folder/init.lua': 'return {name = "folder"}',
    'shared/bytecode.lua': '\x1bLua',
  });
  const client = await connect(weir.ws('/'));
  assert.equal((await client.next()).text, 'nearfarfolder1nilnil');
  assert.equal((await client.next()).text, 'falsefalse');
});

test('a trusted plugin has all of Lua, and others of the same file have not', async (t) => {
  const file = `
return {on_open = function(conn)
    local bytecode = string.dump and load(string.dump(function() return "run" end))
    conn:send(type(io) .. " " .. type(os.exit) .. " " .. type(debug.getinfo) .. " " .. type(bytecode and bytecode())
              .. " " .. type(package) .. " " .. type(dofile))
end}`;
  for (const [handler, wanted] of [
    ['{lua: plugin}', 'nil nil nil nil nil nil'],
    ['{lua: plugin, trusted: on}', 'table function function string table function'],
  ]) {
    const weir = await gateway(t, { 'plugins/plugin.lua': file }, { handler });
    const client = await connect(weir.ws('/'));
    assert.equal((await client.next()).text, wanted);
  }
});

test('limits of a plugin’s own hold for it, hurt one session, and are told once a second', async (t) => {
  const weir = await gateway(
    t,
    {
      'plugins/plugin.lua': `
return {on_message = function(conn, data)
    if data == "timers" then for i = 1, 4 do weir.timer.at(100, print) end end
    if data == "caught" then conn:send(tostring(pcall(weir.timer.at, 100, print))) end
    if data == "spawn" then for i = 1, 3 do weir.spawn(weir.sleep, 100) end end
    if data == "sleep" then weir.sleep(100) end
    if data == "storm" then local t = {} for i = 1, 1e8 do t[i] = i end end
    conn:send(data)
end}`,
    },
    { handler: '{lua: plugin, max_timers: 3, max_parked: 2, memory_limit: 2MiB}', more: 'lua: {max_timers: 7}' },
  );
  const good = await connect(weir.ws('/'));
  const echoes = async () => {
    await good.send('x');
    assert.equal((await good.next()).text, 'x');
  };
  const fails = async (text) => {
    const bad = await connect(weir.ws('/'));
    await bad.send(text);
    assert.equal((await bad.closed).code, 1011, text);
    await echoes();
  };
  await fails('timers');
  await weir.waitForLog(/plugin plugin: callback on_message failed: plugins\/plugin\.lua:3: more than 3 timers \(max_timers\)/);
  await good.send('caught');
  assert.equal((await good.next()).text, 'false');
  assert.equal((await good.next()).text, 'caught');
  await fails('spawn');
  await fails('sleep');
  await weir.waitForLog(/failed: plugins\/plugin\.lua:5: more than 2 coroutines \(max_parked\)/);
  await fails('storm');
  await weir.waitForLog(/callback on_message passed its memory limit of 2048 KiB/);
  // Of one kind there is a line a second, and it tells of those before it.
  await waitFor(async () => {
    await fails('sleep');
    return /more than 2 callbacks wait \(max_parked\) \(and [1-9]\d* more since the last such line\)/.test(weir.log);
  });
  const lines = weir.log.match(/max_parked/g).length;
  assert.ok(lines <= 4, `${lines} lines`);
});

test('spawn runs a coroutine of the plugin’s own, and its errors are logged', async (t) => {
  const weir = await gateway(t, {
    'plugins/plugin.lua': `
return {
    init = function() weir.spawn(function(word) weir.sleep(0.01) weir.log.info("from init: " .. word) end, "hello") end,
    on_message = function(conn, data)
        weir.spawn(function(a, b, c)
            weir.sleep(0.02)
            conn:send(a .. tostring(b) .. c)
        end, "one ", nil, " three")
        weir.spawn(error, "oops")
        conn:send("first")
    end,
}`,
  });
  const client = await connect(weir.ws('/'));
  await client.send('x');
  assert.equal((await client.next()).text, 'first');
  assert.equal((await client.next()).text, 'one nil three');
  await weir.waitForLog(/from init: hello/);
  await weir.waitForLog(/plugin plugin: callback spawn failed: oops/);
});

const bodies = {
  'plugins/plugin.lua': `
return {on_request = function(req)
    if req.headers["x-late"] then weir.sleep(0.05) end
    weir.log.info("reads")
    local body, word = req:body(tonumber(req.headers["x-max"]))
    weir.log.info("read", body and #body, word)
    if req.headers["x-pass"] then return end
    if not body then return req:reply(413, {}, word) end
    assert(req:body() == body)
    return req:reply(200, {["x-values"] = req:header_values("X-Many"), ["x-joined"] = req.headers["x-many"] or ""}, body)
end}`,
};

test('req:body waits for the whole body, however it comes', async (t) => {
  const weir = await gateway(t, bodies);
  const chunked = { 'transfer-encoding': 'chunked' };
  for (const late of [{}, { 'x-late': '1' }]) {
    for (const [headers, parts] of [
      [{ 'content-length': 11 }, ['hello ', 'world']],
      [chunked, ['hello ', 'world']],
      [{ 'content-length': 11, expect: '100-continue' }, ['hello world']],
    ]) {
      const answer = await ask(weir, { headers: { ...headers, ...late }, parts });
      assert.deepEqual([answer.status, answer.body], [200, 'hello world']);
    }
    const max = { ...late, 'x-max': 10 };
    assert.equal((await ask(weir, { headers: { ...max, 'content-length': 10 }, parts: ['0123456789'] })).status, 200);
    for (const headers of [{ ...max, 'content-length': 11 }, { ...max, ...chunked }]) {
      const answer = await ask(weir, { headers, parts: ['01234567', '89a'] });
      assert.deepEqual([answer.status, answer.body], [413, 'too large']);
    }
    assert.deepEqual((await ask(weir, { method: 'GET', headers: late })).body, '');
  }
  const large = 'x'.repeat(65536);
  assert.equal((await ask(weir, { headers: chunked, parts: [large] })).body.length, 65536);
  assert.equal((await ask(weir, { headers: chunked, parts: [large, 'y'] })).body, 'too large');
});

test('who has read a body must answer, and a client that goes meanwhile ends the wait', async (t) => {
  const weir = await gateway(t, bodies);
  assert.equal((await ask(weir, { headers: { 'content-length': 1, 'x-pass': '1' }, parts: ['x'] })).status, 500);
  await weir.waitForLog(/on_request must answer a request whose body it has read/);
  const raw = await rawConnect(weir.port);
  raw.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nX-Late: 1\r\n\r\nhalf');
  await weir.waitForLog(/reads[\s\S]*reads/);
  raw.destroy();
  await weir.waitForLog(/read\tnil\tclosed/);
  assert.equal((await ask(weir, { headers: { 'content-length': 2 }, parts: ['ok'] })).body, 'ok');
});

test('header_values has all of a field, and replies repeat fields', async (t) => {
  const weir = await gateway(t, bodies);
  const answer = await ask(weir, { method: 'GET', headers: { 'x-many': ['a', 'b, c', 'd'] } });
  assert.equal(answer.headers['x-joined'], 'a, b, c, d');
  const raw = await fetch(weir.http('/'), { headers: { 'x-many': 'one' } });
  assert.equal(raw.headers.get('x-values'), 'one');
});

test('req:accept says the subprotocol and fields of the 101', async (t) => {
  const weir = await gateway(t, {
    'plugins/plugin.lua': `
return {
    on_request = function(req)
        local wish = req.query.wish
        if wish == "list" then return req:accept() end
        if wish == "bad" then return req:accept{headers = {upgrade = "x"}} end
        local ok, word = req:accept{subprotocol = wish, headers = {["set-cookie"] = {"a=1", "b=2"}}}
        if not ok then return req:reply(400, {}, word) end
    end,
    on_open = function(conn) conn:send(conn.subprotocol .. "|" .. conn.request.subprotocol) end,
}`,
  });
  const protocols = ['chat.v1', 'chat.v2'];
  for (const [wish, wanted] of [['chat.v2', 'chat.v2'], ['chat.v1', 'chat.v1'], ['', ''], ['list', 'chat.v1']]) {
    const client = await connect(weir.ws(`/?wish=${wish}`), { protocols: wish === '' ? [] : protocols });
    assert.equal(client.protocol, wanted);
    assert.equal((await client.next()).text, `${wanted}|${wanted}`);
    assert.deepEqual(client.response.headers['set-cookie'], wish === 'list' ? undefined : ['a=1', 'b=2']);
  }
  const other = await refused(weir.ws('/?wish=chat.v3'), { protocols });
  assert.deepEqual([other.status, other.body], [400, 'not offered']);
  assert.equal((await refused(weir.ws('/?wish=bad'), { protocols })).status, 500);
  assert.equal((await fetch(weir.http('/?wish=chat.v1'))).status, 500);
});

test('weir.send and weir.close reach sessions of any worker', async (t) => {
  const weir = await gateway(
    t,
    {
      'plugins/plugin.lua': `
return {
    on_open = function(conn) conn:send(conn.id .. " " .. weir.worker.id) end,
    on_message = function(conn, data)
        local id, what = data:match("^(%d+) (.*)$")
        id = math.tointeger(tonumber(id))
        if what == "close" then conn:send(tostring(weir.close(id, 4002, "sent away")))
        elseif what == "binary" then weir.send(id, "\\0\\255", "binary")
        elseif what == "many" then for i = 1, 1000 do assert(weir.send(id, tostring(i))) end
        else
            local ok, word = weir.send(id, what)
            conn:send(tostring(ok) .. " " .. tostring(word))
        end
    end,
}`,
    },
    { workers: 2 },
  );
  const byWorker = new Map();
  for (let i = 0; i < 200 && byWorker.size < 2; i++) {
    const client = await connect(weir.ws('/'));
    const [id, worker] = (await client.next()).text.split(' ');
    byWorker.set(worker, { client, id });
  }
  assert.equal(byWorker.size, 2, 'both workers have a session');
  const [a, b] = [...byWorker.values()];
  for (const [from, to] of [[a, b], [b, a], [a, a]]) {
    await from.client.send(`${to.id} hello`);
    if (from === to) {
      assert.equal((await to.client.next()).text, 'hello');
    }
    assert.equal((await from.client.next()).text, 'true nil');
    if (from !== to) {
      assert.equal((await to.client.next()).text, 'hello');
    }
  }
  await a.client.send(`${b.id} many`);
  for (let i = 1; i <= 1000; i++) {
    assert.equal((await b.client.next()).text, `${i}`);
  }
  await a.client.send(`${b.id} binary`);
  assert.deepEqual((await b.client.next()).data, Buffer.from([0, 255]));
  await a.client.send(`${b.id} close`);
  assert.equal((await a.client.next()).text, 'true');
  assert.deepEqual(await b.client.closed, { code: 4002, reason: 'sent away' });
  // To who has gone: here it is known, there it is not, and nowhere it fails.
  await a.client.send(`${b.id} late`);
  assert.equal((await a.client.next()).text, 'true nil');
  await a.client.send(`${BigInt(a.id) + 1000n} nobody`);
  assert.equal((await a.client.next()).text, 'nil closed');
  await a.client.send(`${9n << 48n} nowhere`);
  assert.equal((await a.client.next()).text, 'nil closed');
});
