// Runs every example in Lua of docs/lua-api.md in the running gateway, each as a plugin of its own before an echo.
//
// An example that returns a table is a file; one that defines callbacks of `plugin` gets its table around it; anything
// else is the body of a function with `conn`, `data`, `kind` and `req` at hand, which runs where these are there. A line
// that ends with `--> VALUE` says what the local that it sets must be.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { startWeir, waitFor, root } = require('./lib/weir');
const { connect } = require('./lib/client');

const page = fs.readFileSync(path.join(root, 'docs/lua-api.md'), 'utf8');

// Each with the line of the page that it begins on.
const examples = [...page.matchAll(/^```lua\n(.*?)^```$/gms)].map((match) => ({
  text: match[1],
  line: page.slice(0, match.index).split('\n').length + 1,
}));

// What cannot be told to run: the client would have to read slowly for it.
const unheard = ['on_drain'];

function withChecks(text) {
  return text.replace(/^( *local (\w+) *= *.*?) +--> (.*)$/gm, (_, set, name, wanted) => `${set} check(${name}, ${wanted})`);
}

// The callbacks that an example defines, by name.
const defined = (text) => [...text.matchAll(/^(?:function \w+\.|    )(on_\w+|serve|init|exit)\b *(?:\(|=)/gm)].map((match) => match[1]);

const helpers = `
local function check(got, wanted)
    if got ~= wanted then error("got " .. tostring(got) .. " in place of " .. tostring(wanted), 2) end
end
local function told(plugin)
    local names = {}
    for name, fn in pairs(plugin) do
        if type(fn) == "function" then names[name] = fn end
    end
    for name, fn in pairs(names) do
        plugin[name] = function(a, b, c, d)
            weir.log.info("ran " .. name)
            return fn(a, b, c, d)
        end
    end
    return plugin
end
`;

// The file of one example, and what its log must have.
function asPlugin({ text }) {
  const body = withChecks(text);
  if (/^return (?!req:|conn:)/m.test(text)) {
    return { file: `${helpers}return told((function()\n${body}end)())\n`, ran: defined(text) };
  }
  if (/^function plugin\./m.test(text)) {
    return { file: `${helpers}local plugin = {}\n${body}return told(plugin)\n`, ran: defined(text) };
  }
  const wantsRequest = /\breq\b/.test(text);
  const parameters = wantsRequest ? 'req' : 'conn, data, kind';
  const callback = wantsRequest ? 'on_request' : 'on_message';
  return {
    file: `${helpers}local function example(${parameters})\n${body}end\nreturn told({${callback} = function(${parameters})
    ${wantsRequest ? 'local result = ' : ''}example(${parameters})
    weir.log.info("ran example")
    ${wantsRequest ? 'return result' : ''}
end})\n`,
    ran: ['example'],
  };
}

const plugins = examples.map((example, index) => ({ ...example, ...asPlugin(example), name: `line${example.line}`, index }));

// Dictionaries that examples use have to be declared.
const shared = [...new Set([...page.matchAll(/weir\.shared\.(\w+)/g)].map((match) => match[1]))].filter((name) => name !== 'NAME');

const config = ({ address, root: top }) => `
workers: 2
listen: [{address: "${address}"}]
plugin_path: [plugins, ${top}/plugins]
${shared.length > 0 ? `shared: {${shared.map((name) => `${name}: {size: 1MiB}`).join(', ')}}` : ''}
routes:
${plugins
  .map(
    ({ name }) => `
  - path: /${name}
    websocket: {subprotocols: [chat.v1]}
    plugins: [{lua: ${name}}]
    handler: {lua: answers}`,
  )
  .join('')}
`;

const answers = `
return {
    on_request = function(req)
        if not req.is_websocket then return req:reply(200, {}, "plain") end
    end,
    on_message = function(conn, data, kind) conn:send("echo of " .. data, kind) end,
}`;

// A client that says something and leaves, and a plain request: every callback but on_drain comes.
async function use(weir, { name }) {
  const headers = { cookie: 'a=1', 'accept-language': 'en' };
  const client = await connect(weir.ws(`/${name}?room=one&version=2`), { protocols: ['chat.v1', 'chat.v2'], headers }).catch((error) => error);
  if (!(client instanceof Error)) {
    await client.send('{"a": 1}').catch(() => {});
    await Promise.race([client.next(2000).catch(() => {}), client.closed]);
    client.close(1000, 'done');
  }
  const answer = await fetch(weir.http(`/${name}?room=one`), { method: 'POST', body: 'a body', headers });
  await answer.text();
}

test('every function has an example, its own or the next one', () => {
  const sections = page.split(/^(?=##+ )/m);
  const bare = sections.filter((text) => /^### `/.test(text) && !text.includes('```lua')).map((text) => text.split('\n')[0]);
  const shared = sections.filter((text, i) => bare.includes(text.split('\n')[0]) && /^### `/.test(sections[i + 1] || ''));
  assert.deepEqual(shared.map((text) => text.split('\n')[0]), bare, 'the last of a group has no example');
});

test('there are examples of every kind, and each has its callbacks found', () => {
  assert.ok(plugins.length >= 20, `only ${plugins.length} examples`);
  for (const { ran, line } of plugins) {
    assert.ok(ran.length > 0, `docs/lua-api.md:${line}: nothing to run`);
  }
});

test('every example of the page runs as it says', async (t) => {
  const files = { 'plugins/answers.lua': answers };
  for (const { name, file } of plugins) {
    files[`plugins/${name}.lua`] = file;
  }
  const weir = await startWeir(t, config, { files });
  await Promise.all(plugins.map((plugin) => use(weir, plugin)));
  const log = (name) => weir.log.split('\n').filter((line) => line.includes(`plugin ${name}:`)).join('\n');
  const missing = ({ name, ran }) => ran.filter((what) => what !== 'exit' && !unheard.includes(what) && !log(name).includes(`ran ${what}`));
  await waitFor(() => plugins.every((plugin) => missing(plugin).length === 0), { timeoutMs: 3000 }).catch(() => {});
  await weir.stop();
  for (const plugin of plugins) {
    const at = `docs/lua-api.md:${plugin.line}`;
    assert.doesNotMatch(log(plugin.name), /callback \w+ failed|passed its/, `${at}\n${log(plugin.name)}`);
    assert.deepEqual(missing(plugin), [], `${at} has not run\n${log(plugin.name)}`);
    if (plugin.ran.includes('exit')) {
      assert.ok(log(plugin.name).includes('ran exit'), `${at}: exit has not run`);
    }
  }
});
