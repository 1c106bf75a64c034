// plugins/weir.d.lua, which editors read, has the names of the real API, and no others.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { runWeir, root } = require('./lib/weir');

const stub = fs.readFileSync(path.join(root, 'plugins/weir.d.lua'), 'utf8');

// Tells every name of the API: it walks `weir`, and finds the tables behind conn and req where the host keeps them.
const WALK = `
weir.json.null = weir.json.null -- made when it is first asked for
local names = {}
local function add(name) names[#names + 1] = name end
for key, value in pairs(weir) do
  add("weir." .. key)
  if type(value) == "table" and key ~= "config" and key ~= "shared" then
    for inner in pairs(value) do add("weir." .. key .. "." .. inner) end
  end
end
assert(weir.worker.exiting ~= nil)
add("weir.worker.exiting")

local wanted = {conn = "Conn", req = "Req", metric = "Metric", ["shared dictionary"] = "Dict"}
local seen = {}
local function walk(value)
  if seen[value] then return end
  seen[value] = true
  if type(value) == "function" then
    for i = 1, 255 do
      local name, inner = debug.getupvalue(value, i)
      if not name then break end
      if type(inner) == "table" or type(inner) == "function" then walk(inner) end
    end
  else
    local class = wanted[rawget(value, "__metatable")]
    local index = rawget(value, "__index")
    if class then
      if type(index) == "function" then index = select(2, debug.getupvalue(index, 1)) end
      for key in pairs(index) do add(class .. "." .. key) end
    end
    for _, inner in next, value do
      if type(inner) == "table" or type(inner) == "function" then walk(inner) end
    end
  end
end
walk(debug.getregistry())
print(table.concat(names, "\\n"))
`;

function stubNames() {
  const names = new Set();
  let match;
  for (match of stub.matchAll(/^function (\w+):(\w+)\(/gm)) {
    names.add(`${match[1]}.${match[2]}`);
  }
  for (match of stub.matchAll(/^(?:function )?(weir\.[\w.]+)(?:\(| = )/gm)) {
    names.add(match[1]);
  }
  for (const [, klass, fields] of stub.matchAll(/^---@class weir\.(Conn|Req|Metric|Dict)\n((?:---@field .*\n)*)/gm)) {
    for (match of fields.matchAll(/^---@field (\w+)/gm)) {
      names.add(`${klass}.${match[1]}`);
    }
  }
  for (match of stub.match(/^---@type \{(.*)\}\nweir\.worker =/m)[1].matchAll(/(\w+):/g)) {
    names.add(`weir.worker.${match[1]}`);
  }
  return [...names].sort();
}

test('the stub has every name of the API, and no other', async () => {
  const { code, stdout, stderr } = await runWeir(['lua', 'walk.lua'], { files: { 'walk.lua': WALK } });
  assert.equal(code, 0, stderr);
  const real = [...new Set(stdout.trim().split('\n'))].sort();
  for (const known of ['weir.crypto.hmac', 'weir.json.null', 'Conn.send', 'Conn.id', 'Req.path', 'Req.reply', 'Dict.get', 'Metric.add']) {
    assert.ok(real.includes(known), `the walk has missed ${known}`);
  }
  assert.deepEqual(stubNames(), real);
});

test('the stub has every callback', () => {
  const source = fs.readFileSync(path.join(root, 'gateway/lua/instance.c'), 'utf8');
  const [, list] = source.match(/instance_callback_names\[CALLBACK_KINDS\] = \{([^}]*)\}/);
  const callbacks = [...list.matchAll(/"(\w+)"/g)].map((match) => match[1]).filter((name) => !['timer', 'spawn'].includes(name));
  const [, fields] = stub.match(/^---@class weir\.Plugin\n((?:---@field .*\n)*)/m);
  assert.deepEqual([...fields.matchAll(/^---@field (\w+)\?/gm)].map((match) => match[1]).sort(), callbacks.sort());
});

test('the stub is no plugin, by whatever name', async () => {
  const yaml = 'listen: [{address: "127.0.0.1:5999"}]\nplugin_path: [.]\nroutes:\n  - {path: /, handler: {lua: NAME}}\n';
  for (const [name, words] of [['weir.d', /weir\.d/], ['weir', /plugin_path|no plugin|not found|weir\.lua/], ['copy', /describes the API to editors; it is no plugin/]]) {
    const files = { 'w.yaml': yaml.replace('NAME', name), 'weir.d.lua': stub, 'copy.lua': stub };
    const { code, stderr } = await runWeir(['-t', '-c', 'w.yaml'], { files });
    assert.equal(code, 2, name);
    assert.match(stderr, words);
  }
});
