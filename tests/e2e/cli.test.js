// The command line: what is printed where, exit codes, errors of the configuration with file, line and column, and how
// the gateway ends.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test, before, after, describe } = require('node:test');
const { makeCertificates } = require('./lib/certs');
const { connect } = require('./lib/client');
const { rawConnect, rawRequest } = require('./lib/raw');
const { runWeir, waitFor, root } = require('./lib/weir');
const { startProbe, get, wholeFile } = require('./lib/probe');

const whole = wholeFile(after);
let certs;

before(() => {
  certs = makeCertificates(whole);
});

const GOOD = `
listen:
  - address: 127.0.0.1:5999
routes:
  - path: /
    handler: {static: .}
`;

function check(yaml, files = {}, env = {}) {
  return runWeir(['-t', '-c', 'w.yaml'], { files: { 'w.yaml': yaml, ...files }, env });
}

// The configuration is refused with a line that matches each pattern, and nothing else.
async function wrong(yaml, patterns, files) {
  const { code, stdout, stderr } = await check(yaml, files);
  assert.equal(code, 2, stderr);
  assert.equal(stdout, '');
  const lines = stderr.trim().split('\n');
  for (const pattern of patterns) {
    assert.ok(lines.some((line) => pattern.test(line)), `no line matches ${pattern}:\n${stderr}`);
  }
  assert.ok(lines.length >= patterns.length, stderr);
  // A start says the same and does not serve.
  const start = await runWeir(['-c', 'w.yaml'], { files: { 'w.yaml': yaml, ...files } });
  assert.deepEqual([start.code, start.stderr], [2, stderr]);
}

describe('what is printed', () => {
  test('the version', async () => {
    for (const option of ['-V', '--version']) {
      const { code, stdout, stderr } = await runWeir([option]);
      assert.equal(code, 0);
      assert.match(stdout, /^weir \S+\n$/);
      assert.equal(stderr, '');
    }
  });

  test('help, on standard output when it was asked for', async () => {
    for (const option of ['-h', '--help']) {
      const { code, stdout, stderr } = await runWeir([option]);
      assert.equal(code, 0);
      assert.equal(stderr, '');
      for (const word of ['-c FILE', '-t', '-V', '--reference', '--schema', 'SIGTERM']) {
        assert.ok(stdout.includes(word), word);
      }
    }
  });

  test('help on standard error, and 2, for arguments that are wrong', async () => {
    for (const args of [['-x'], ['--nonsense'], ['more'], ['-c'], ['-t', '-c', 'w.yaml', 'more']]) {
      const { code, stdout, stderr } = await runWeir(args);
      assert.equal(code, 2, args.join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, /usage: weir/);
    }
  });

  test('the reference and the schema, as they are in the repository', async () => {
    const reference = await runWeir(['--reference']);
    assert.equal(reference.code, 0);
    assert.equal(reference.stdout, fs.readFileSync(path.join(root, 'docs/configuration.md'), 'utf8'));
    const schema = await runWeir(['--schema']);
    assert.equal(schema.code, 0);
    assert.equal(schema.stdout, fs.readFileSync(path.join(root, 'conf/weir.schema.json'), 'utf8'));
    assert.equal(typeof JSON.parse(schema.stdout).properties.listen, 'object');
  });

  test('output that cannot be written is no success', async () => {
    for (const option of ['--reference', '--schema', '--version', '--help']) {
      const { spawnSync } = require('node:child_process');
      const full = fs.openSync('/dev/full', 'w');
      const { status } = spawnSync(require('./lib/weir').binary, [option], { stdio: ['ignore', full, 'ignore'] });
      fs.closeSync(full);
      assert.equal(status, 1, option);
    }
  });
});

describe('weir -t', () => {
  test('a good configuration: 0, and it does not serve', async () => {
    for (const args of [['-t', '-c', 'w.yaml'], ['-c', 'w.yaml', '-t'], ['--test', '--config', 'w.yaml'], ['-tcw.yaml']]) {
      const { code, stdout, stderr } = await runWeir(args, { files: { 'w.yaml': GOOD } });
      assert.equal(code, 0);
      assert.equal(stdout, 'w.yaml: the configuration is fine\n');
      assert.equal(stderr, '');
    }
  });

  test('conf/weir.yaml is the default', async () => {
    const { code, stdout } = await runWeir(['-t'], { files: { 'conf/weir.yaml': GOOD } });
    assert.equal(code, 0);
    assert.match(stdout, /^conf\/weir\.yaml: /);
  });

  test('a file that is not there, or cannot be read', async () => {
    const { code, stderr } = await runWeir(['-t', '-c', 'none.yaml']);
    assert.equal(code, 2);
    assert.match(stderr, /none\.yaml.*No such file/);
    const folder = await runWeir(['-t', '-c', '.']);
    assert.equal(folder.code, 2);
    assert.notEqual(folder.stderr, '');
  });

  test('no YAML: where it stops being some', async () => {
    await wrong('listen: [\n  {address: 127.0.0.1:5999\nroutes: x\n', [/^w\.yaml:\d+:\d+: /]);
    await wrong('', [/^w\.yaml:\d+:\d+: /]);
    await wrong('just words\n', [/^w\.yaml:1:1: /]);
  });

  test('an unknown key, and the one that was meant', async () => {
    const yaml = `
listen:
  - address: 127.0.0.1:5999
routes:
  - path: /
    websocket:
      keep_alive_intervall: 5s
    handler: {static: .}
`;
    await wrong(yaml, [/^w\.yaml:7:7: routes\[0\]\.websocket\.keep_alive_intervall: unknown key, did you mean `keep_alive_interval`\?$/]);
  });

  test('every error at once, each at its place', async () => {
    const yaml = `
workers: many
listne: x
listen:
  - address: nonsense
    backlog: 0
http:
  header_timeout: 5
  max_body_size: 1XB
  trusted_proxies: [300.1.1.1]
routes:
  - path: no-slash
    handler: {lua: ecoh}
  - path: /
    handler: {static: /no/such/folder}
    plugins: [nothing_like_it]
`;
    await wrong(yaml, [
      /^w\.yaml:2:10: workers: /,
      /^w\.yaml:3:1: listne: unknown key, did you mean `listen`\?/,
      /^w\.yaml:5:14: listen\[0\]\.address: /,
      /^w\.yaml:6:14: listen\[0\]\.backlog: /,
      /^w\.yaml:8:19: http\.header_timeout: /,
      /^w\.yaml:9:18: http\.max_body_size: /,
      /^w\.yaml:10:21: http\.trusted_proxies\[0\]: /,
      /^w\.yaml:12:11: routes\[0\]\.path: /,
      /^w\.yaml:13:20: routes\[0\]\.handler\.lua: /,
      /^w\.yaml:15:23: routes\[1\]\.handler\.static: /,
      /^w\.yaml:16:15: routes\[1\]\.plugins\[0\]: /,
    ]);
  });

  test('a Lua plugin with a syntax error: its file and line', async () => {
    const yaml = GOOD.replace('{static: .}', '{lua: broken}');
    await wrong(yaml, [/broken\.lua:4: /], { 'plugins/broken.lua': 'return {\n  on_message = function(conn)\n    conn:send(\n  end,\n}\n' });
    await wrong(yaml, [/^w\.yaml:6:.*broken/], { 'plugins/broken.lua': 'return {\n  on_message = function(conn)\n    conn:send(\n  end,\n}\n' });
    await wrong(yaml, [/broken/], { 'plugins/broken.lua': 'return 7\n' });
    await wrong(yaml, [/broken\.lua:1: .*no luck/], { 'plugins/broken.lua': 'error("no luck")\n' });
  });

  test('several plugins that do not load are all named', async () => {
    const yaml = `
listen: [{address: 127.0.0.1:5999}]
routes:
  - path: /a
    handler: {lua: first}
  - path: /b
    handler: {lua: second}
`;
    await wrong(yaml, [/first\.lua:1: /, /second\.lua:1: /], { 'plugins/first.lua': 'return {', 'plugins/second.lua': '}' });
  });

  test('certificates that do not serve', async () => {
    const one = certs.pair('one.test');
    const two = certs.pair('two.test');
    const yaml = (tls) => GOOD.replace('127.0.0.1:5999', `127.0.0.1:5999\n    tls: ${JSON.stringify(tls)}`);
    assert.equal((await check(yaml(one))).code, 0);
    await wrong(yaml({ certificate: one.certificate, private_key: two.private_key }), [/^w\.yaml:3:.*listen.*127\.0\.0\.1:5999/]);
    await wrong(yaml({ certificate: 'plain.txt', private_key: one.private_key }), [/plain\.txt: cannot be used as certificate/], { 'plain.txt': 'hello\n' });
    await wrong(yaml({ certificate: one.certificate, private_key: 'none.key' }), [/^w\.yaml:4:.*listen\[0\]\.tls\.private_key: .*none\.key/]);
    await wrong(yaml({ ...one, client_certificate: 'required' }), [/client_ca/]);
  });

  test('environment variables', async () => {
    const yaml = GOOD.replace('127.0.0.1:5999', '"${WEIR_TEST_ADDRESS:-127.0.0.1:5998}"').replace('/\n', '${WEIR_TEST_PATH}\n');
    await wrong(yaml, [/^w\.yaml:5:11: routes\[0\]\.path: .*WEIR_TEST_PATH/]);
    assert.equal((await check(yaml, {}, { WEIR_TEST_PATH: '/x' })).code, 0);
    const bad = await check(yaml, {}, { WEIR_TEST_PATH: 'x' });
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /^w\.yaml:5:11: routes\[0\]\.path: /);
  });

  test('the sample configurations', async () => {
    const pair = certs.pair('localhost');
    const { binary } = require('./lib/weir');
    for (const name of fs.readdirSync(path.join(root, 'conf')).filter((file) => file.endsWith('.yaml'))) {
      const yaml = fs.readFileSync(path.join(root, 'conf', name), 'utf8');
      const { spawnSync } = require('node:child_process');
      const { status, stderr } = spawnSync(binary, ['-t', '-c', `conf/${name}`], {
        cwd: root,
        env: {
          ...process.env,
          WEIR_CERTIFICATE: pair.certificate,
          WEIR_PRIVATE_KEY: pair.private_key,
          WEIR_NATIVE_PLUGINS: path.join(path.dirname(binary), 'plugins'),
        },
      });
      assert.equal(status, 0, `${name}: ${stderr}${yaml.length}`);
    }
  });
});

describe('the end', () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`${signal}: 0, with nobody connected`, async () => {
      const weir = await startProbe(null, { workers: 2 });
      await weir.stop({ signal });
    });

    test(`${signal}: sessions are closed with 1001, idle connections ended, and no new ones taken`, async () => {
      const weir = await startProbe(null, { workers: 2 });
      const session = await connect(weir.ws('/ws'));
      const { connection: idle } = await rawRequest(weir.port, get('/'));
      const fresh = await rawConnect(weir.port);
      weir.signal(signal);
      assert.equal((await session.closed).code, 1001);
      await idle.waitEnd();
      await fresh.waitEnd();
      assert.equal(idle.error, null);
      idle.destroy();
      fresh.destroy();
      // Each worker closes its own listening socket, so the other one may take a connection for a moment yet.
      const isRefused = () => rawConnect(weir.port).then((c) => c.destroy() && false, (error) => error.code === 'ECONNREFUSED');
      await waitFor(isRefused, { what: 'both workers to listen no more' });
      assert.deepEqual(await weir.exited, { code: 0, signal: null });
      await weir.stop();
    });
  }

  test('a request that is under way is answered, and its connection ended', async () => {
    const weir = await startProbe(null);
    const c = await rawConnect(weir.port);
    c.send(get('/slow?sleep=0.4') + get('/behind'));
    await rawRequest(weir.port, get('/')).then(({ connection }) => connection.destroy()); // so the first has been read
    weir.signal('SIGTERM');
    const response = await c.readResponse();
    assert.equal(response.body.toString(), 'GET /slow');
    assert.equal(response.headers.connection, 'close');
    assert.equal((await c.readToEnd()).length, 0);
    c.destroy();
    await weir.exited; // a second signal would end it at once
    await weir.stop();
  });

  test('what does not end within shutdown_timeout is cut', async () => {
    const weir = await startProbe(null, { top: 'shutdown_timeout: 300ms' });
    const c = await rawConnect(weir.port);
    c.send(get('/never?sleep=60'));
    await rawRequest(weir.port, get('/')).then(({ connection }) => connection.destroy());
    const half = await rawConnect(weir.port);
    await half.send('GET / HT');
    await weir.stop();
    assert.match(weir.log, /cuts \d connections? that did not end in time/);
    await c.waitEnd();
    c.destroy();
    half.destroy();
  });

  test('a second signal ends it at once', async () => {
    const weir = await startProbe(null, { top: 'shutdown_timeout: 60s' });
    const c = await rawConnect(weir.port);
    c.send(get('/never?sleep=60'));
    await rawRequest(weir.port, get('/')).then(({ connection }) => connection.destroy());
    weir.signal('SIGTERM');
    await weir.waitForLog(/stopping/);
    weir.signal('SIGTERM');
    assert.deepEqual(await weir.exited, { code: 1, signal: null });
    c.destroy();
    fs.rmSync(weir.dir, { recursive: true });
  });

  test('signals in its last moments do not make it look like a death', async () => {
    for (let i = 0; i < 5; i++) {
      const weir = await startProbe(null);
      weir.signal('SIGTERM');
      await weir.waitForLog(/stopping/);
      const timer = setInterval(() => weir.signal('SIGTERM'), 0);
      const { code, signal } = await weir.exited;
      clearInterval(timer);
      fs.rmSync(weir.dir, { recursive: true });
      assert.equal(signal, null);
      assert.ok(code === 0 || code === 1); // 1 when it was still waiting for its workers
    }
  });

  test('many sessions at once end with 1001, each', async () => {
    const weir = await startProbe(null, { workers: 2 });
    const sessions = await Promise.all(Array.from({ length: 200 }, () => connect(weir.ws('/ws'))));
    weir.signal('SIGTERM');
    for (const { code } of await Promise.all(sessions.map((session) => session.closed))) {
      assert.equal(code, 1001);
    }
    await weir.exited; // a second signal would end it at once
    await weir.stop();
  });

  test('SIGPIPE and SIGHUP of a lost terminal do not matter to it', async (t) => {
    const weir = await startProbe(t);
    weir.signal('SIGPIPE');
    const { response, connection } = await rawRequest(weir.port, get('/'));
    assert.equal(response.status, 200);
    connection.destroy();
    await waitFor(() => !weir.exit);
  });
});
