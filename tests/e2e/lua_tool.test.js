// `weir lua`: scripts with the API of plugins, without a server.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const { test } = require('node:test');
const { runWeir } = require('./lib/weir');

const leftBehind = () => fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith('weir-lua-'));

async function run(script, args = [], options = [], files = {}) {
  return runWeir(['lua', ...options, 's.lua', ...args], { files: { 's.lua': script, ...files } });
}

test('a script has its arguments, the API, and modules beside it, and print is its output', async () => {
  const script = `
    local helper = require("helper")
    print(arg[0], #arg, ...)
    print(weir.json.encode({1, "a"}), weir.crypto.hex(weir.crypto.sha1("abc")), weir.worker.count, helper.word)
  `;
  const { code, stdout, stderr } = await run(script, ['a "b"\n\\', 'ü'], [], { 'helper.lua': 'return {word = "help"}' });
  assert.equal(stderr, '');
  assert.equal(stdout, 's.lua\t2\ta "b"\n\\\tü\n[1,"a"]\ta9993e364706816aba3e25717850c26c9cd0d89d\t1\thelp\n');
  assert.equal(code, 0);
});

test('it ends when its timers and coroutines have ended', async () => {
  const script = `
    local ticks, timer = 0, nil
    timer = weir.timer.every(0.01, function()
      ticks = ticks + 1
      if ticks == 3 then weir.timer.cancel(timer) print("third tick") end
    end)
    weir.spawn(function(word) weir.sleep(0.2) print(word) end, "spawned")
    weir.sleep(0.001)
    print("main ends")
  `;
  const { code, stdout } = await run(script);
  assert.equal(stdout, 'main ends\nthird tick\nspawned\n');
  assert.equal(code, 0);
});

test('it can ask HTTP services', async () => {
  const server = http.createServer((req, res) => res.end(`you asked ${req.url}`));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${server.address().port}/x`;
    const { code, stdout } = await run('local r = assert(weir.http.request{url = ...}) print(r.status, r.body)', [url]);
    assert.equal(stdout, '200\tyou asked /x\n');
    assert.equal(code, 0);
  } finally {
    server.closeAllConnections?.();
    server.close();
  }
});

test('--config is weir.config, and --shared makes a dictionary', async () => {
  const script = 'weir.shared.seen:set("k", 5) print(weir.config.name, #weir.config.list, weir.shared.seen:get("k"))';
  const options = ['--config', '{"name": "x", "list": [1, 2]}', '--shared', 'seen'];
  const { code, stdout, stderr } = await run(script, [], options);
  assert.equal(stderr, '');
  assert.equal(stdout, 'x\t2\t5\n');
  assert.equal(code, 0);
  const empty = await run('print(next(weir.config))');
  assert.equal(empty.stdout, 'nil\n');
});

test('an error, of the script or of what it spawned, is told with a traceback, and status 1', async () => {
  const own = await run('local function f()\n error("bad")\nend\nf()');
  assert.equal(own.code, 1);
  assert.match(own.stderr, /s\.lua:2: bad\n\s*stack traceback:[^]*s\.lua:4:/);
  const spawned = await run('weir.spawn(function() error("worse") end) weir.sleep(0.01) print("goes on")');
  assert.equal(spawned.code, 1);
  assert.equal(spawned.stdout, 'goes on\n');
  assert.match(spawned.stderr, /s\.lua:1: worse/);
});

test('a script that is none, or not there, is status 1; wrong arguments are 2', async () => {
  const syntax = await run('x = = 1');
  assert.equal(syntax.code, 1);
  assert.match(syntax.stderr, /s\.lua:1: unexpected symbol near '='/);
  const missing = await runWeir(['lua', 'none.lua']);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /none\.lua: No such file/);
  for (const args of [['lua'], ['lua', '--config', '[]', 'x.lua'], ['lua', '--nonsense', 'x.lua'], ['lua', '--shared', 'a b', 'x.lua']]) {
    const { code, stderr } = await runWeir(args);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, /usage: weir lua/);
  }
});

test('no file of its own is left behind', async () => {
  const before = new Set(leftBehind());
  await run('print("x")');
  await run('error("x")');
  assert.deepEqual(leftBehind().filter((name) => !before.has(name)), []);
});
