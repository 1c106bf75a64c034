// The handler `metrics`: the gateway's own counts over two workers, and what plugins count, as Prometheus reads it.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { startWeir, runWeir, waitFor, root } = require('./lib/weir');
const { connect } = require('./lib/client');

const plugin = `
local words = weir.metrics.counter("words_total", "Words that were said.", {"word"})
local sizes = weir.metrics.histogram("message_size_bytes", "Sizes of messages.", nil, {10, 100})
local open = weir.metrics.gauge("open_rooms", "Rooms \\\\ that are open.\\nNow.")
return {
    on_open = function(conn) open:add(1) end,
    on_close = function(conn) open:add(-1) end,
    on_message = function(conn, data, kind)
        words:add(1, {data:sub(1, 10)})
        sizes:observe(#data)
        conn:send(data, kind)
    end,
}`;

const start = (t, allow = '') =>
  startWeir(
    t,
    ({ address }) => `
workers: 2
listen: [{address: "${address}"}]
plugin_path: [plugins]
routes:
  - {path: /ws, websocket: on, handler: {lua: words}}
  - {path: /metrics, handler: {metrics: prometheus${allow}}}
`,
    { files: { 'plugins/words.lua': plugin } },
  );

function ask(weir, options = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(weir.http('/metrics'), { agent: false, ...options }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString() }),
      );
    });
    request.once('error', reject);
    request.end();
  });
}

const unescape = (text) => text.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));

// Reads the text format 0.0.4 strictly: any line that it does not allow, a sample before its TYPE, a series twice,
// or a family in two places fails.
function parse(text) {
  const series = new Map();
  const kinds = new Map();
  let family = null;
  assert.ok(text.endsWith('\n'));
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = line.match(/^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/);
    if (comment && comment[1] === 'HELP') {
      assert.ok(!kinds.has(comment[2]), `${comment[2]} comes twice`);
      family = comment[2];
      continue;
    }
    if (comment) {
      assert.equal(comment[2], family);
      assert.match(comment[3], /^(counter|gauge|histogram)$/);
      kinds.set(family, comment[3]);
      continue;
    }
    const sample = line.match(/^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*",?)+)\})? (\S+)$/);
    assert.ok(sample, `not a sample: ${line}`);
    const base = kinds.get(family) === 'histogram' ? sample[1].replace(/_(bucket|sum|count)$/, '') : sample[1];
    assert.equal(base, family, line);
    assert.match(sample[3], /^([+-]?Inf|NaN|-?\d+(\.\d+)?(e[+-]\d+)?)$/);
    const labels = [...(sample[2] || '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((m) => `${m[1]}=${unescape(m[2])}`);
    const name = labels.length > 0 ? `${sample[1]}{${labels.sort().join(',')}}` : sample[1];
    assert.ok(!series.has(name), `${name} comes twice`);
    series.set(name, Number(sample[3].replace('Inf', 'Infinity')));
  }
  return { series, kinds };
}

const read = async (weir) => parse((await ask(weir)).body).series;

test('counts connections, requests, sessions, messages and bytes over all workers', async (t) => {
  const weir = await start(t);
  const clients = [];
  for (let i = 0; i < 12; i++) {
    clients.push(await connect(weir.ws('/ws')));
  }
  for (const client of clients) {
    await client.send('hello');
    assert.equal((await client.next()).text, 'hello');
  }
  const response = await ask(weir);
  assert.equal(response.status, 200);
  assert.equal(response.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  const { series, kinds } = parse(response.body);
  assert.equal(series.get('weir_sessions'), 12);
  assert.equal(series.get('weir_sessions_total'), 12);
  assert.equal(series.get('weir_messages_total{direction=in}'), 12);
  assert.equal(series.get('weir_messages_total{direction=out}'), 12);
  assert.equal(series.get('weir_message_bytes_total{direction=in}'), 60);
  assert.equal(series.get('weir_message_bytes_total{direction=out}'), 60);
  assert.equal(series.get('weir_requests_total'), 13);
  assert.ok(series.get('weir_connections') >= 13 && series.get('weir_connections_total') >= 13);
  assert.equal(kinds.get('weir_sessions'), 'gauge');
  assert.equal(kinds.get('weir_sessions_total'), 'counter');
  for (const client of clients.slice(0, 5)) {
    await client.close();
  }
  await waitFor(async () => (await read(weir)).get('weir_sessions') === 7, { what: 'five sessions less' });
  assert.equal((await read(weir)).get('weir_sessions_total'), 12);
});

test('shows what plugins count on all workers, whatever clients put into labels', async (t) => {
  const weir = await start(t);
  const clients = [];
  for (let i = 0; i < 12; i++) {
    clients.push(await connect(weir.ws('/ws')));
  }
  const said = ['one', 'a "b"', 'a\\b', 'x\ny', 'naïve'];
  for (const client of clients) {
    for (const word of said) {
      await client.send(word);
      await client.next();
    }
  }
  await clients[0].send(Buffer.from([0xff, 0x41]));
  await clients[0].next();
  const { series, kinds } = parse((await ask(weir)).body);
  for (const word of said) {
    assert.equal(series.get(`words_total{word=${word}}`), 12, word);
  }
  assert.equal(series.get('words_total{word=\ufffdA}'), 1);
  assert.equal(series.get('open_rooms'), 12);
  assert.equal(series.get('message_size_bytes_bucket{le=10}'), 61);
  assert.equal(series.get('message_size_bytes_bucket{le=+Inf}'), 61);
  assert.equal(series.get('message_size_bytes_count'), 61);
  assert.equal(series.get('message_size_bytes_sum'), 12 * said.reduce((sum, word) => sum + Buffer.byteLength(word), 0) + 2);
  assert.equal(kinds.get('message_size_bytes'), 'histogram');
  for (const client of clients) {
    await client.close();
  }
  await waitFor(async () => (await read(weir)).get('open_rooms') === 0, { what: 'the gauge to fall' });
});

test('answers only clients that may ask, and only GET and HEAD', async (t) => {
  const weir = await start(t, ', allow: [127.0.0.2]');
  assert.equal((await ask(weir)).status, 403);
  assert.equal((await ask(weir, { localAddress: '127.0.0.2' })).status, 200);
  const head = await ask(weir, { localAddress: '127.0.0.2', method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(head.body, '');
  const post = await ask(weir, { localAddress: '127.0.0.2', method: 'POST' });
  assert.equal(post.status, 405);
  assert.equal(post.headers.allow, 'GET, HEAD');
});

test('a format that there is not is a configuration error', async () => {
  const yaml = `listen: [{address: "127.0.0.1:5000"}]
routes: [{path: /, handler: {metrics: statsd}}]
`;
  const { code, stderr } = await runWeir(['-t', '-c', 'weir.yaml'], { files: { 'weir.yaml': yaml } });
  assert.equal(code, 2);
  assert.match(stderr, /there is no format `statsd`; it is `prometheus`/);
});

test('docs/metrics.md names the metrics that there are, and its example counts', async (t) => {
  const page = fs.readFileSync(path.join(root, 'docs/metrics.md'), 'utf8');
  const block = (language) => page.match(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms'))[1];
  const yaml = block('yaml').replace('{lua: echo}', '{lua: words}');
  const weir = await startWeir(t, ({ address }) => `listen: [{address: "${address}"}]\n${yaml}`, { files: { 'plugins/words.lua': block('lua') } });
  const client = await connect(weir.ws('/'));
  await client.send('hello');
  await client.next();
  const { series, kinds } = parse((await ask(weir)).body);
  assert.equal(series.get('words_total{kind=text}'), 1);
  assert.equal(series.get('message_size_bytes_bucket{le=64}'), 1);
  assert.equal(series.get('rooms_open'), 1);
  const named = [...page.matchAll(/^\| `(weir_\w+)(?:\{(.*)\})?` \| (\w+) \|/gm)];
  const own = [...kinds].filter(([name]) => name.startsWith('weir_'));
  assert.deepEqual(named.map((match) => [match[1], match[3]]).sort(), own.sort());
});
