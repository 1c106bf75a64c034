// Native plugins in the running gateway: built here with the public header alone, one by one and mixed with Lua;
// and what the gateway says of files that are no plugins.
'use strict';

const { test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { startWeir, runWeir, waitFor, root } = require('./lib/weir');
const { connect } = require('./lib/client');

let folder; // of shared objects

// Builds NAME.so as docs/native-plugins.md says; `-z defs` refuses what would need a symbol of the gateway.
function build(name, source) {
  const flags = ['-std=c11', '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-shared', '-fPIC', '-pthread', '-O1', '-Wl,-z,defs'];
  const out = path.join(folder, `${name}.so`);
  execFileSync('cc', [...flags, '-I', path.join(root, 'gateway/include'), '-o', out, source]);
  return out;
}

before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-native-'));
  build('echo_native', path.join(root, 'plugins/echo_native.c'));
  for (const name of ['marker', 'everything', 'pieces', 'threads']) {
    build(name, path.join(__dirname, 'native', `${name}.c`));
  }
});

after(() => fs.rmSync(folder, { recursive: true, force: true }));

const gateway = (t, handler, { plugins = '[]', files = {}, workers = 1, websocket = '{subprotocols: [first, second]}' } = {}) =>
  startWeir(
    t,
    ({ address }) => `
workers: ${workers}
listen: [{address: "${address}"}]
plugin_path: [plugins, ${folder}]
routes:
  - path: /
    websocket: ${websocket}
    plugins: ${plugins}
    handler: ${handler}
`,
    { files: { 'plugins/none.lua': 'return {}', ...files } },
  );

const lines = (log, pattern) => [...log.matchAll(pattern)].map((match) => match[1]);

test('echo_native echoes as echo.lua does', async (t) => {
  const weir = await gateway(t, '{native: echo_native}');
  const client = await connect(weir.ws());
  const samples = ['', 'grüße', 'x'.repeat(70000), Buffer.from([0, 255, 254]), Buffer.alloc(300000, 7)];
  for (const sample of samples) {
    await client.send(sample);
  }
  for (const sample of samples) {
    const { data, binary } = await client.next();
    assert.equal(binary, Buffer.isBuffer(sample));
    assert.deepEqual(data, Buffer.from(sample));
  }
  await client.send('in ', { fin: false });
  await client.send('parts', { fin: true });
  assert.equal((await client.next()).text, 'in parts');
  client.close(4002, 'done');
  assert.deepEqual(await client.closed, { code: 4002, reason: 'done' });
  // A plain request ends at a handler that has no on_request.
  const { status } = await fetch(weir.http('/'));
  assert.ok(status >= 400, String(status));
});

const LUA_MARKER = (name) => `
return {
    on_request = function(req) weir.log.info("request " .. req.path) end,
    on_open = function(conn) weir.log.info("open") end,
    on_message = function(conn, data) return data .. "${name}>" end,
    on_send = function(conn, data) return data .. "<${name}" end,
    on_close = function(conn, code, reason) weir.log.info("close " .. code .. " " .. reason) end,
}`;

for (const [words, plugins, handler, echoed, order] of [
  ['native in front of Lua', '[{native: marker, config: {name: c}}]', '{lua: echo}', 'xc><c', ['c']],
  ['Lua in front of native', '[lua]', '{native: echo_native}', 'xlua><lua', ['lua']],
  [
    'native, Lua and native again, each with its own settings',
    '[{native: marker, config: {name: c}}, lua, {native: marker, config: {name: d}}]',
    '{lua: echo}',
    'xc>lua>d><d<lua<c',
    ['c', 'lua', 'd'],
  ],
]) {
  test(`one chain: ${words}`, async (t) => {
    const files = {
      'plugins/lua.lua': LUA_MARKER('lua'),
      'plugins/echo.lua': fs.readFileSync(path.join(root, 'plugins/echo.lua'), 'utf8'),
    };
    const weir = await gateway(t, handler, { plugins, files });
    const client = await connect(weir.ws('/path'));
    await client.send('x');
    assert.equal((await client.next()).text, echoed);
    client.close(4000, 'bye');
    await client.closed;
    await weir.waitForLog(new RegExp(`plugin (?:plugin )?${order[0]}: close 4000 bye`));
    assert.deepEqual(lines(weir.log, /plugin (?:plugin )?((?:c|d|lua): (?:request|open|close).*)/g), [
      ...order.map((name) => `${name}: request /path`),
      ...order.map((name) => `${name}: open`),
      ...[...order].reverse().map((name) => `${name}: close 4000 bye`),
    ]);
    const natives = order.filter((name) => name !== 'lua');
    await weir.stop();
    assert.deepEqual(lines(weir.log, /plugin (\w): unload/g).sort(), natives);
  });
}

const ask = (weir, target, options = {}) =>
  new Promise((resolve, reject) => {
    const place = { host: weir.host, port: weir.port, path: target, agent: false };
    const request = http.request({ ...place, ...options }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(options.body);
  });

test('everything of the host that is for requests', async (t) => {
  const weir = await gateway(t, '{native: everything}');
  const told = await ask(weir, '/a/../b%20c?q=1', { headers: { 'X-Ask': 'yes', 'X-Last': 'last' } });
  assert.equal(told.status, 200);
  assert.equal(told.headers['x-native'], 'yes');
  const [method, target, where, query, header, facts] = told.body.toString().split('\n');
  assert.deepEqual([method, target, where, query, header], ['GET', '/a/../b%20c?q=1', '/b c', 'q=1', 'yes']);
  assert.match(facts, /^http \/ 127\.0\.0\.1 11110 \S+=\S+$/);

  const posted = Buffer.alloc(200000, 'p');
  const body = await ask(weir, '/body', { method: 'POST', body: posted });
  assert.deepEqual(body.body, posted);

  const late = await ask(weir, '/late');
  assert.deepEqual([late.status, late.body.toString()], [202, 'late']);

  const wrong = await ask(weir, '/wrong');
  assert.equal(wrong.body.toString(), '3 3');

  await assert.rejects(ask(weir, '/drop'), /hang up|ECONNRESET/);
  await waitFor(() => lines(weir.log, /everything: done (\d+ \w+)/g).length === 5, { what: 'five ends' });
});

test('fields of the answer and of the request are changed', async (t) => {
  const weir = await gateway(t, '{native: everything}');
  const { status, headers, body } = await ask(weir, '/change', { headers: { 'X-Last': 'last' } });
  assert.equal(status, 200);
  assert.equal(headers['x-native'], 'changed');
  assert.equal(headers['x-added'], 'by C');
  assert.equal(headers.server, undefined);
  assert.match(body.toString(), / X-Added=by C\n$/);
  await weir.waitForLog(/everything: change 0000033/);
});

test('a response that the client reads late comes whole, drain by drain', async (t) => {
  const weir = await gateway(t, '{native: everything}');
  const size = await new Promise((resolve, reject) => {
    http
      .get(weir.http('/big'), { agent: false }, (response) => {
        let sum = 0;
        response.pause();
        weir.waitForLog(/the client is behind/).then(() => response.resume(), reject);
        response.on('data', (part) => (sum += part.length));
        response.on('end', () => resolve(sum));
        response.on('error', reject);
      })
      .on('error', reject);
  });
  assert.equal(size, 512 * 65536);
  await weir.waitForLog(/drain of a response/);
});

test('everything of the host that is for sessions', async (t) => {
  const weir = await gateway(t, '{native: everything}');
  const client = await connect(weir.ws(), { protocols: ['first', 'second'] });
  assert.equal(client.protocol, 'second');
  await weir.waitForLog(/everything: prepare 3 3 0/);
  const say = async (text) => {
    await client.send(text);
    return (await client.next()).text;
  };
  assert.equal(await say('tell'), 'ws second 1 1 0 0');
  assert.equal(await say('pieces'), 'one 1');
  assert.equal((await client.next()).text, 'drained'); // since something was refused
  assert.equal(await say('wrong'), '3 3 3 3');
  for (const text of ['one', 'wait', 'two', 'wait', 'three', 'pause', 'four', 'five']) {
    await client.send(text);
  }
  const heard = [];
  for (let i = 0; i < 7; i++) {
    heard.push((await client.next()).text);
  }
  assert.deepEqual(heard, ['one', 'waited', 'two', 'waited', 'three', 'four', 'five']);
  await client.send('ping');
  await waitFor(() => client.pings === 1, { what: 'the ping' });
  await client.send('close');
  assert.deepEqual(await client.closed, { code: 4001, reason: 'as you wish' });
  await weir.waitForLog(/everything: closed/);
  await weir.waitForLog(/everything: close 4001 gateway/);

  const leaver = await connect(weir.ws());
  await leaver.send('leave');
  assert.equal((await leaver.closed).code, 1000);

  // A client that goes while its message waits; LeakSanitizer sees whether the plugin heard of it.
  const cut = await connect(weir.ws());
  await cut.send('wait long');
  cut.socket.terminate();
  await weir.waitForLog(/everything: close 1006 client/);
  // And one that still waits when the gateway stops.
  const stays = await connect(weir.ws());
  await stays.send('one');
  await stays.next();
  await stays.send('wait long');
});

test('a full queue is told, and its end', async (t) => {
  const weir = await gateway(t, '{native: everything}');
  const client = await connect(weir.ws());
  client.socket.pause();
  await client.send('fill');
  await weir.waitForLog(/everything: status 1 after many, buffered 1/);
  client.socket.resume();
  for (;;) {
    const { text, data } = await client.next();
    if (text !== null) {
      assert.equal(text, 'drained');
      break;
    }
    assert.equal(data.length, 65536);
  }
});

const page = () => fs.readFileSync(path.join(root, 'docs/native-plugins.md'), 'utf8');
const block = (language) => page().match(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'ms'))[1];

test('the first plugin of the page, built by its command', async (t) => {
  fs.writeFileSync(path.join(folder, 'count.c'), block('c'));
  const [command, ...words] = block('sh').trim().split(' ');
  const at = words.indexOf('-I') + 1;
  assert.equal(words[at], '/usr/local/include');
  words[at] = path.join(root, 'gateway/include');
  execFileSync(command, [...words, '-Werror'], { cwd: folder });
  const yaml = block('yaml').replace('[.]', `["${folder}"]`);
  assert.match(yaml, /127\.0\.0\.1:5000/);
  const weir = await startWeir(t, ({ address }) => yaml.replace('127.0.0.1:5000', address));
  const [one, other] = [await connect(weir.ws('/ws')), await connect(weir.ws('/ws'))];
  for (const number of [1, 2, 3]) {
    await one.send('x');
    assert.equal((await one.next()).text, `message ${number}`);
  }
  await other.send('x');
  assert.equal((await other.next()).text, 'message 1');
});

test('the page has every function, callback and status of the header, and no others', () => {
  const header = fs.readFileSync(path.join(root, 'gateway/include/weir/plugin.h'), 'utf8');
  const members = (name) => [...header.match(new RegExp(`^struct ${name} \\{(.*?)^\\};`, 'ms'))[1].matchAll(/\(\*(\w+)\)\(/g)];
  const functions = members('weir_host').map((match) => match[1]);
  assert.ok(functions.length > 40);
  const offered = page().match(/^## What the host offers\n(.*?)^## /ms)[1];
  const [table] = offered.split('Those that can fail');
  assert.deepEqual([...table.matchAll(/`(\w+)`/g)].map((match) => match[1]).filter((name) => name !== 'on_body').sort(), functions.sort());
  const statuses = [...header.matchAll(/^ +(WEIR_STATUS_\w+)/gm)].map((match) => match[1]);
  assert.deepEqual([...offered.matchAll(/^\| `(WEIR_STATUS_\w+)`/gm)].map((match) => match[1]).sort(), statuses.sort());
  const told = new Set(page().match(/\bon_\w+/g));
  const callbacks = members('weir_plugin_ops').map((match) => match[1]);
  assert.deepEqual([...told].filter((name) => !callbacks.includes(name)), []);
});

test('each worker starts the plugin once', async (t) => {
  const weir = await gateway(t, '{native: everything}', { workers: 3 });
  await weir.waitForLog(/serving with 3/);
  assert.deepEqual(lines(weir.log, /everything: (on worker .*)/g).sort(), [0, 1, 2].map((id) => `on worker ${id} of 3`));
});

test('a thread of the plugin hands over to the worker, and holds up nobody else', async (t) => {
  const weir = await gateway(t, '{native: threads}', { workers: 2 });
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect(weir.ws())));
  const other = await connect(weir.ws());
  await Promise.all(clients.map((client) => client.send('work')));
  await other.send('');
  assert.equal((await other.next()).text, '');
  for (const client of clients) {
    assert.equal((await client.next()).text, 'done');
    await client.send('again');
  }
  const [gone, ...rest] = clients;
  gone.socket.terminate();
  for (const client of rest) {
    assert.equal((await client.next()).text, 'done');
  }
  await weir.waitForLog(/threads: for nobody/);
  await weir.stop();
  assert.deepEqual(lines(weir.log, /threads: (.*)/g), ['for nobody', 'all came back', 'all came back']);
});

test('pieces go through without being put together', async (t) => {
  const weir = await gateway(t, '{native: pieces}', { websocket: '{max_message_size: 64MiB}' });
  const client = await connect(weir.ws());
  const big = Buffer.alloc(8 << 20, 'z');
  await client.send(big);
  assert.deepEqual((await client.next()).data, big);
  await client.send('part', { fin: false });
  await client.send('', { fin: true });
  assert.equal((await client.next()).text, 'part');
});

test('what is no plugin is a configuration error that says so', async () => {
  const source = (name, text) => {
    const file = path.join(folder, `${name}.c`);
    fs.writeFileSync(file, `#include <weir/plugin.h>\n${text}\n`);
    return build(name, file);
  };
  const entry = 'const struct weir_plugin_ops *weir_plugin(const struct weir_host *host) { (void)host; return &ops; }';
  const table = (members) => `static const struct weir_plugin_ops ops = {${members}};\n${entry}`;
  fs.writeFileSync(path.join(folder, 'text.so'), 'return {}\n');
  source('entryless', 'int nothing;');
  source('elder', table('.struct_size = sizeof ops, .major = 0, .minor = 9'));
  source('sizeless', table('.major = WEIR_ABI_MAJOR'));
  for (const [handler, words] of [
    ['{native: text}', /`text`: \S*\/text\.so is not a shared object$/m],
    ['{native: entryless}', /`entryless`: \S*\/entryless\.so is not a plugin: it has no function weir_plugin$/m],
    ['{native: elder}', /`elder`: \S*\/elder\.so was built for version 0\.9 of the plugin interface, and this is 1\.\d+: /],
    ['{native: sizeless}', /`sizeless`: \S*\/sizeless\.so: struct_size of its callbacks is 0; /],
    ['{native: marker}', /`marker`: `name` is missing in \{\}$/m],
    ['{native: markr}', /plugin `markr` not found in .*; did you mean `marker`\?$/m],
  ]) {
    const yaml = `listen: [{address: '127.0.0.1:5999'}]\nplugin_path: ["${folder}"]\nroutes:\n  - path: /\n    handler: ${handler}\n`;
    const { code, stderr } = await runWeir(['-t', '-c', 'w.yaml'], { files: { 'w.yaml': yaml } });
    assert.equal(code, 2, handler);
    assert.match(stderr, /^w\.yaml:5:/, handler);
    assert.match(stderr, words);
  }
});
