// `weir test-plugin`: tests of plugins, the example among them.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { runWeir, root } = require('./lib/weir');

const read = (name) => fs.readFileSync(path.join(root, name), 'utf8');

const PLUGIN = `
local p = {}
function p.on_request(req)
  if req.path == "/no" then return req:reply(403, {["X-Why"] = {"a", "b"}}, "not you") end
  if req.method == "POST" then return req:reply(200, {}, req:body() .. (weir.config.word or "") .. (weir.shared.d and "d" or "")) end
  if req.is_websocket and req.headers["x-sub"] then return req:accept{subprotocol = req.headers["x-sub"]} end
end
function p.on_message(conn, data, kind)
  if data == "bye" then conn:close(4001, "as you wish") return end
  if data == "fail" then error("on purpose") end
  if data == "later" then weir.sleep(0.02) end
  if data ~= "quiet" then conn:send(kind .. " " .. data, kind) end
end
return p
`;

function run(tests, args = []) {
  return runWeir(['test-plugin', ...args, 'p.lua'], { files: { 'p.lua': PLUGIN, 'p_test.lua': `local t = require "weir.test"\n${tests}` } });
}

test('the example passes, and the page shows how it begins', async () => {
  const { code, stdout, stderr } = await runWeir(['test-plugin', path.join(root, 'plugins/echo.lua')]);
  assert.equal(code, 0, stdout + stderr);
  const tests = read('plugins/echo_test.lua').match(/^t\.test\(/gm).length;
  assert.equal(stdout.match(/^ok {6}/gm).length, tests);
  assert.ok(stdout.endsWith(`${tests} passed, 0 failed\n`), stdout);
  const [, shown] = read('docs/lua-api.md').match(/^~~~lua\n([^]*?)^~~~/m);
  assert.ok(read('plugins/echo_test.lua').includes(shown));
});

test('sessions, refusals and requests see what clients would', async () => {
  const { code, stdout, stderr } = await run(`
    t.test("messages", function()
      local s = t.session{path = "/x", headers = {["X-Sub"] = "two"}, subprotocols = {"one", "two"}}
      t.equal(s.subprotocol, "two")
      s:send("hello") s:expect("text hello")
      s:send("\\0", "binary") s:expect("binary \\0", "binary")
      s:send("later") s:expect("text later")
      s:send("quiet") s:expect_nothing()
      s:ping("x") s:send("y") s:expect("text y")
      s:send("bye") s:expect_closed(4001, "as you wish")
    end)
    t.test("a failing callback", function()
      local s = t.session()
      s:send("fail") s:expect_closed(1011)
    end)
    t.test("refused", function()
      local r = t.refused{path = "/no"}
      t.equal(r.status, 403) t.equal(r.body, "not you") t.matches(r.headers["x-why"], "^a, b$")
    end)
    t.test("request", function()
      local r = t.request{method = "POST", path = "/p", body = ("z"):rep(20000)}
      t.equal(r.status, 200) t.equal(r.body, ("z"):rep(20000) .. "!d")
    end)
  `, ['--config', '{"word": "!"}', '--shared', 'd']);
  assert.equal(stdout, 'ok      messages\nok      a failing callback\nok      refused\nok      request\n4 passed, 0 failed\n', stderr);
  assert.equal(code, 0);
});

test('each expectation can fail, with words and a line', async () => {
  const wrong = {
    's:expect("other")': /expected "other", got "text a"/,
    's:expect("text a", "binary")': /expected a message of kind binary, got text/,
    's:expect_nothing()': /expected nothing, got "text a"/,
    's:expect_closed()': /expected the end, got "text a"/,
    's:receive() s:send("bye") s:expect_closed(4000)': /expected close code 4000, got 4001/,
    's:receive() s:send("bye") s:expect_closed(4001, "why")': /expected the reason "why", got "as you wish"/,
    's:receive() s:send("bye") s:expect("x")': /expected "x", got nothing: closed with 4001/,
    's:receive() s:send("bye") s:expect_nothing()': /expected nothing, but it closed with 4001/,
    't.equal(1, 2)': /expected 2, got 1/,
    't.ok(nil)': /expected something true, got nil/,
    't.matches("a", "b")': /"a" does not match "b"/,
    't.session{path = "/no"}': /no session: status 403/,
    't.refused{path = "/"}': /the session was accepted/,
  };
  const names = Object.keys(wrong);
  const { code, stdout } = await run(
    names.map((what, i) => `t.test("n${i}", function() local s = t.session() s:send("a")\n ${what} end)`).join('\n'),
  );
  assert.equal(code, 1);
  const parts = stdout.split(/^FAILED {2}/m).slice(1);
  assert.equal(parts.length, names.length, stdout);
  for (const [i, name] of names.entries()) {
    assert.match(parts[i], wrong[name], name);
    assert.match(parts[i], new RegExp(`p_test\\.lua:${3 + 2 * i}:`), name);
  }
  assert.ok(stdout.endsWith(`0 passed, ${names.length} failed\n`));
});

test('no tests, no test file, a wrong plugin: status 1; wrong arguments: 2', async () => {
  const none = await run('');
  assert.deepEqual([none.code, none.stdout], [1, '0 passed, 0 failed\n']);
  const missing = await runWeir(['test-plugin', 'p.lua'], { files: { 'p.lua': PLUGIN } });
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /p_test\.lua/);
  const broken = await runWeir(['test-plugin', 'p.lua'], { files: { 'p.lua': 'x = = 1', 'p_test.lua': '' } });
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /p\.lua:1: unexpected symbol/);
  for (const args of [[], ['--config', '1', 'p.lua'], ['p.txt'], ['--shared', 'a b', 'p.lua'], ['p.lua', 'a', 'b']]) {
    const { code, stderr } = await runWeir(['test-plugin', ...args]);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, /usage: weir test-plugin/);
  }
});
