// What README.md tells a newcomer to do, done: its code blocks are taken out of it and run.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync, spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const https = require('node:https');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { startWeir, runWeir, freePort, waitFor, root } = require('./lib/weir');
const { connect } = require('./lib/client');

const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');

// The fenced blocks of one language below a heading, in order; `before` is the text above each.
function blocks(heading, language) {
  const start = readme.indexOf(`\n## ${heading}\n`);
  assert.ok(start >= 0, `README.md has no heading ${heading}`);
  const end = readme.indexOf('\n## ', start + 1);
  const section = readme.slice(start, end < 0 ? undefined : end);
  const found = [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter((match) => match[1] === language);
  return found.map((match) => ({ text: match[2], before: section.slice(0, match.index) }));
}

function onlyBlock(heading, language) {
  const found = blocks(heading, language);
  assert.equal(found.length, 1, `${found.length} ${language} blocks below ${heading}`);
  return found[0];
}

// The file's name that stands last in the text above a block.
function fileOf(block) {
  return [...block.before.matchAll(/`([\w./-]+\.\w+)`/g)].at(-1)[1];
}

function replaceOnce(text, what, by) {
  assert.equal(text.split(what).length, 2, `${what} is not once in:\n${text}`);
  return text.replace(what, by);
}

function firstHandler() {
  const lua = onlyBlock('Your first handler', 'lua');
  const yaml = onlyBlock('Your first handler', 'yaml');
  return { lua, yaml, files: { [fileOf(lua)]: lua.text, 'www/index.html': 'a page' } };
}

test('the first handler answers as the README says', async (t) => {
  const { yaml, files } = firstHandler();
  const weir = await startWeir(t, ({ address }) => replaceOnce(yaml.text, '127.0.0.1:5000', address), { files });
  const [, url] = readme.match(/`ws:\/\/localhost:5000(\/\w+)`/);
  const client = await connect(weir.ws(url));
  const lines = onlyBlock('Your first handler', 'text').text.trim().split('\n');
  assert.ok(lines.length >= 3);
  for (const line of lines) {
    const what = line.slice(2);
    if (line.startsWith('> ')) {
      await client.send(what);
    } else {
      assert.equal(line.slice(0, 2), '< ');
      assert.equal((await client.next()).text, what);
    }
  }
  await client.close(4321);
  await weir.waitForLog(/plugin greet: session\t\d+\tclosed with code\t4321\n/);
  const page = await fetch(weir.http('/'));
  assert.equal(await page.text(), 'a page');
});

test('the first configuration passes its check, and the check of a wrong one names the line', async () => {
  const { lua, yaml, files } = firstHandler();
  const good = await runWeir(['-t', '-c', 'greet.yaml'], { files: { ...files, 'greet.yaml': yaml.text } });
  assert.equal(good.code, 0, good.stderr);
  const misspelt = replaceOnce(yaml.text, 'websocket: on', 'websockets: on');
  const line = misspelt.split('\n').findIndex((text) => text.includes('websockets')) + 1;
  const bad = await runWeir(['-t', '-c', 'greet.yaml'], { files: { ...files, 'greet.yaml': misspelt } });
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, new RegExp(`greet\\.yaml:${line}:.*did you mean \`websocket\``));
  const broken = { ...files, [fileOf(lua)]: `${lua.text}end\n`, 'greet.yaml': yaml.text };
  const noLua = await runWeir(['-t', '-c', 'greet.yaml'], { files: broken });
  assert.equal(noLua.code, 2);
  assert.match(noLua.stderr, /greet\.lua:\d+:/);
});

test('a handler that fails closes its session with 1011 and leaves the others', async (t) => {
  const { yaml, files } = firstHandler();
  const name = Object.keys(files)[0];
  files[name] = replaceOnce(files[name], 'if kind == "text" then', 'if data == "oops" then error("oops") end\n    if kind == "text" then');
  const weir = await startWeir(t, ({ address }) => replaceOnce(yaml.text, '127.0.0.1:5000', address), { files });
  const [one, other] = [await connect(weir.ws('/greet')), await connect(weir.ws('/greet'))];
  await one.next();
  await other.next();
  await one.send('oops');
  assert.equal((await one.closed).code, 1011);
  await weir.waitForLog(/stack traceback/);
  await other.send('Ada');
  assert.equal((await other.next()).text, 'Hello, Ada!');
  await other.close();
});

// A command of the README on another port, from the repository's root, as its reader would run it.
async function startPython(t, command, port) {
  const [program, ...args] = replaceOnce(command, ' 8000 ', ` ${port} `).split(' ');
  const child = spawn(program, args, { cwd: root, stdio: 'ignore' });
  const gone = new Promise((resolve) => child.once('close', resolve));
  const stop = () => {
    child.kill('SIGKILL');
    return gone;
  };
  t.after(stop);
  await waitFor(async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => null))?.ok, { what: 'Python' });
  return stop;
}

// The commands for the backends, the configuration, and a gateway in front of backends on other ports.
async function firstBackend(t) {
  const [backends, gateway] = blocks('Your first backend', 'sh').map((block) => block.text.trim().split('\n'));
  const yaml = onlyBlock('Your first backend', 'yaml');
  assert.deepEqual(gateway, [`scripts/run.sh -c ${fileOf(yaml)}`]);
  assert.deepEqual(backends.slice(1), ['scripts/run.sh']);
  const shipped = fs.readFileSync(path.join(root, 'conf/weir.yaml'), 'utf8');
  const echo = await startWeir(t, ({ address }) =>
    replaceOnce(shipped, '0.0.0.0:5000', address)
      .replace('static: www', `static: ${root}/www`)
      .replace('plugin_path: [plugins]', `plugin_path: [${root}/plugins]`));
  const port = await freePort();
  const weir = await startWeir(t, ({ address }) =>
    replaceOnce(replaceOnce(replaceOnce(yaml.text, '127.0.0.1:5080', address), '127.0.0.1:8000', `127.0.0.1:${port}`),
      '127.0.0.1:5000', `127.0.0.1:${echo.port}`));
  return { weir, echo, port, python: backends[0] };
}

test('the first backend is reached by plain HTTP, and 502 tells when it is not there', async (t) => {
  if (spawnSync('python3', ['--version']).status !== 0) {
    t.skip('there is no python3');
    return;
  }
  const { weir, port, python } = await firstBackend(t);
  assert.equal((await fetch(weir.http('/'))).status, 502);
  const stop = await startPython(t, python, port);
  const page = await fetch(weir.http('/'));
  assert.match(page.headers.get('server'), /Python/);
  assert.equal(await page.text(), fs.readFileSync(path.join(root, 'www/index.html'), 'utf8'));
  await stop();
  assert.equal((await fetch(weir.http('/'))).status, 502);
  await startPython(t, python, port);
  assert.equal((await fetch(weir.http('/'))).status, 200);
});

test('the first backend echoes through the proxy and through the tunnel that the README names', async (t) => {
  const { weir } = await firstBackend(t);
  const urls = [...readme.matchAll(/`ws:\/\/localhost:5080(\/[\w/]+)`/g)].map((match) => match[1]);
  assert.equal(urls.length, 2);
  for (const url of urls) {
    const client = await connect(weir.ws(url));
    await client.send(`by ${url}`);
    assert.equal((await client.next()).text, `by ${url}`);
    await client.close();
  }
});

test('a certificate of dev-cert.sh and conf/tls.yaml serve the page and the echo over TLS', async (t) => {
  assert.match(onlyBlock('TLS', 'sh').text, /^scripts\/dev-cert\.sh\nscripts\/run\.sh -c conf\/tls\.yaml\n$/);
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-cert-'));
  t.after(() => fs.rmSync(made, { recursive: true, force: true }));
  execFileSync('bash', [path.join(root, 'scripts/dev-cert.sh'), '-o', made]);
  const ca = fs.readFileSync(path.join(made, 'cert.pem'));
  const shipped = fs.readFileSync(path.join(root, 'conf/tls.yaml'), 'utf8');
  const config = ({ addresses }) =>
    replaceOnce(replaceOnce(shipped, '0.0.0.0:5000', addresses[0]), '0.0.0.0:5443', addresses[1])
      .replace('static: www', `static: ${root}/www`)
      .concat(`\nplugin_path: [${root}/plugins]\n`);
  const env = { WEIR_CERTIFICATE: path.join(made, 'cert.pem'), WEIR_PRIVATE_KEY: path.join(made, 'key.pem') };
  const weir = await startWeir(t, config, { portCount: 2, env });
  const status = await new Promise((resolve, reject) => {
    const request = https.get(`https://localhost:${weir.ports[1]}/`, { ca, family: 4, agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    });
    request.once('error', reject);
  });
  assert.equal(status, 200);
  const client = await connect(`wss://localhost:${weir.ports[1]}/ws`, { ca, family: 4, rejectUnauthorized: true });
  await client.send('over TLS');
  assert.equal((await client.next()).text, 'over TLS');
  await client.close();
});

test('every command of the README names a script and a configuration that exist', () => {
  const created = new Set(Object.keys(firstHandler().files).concat(fileOf(firstHandler().yaml)));
  created.add(fileOf(onlyBlock('Your first backend', 'yaml')));
  const commands = [...readme.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap((match) => match[1].trim().split('\n'));
  assert.ok(commands.length >= 5);
  for (const command of commands) {
    const [program, ...args] = command.split(' ');
    if (program.startsWith('scripts/')) {
      fs.accessSync(path.join(root, program), fs.constants.X_OK);
    } else {
      assert.match(command, /^(docker compose up( --scale chat=3)?|python3 -m http\.server .*)$/);
    }
    for (const file of args.filter((arg) => arg.includes('/') && !created.has(arg))) {
      assert.ok(fs.existsSync(path.join(root, file)), `${command}: ${file} does not exist`);
    }
  }
});
