// What docs/upstreams.md says, tried: its configurations load and do what is said beside them, its commands work, and
// the words that it quotes are the program's.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { makeCertificates } = require('./lib/certs');
const { startServer, ask, askMany, tally } = require('./lib/faulty');
const { freePort, root, runWeir, startWeir } = require('./lib/weir');

const page = fs.readFileSync(path.join(root, 'docs/upstreams.md'), 'utf8');
const blocksOf = (language) => [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((match) => match[1]);
const block = (mark) => {
  const found = blocksOf('yaml').filter((text) => text.includes(mark));
  assert.equal(found.length, 1, `${found.length} blocks have ${mark}`);
  return found[0];
};

test('every configuration of the page passes its check', async (t) => {
  const certs = makeCertificates(t);
  const pair = certs.pair('api.example.com');
  const read = (file) => fs.readFileSync(file, 'utf8');
  const files = { 'tls/ca.pem': read(pair.certificate), 'tls/client.pem': read(pair.certificate), 'tls/client.key': read(pair.private_key) };
  const blocks = blocksOf('yaml');
  assert.ok(blocks.length >= 9, `${blocks.length} blocks`);
  for (const text of blocks) {
    const config = `listen: [{address: "127.0.0.1:5000"}]\n${text}`;
    const { code, stderr } = await runWeir(['-t', '-c', 'weir.yaml'], { files: { ...files, 'weir.yaml': config } });
    assert.equal(code, 0, `${stderr}\n${text}`);
  }
});

// Starts a gateway with a block in which addresses are replaced; each must be there.
async function startBlock(t, text, addresses = {}) {
  let yaml = text;
  for (const [from, to] of Object.entries(addresses)) {
    assert.ok(yaml.includes(from), `${from} is not in:\n${yaml}`);
    yaml = yaml.replaceAll(from, to);
  }
  return startWeir(t, ({ address }) => `workers: 1\nlisten: [{address: "${address}"}]\n${yaml}`);
}

async function startTwo(t, text) {
  const servers = [await startServer(t, { name: 'a' }), await startServer(t, { name: 'b' })];
  const weir = await startBlock(t, text, { '127.0.0.1:3001': servers[0].address, '127.0.0.1:3002': servers[1].address });
  return { weir, servers };
}

test('the first configuration serves from all its kinds of addresses, and from the backup when they are gone', async (t) => {
  const six = await startServer(t, { name: 'six', host: '::1' });
  const backup = await startServer(t, { name: 'backup' });
  const [a, b] = [await startServer(t, { name: 'a' }), await startServer(t, { name: 'b' })];
  const dir = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'weir-docs-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  const local = await startServer(t, { name: 'local', path: path.join(dir, 'app.sock') });
  const weir = await startBlock(t, block('unix:/run/app.sock').replace(/ {12}# short for .*/, ''), {
    '127.0.0.1:3001': a.address,
    '127.0.0.1:3002': b.address,
    '[::1]:3003': six.address,
    'unix:/run/app.sock': local.address,
    '127.0.0.1:3009': backup.address,
  });
  assert.deepEqual(tally(await askMany(weir, '/', 12)), { a: 6, b: 2, six: 2, local: 2 });
  for (const server of [a, b, six, local]) {
    await server.stop();
  }
  let body = '';
  for (let tries = 0; tries < 60 && body !== 'backup'; tries++) {
    ({ body } = await ask(weir)); // two servers are tried for each request, and all four have to be found out
  }
  assert.equal(body, 'backup');
});

test('the hash of the page brings a room together', async (t) => {
  const text = block('hash: {by: query, name: room}');
  const servers = await Promise.all(['a', 'b', 'c'].map((name) => startServer(t, { name })));
  const weir = await startBlock(t, text, Object.fromEntries(servers.map(({ address }, i) => [`127.0.0.1:300${i + 1}`, address])));
  assert.equal(Object.keys(tally(await askMany(weir, '/ws?room=42', 6))).length, 1);
});

test('the cookie is as the page says', async (t) => {
  const { weir } = await startTwo(t, block('cookie: weir_backend'));
  const [cookie] = (await ask(weir)).headers['set-cookie'];
  assert.match(cookie, /^weir_backend=\w+\.\w+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=86400$/);
});

test('the TLS of the page asks for its name, wants that name’s certificate, and shows one of its own', async (t) => {
  const certs = makeCertificates(t);
  const pair = certs.pair('api.example.com');
  const mine = certs.pair('gateway');
  const read = (file) => fs.readFileSync(file);
  const seen = [];
  const secure = { cert: read(pair.certificate), key: read(pair.private_key), ca: read(mine.certificate), requestCert: true, rejectUnauthorized: true };
  const server = await startServer(t, { name: 'a', tls: secure });
  server.answer = ({ socket, headers }, response) => {
    seen.push([socket.servername, socket.getPeerCertificate().subject.CN, headers.host]);
    response.end('a');
  };
  const files = { '127.0.0.1:8443': server.address, 'tls/ca.pem': pair.certificate, 'tls/client.pem': mine.certificate, 'tls/client.key': mine.private_key };
  const weir = await startBlock(t, block('tls/ca.pem'), files);
  assert.equal((await ask(weir)).body, 'a');
  assert.deepEqual(seen, [['api.example.com', 'gateway', 'api.example.com']]);
  const stranger = await startBlock(t, block('tls/ca.pem').replace(/ +certificate:.*\n +private_key:.*\n/, ''), { '127.0.0.1:8443': server.address, 'tls/ca.pem': pair.certificate });
  assert.equal((await ask(stranger)).status, 502);
  const unbelieved = await startBlock(t, block('tls/ca.pem'), { ...files, 'tls/ca.pem': mine.certificate });
  assert.equal((await ask(unbelieved)).status, 502);
  await unbelieved.waitForLog(/proxy api: 127\.0\.0\.1:\d+: .*certificate/);
  assert.equal(seen.length, 1);
});

test('the commands for operators work as they stand, and the answer has the page’s members', async (t) => {
  const { weir, servers } = await startTwo(t, block('upstream_admin: all'));
  const [commands] = blocksOf('sh');
  const lines = commands.trim().split('\n');
  assert.equal(lines.length, 4);
  const run = (line) => {
    const mine = line.replaceAll('localhost:5000', weir.authority).replaceAll('127.0.0.1:3001', servers[0].address);
    return JSON.parse(execFileSync('sh', ['-c', mine]).toString());
  };
  const [all, one, drained, up] = lines.map(run);
  const [shape] = blocksOf('json').map(JSON.parse);
  assert.deepEqual(Object.keys(all.upstreams[0]), Object.keys(shape));
  assert.deepEqual(Object.keys(all.upstreams[0].servers[0]), Object.keys(shape.servers[0]));
  const mine = { ...all.upstreams[0].servers[0], address: '127.0.0.1:3001', configured: '127.0.0.1:3001', id: shape.servers[0].id };
  assert.deepEqual(mine, shape.servers[0]);
  assert.deepEqual(one, all);
  assert.deepEqual([drained.state, drained.changed, up.state, up.changed], ['draining', 1, 'up', 1]);
});

test('the statuses and words of the table are the program’s', () => {
  const folder = path.join(root, 'gateway/handlers/proxy');
  const source = fs.readdirSync(folder).map((name) => fs.readFileSync(path.join(folder, name), 'utf8')).join('\n');
  const rows = [...page.matchAll(/^\| (50\d) \| `(.*?)` \|/gm)];
  assert.equal(rows.length, 7);
  for (const [, status, words] of rows) {
    assert.match(source.replace(/\s+/g, ' '), new RegExp(`${status}, "${words}"`), `${status} ${words}`);
  }
});

test('two of the table’s rows, seen', async (t) => {
  const dead = `127.0.0.1:${await freePort()}`;
  const refused = await startBlock(t, `upstreams: {app: {servers: ["${dead}"]}}\nroutes: [{path: /, handler: {proxy: app}}]`);
  const answer = await ask(refused);
  assert.equal(answer.status, 502);
  assert.match(answer.body, /no backend could be reached/);
  const down = await startBlock(t, `upstreams: {app: {servers: [{address: "${dead}", state: down}]}}\nroutes: [{path: /, handler: {proxy: app}}]`);
  const none = await ask(down);
  assert.equal(none.status, 503);
  assert.match(none.body, /no backend is available/);
});

test('every key and word in code that the page names is in the reference, the code or the page itself', () => {
  const reference = fs.readFileSync(path.join(root, 'docs/configuration.md'), 'utf8');
  const log = fs.readFileSync(path.join(root, 'gateway/handlers/access_log.c'), 'utf8');
  const known = new Set(`${reference} ${log} ${blocksOf('json').join(' ')}`.match(/\w+/g));
  const text = page.replace(/^```.*?^```$/gms, '');
  const spans = [...text.matchAll(/`([a-z_.]+)`/g)].map((match) => match[1]);
  assert.ok(spans.length > 40, `${spans.length} names`);
  for (const name of spans.flatMap((span) => span.split('.'))) {
    assert.ok(known.has(name), `nothing is called ${name}`);
  }
});
