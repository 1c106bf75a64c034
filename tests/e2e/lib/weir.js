// Starts the gateway under test, waits until it serves, and proves that it stops cleanly.
//
//   const weir = await startWeir(t, ({ address, root }) => `
//   workers: 1
//   listen:
//     - address: ${address}
//   plugin_path: [${root}/plugins]
//   routes:
//     - path: /ws
//       websocket: {}
//       handler: {lua: echo}
//   `, { files: { 'plugins/mine.lua': '...' } });
//   weir.port; weir.http('/'); weir.ws('/ws'); await weir.waitForLog(/listening/); await weir.stop();
//
// The binary is $WEIR_BINARY, or build/release/weir. Its working directory is a new temporary folder,
// into which `files` are written first, so relative paths of the YAML mean that folder.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '../../..');
const binary = path.resolve(root, process.env.WEIR_BINARY || 'build/release/weir');

// What a sanitizer, a failed check of ours, or glibc prints when the program is wrong.
const BAD_LOG = /(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:|stack smashing|corrupted|double free/;
const ADDRESS_TAKEN = /address already in use|EADDRINUSE/i;

// A loopback port that nobody listened on a moment ago. A random port below the kernel's range for
// outgoing connections: there neither a client's socket nor another test's `listen(0)` can take it.
async function freePort(host = '127.0.0.1') {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 10000 + Math.floor(Math.random() * 22000);
    const free = await new Promise((resolve) => {
      const server = net.createServer();
      server.once('error', () => resolve(false));
      server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
    });
    if (free) {
      return port;
    }
  }
  throw new Error(`no free port on ${host}`);
}

// Polls `condition` (may be async) until it is truthy and returns that value. For conditions outside
// this process; prefer events where there are any.
async function waitFor(condition, { timeoutMs = 10000, what = 'a condition' } = {}) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) {
      return value;
    }
    if (Date.now() > end) {
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function canConnect(port, host) {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

class Weir {
  constructor(child, dir, host, ports) {
    this.child = child;
    this.dir = dir;
    this.host = host;
    this.ports = ports;
    this.port = ports[0];
    this.log = '';
    this.stopped = null;
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => resolve({ code: null, signal: null, error }));
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
    this.exited.then((how) => (this.exit = how));
    for (const pipe of [child.stdout, child.stderr]) {
      pipe.setEncoding('utf8');
      pipe.on('data', (text) => (this.log += text));
    }
  }

  get pid() {
    return this.child.pid;
  }

  get authority() {
    return `${this.host.includes(':') ? `[${this.host}]` : this.host}:${this.port}`;
  }

  http(target = '/') {
    return `http://${this.authority}${target}`;
  }

  ws(target = '/ws') {
    return `ws://${this.authority}${target}`;
  }

  // Resolves with the match as soon as the log has it.
  waitForLog(pattern, timeoutMs = 10000) {
    return waitFor(() => this.log.match(pattern), { timeoutMs, what: `log ${pattern}; log was:\n${this.log}` });
  }

  // The process's resident set in bytes, from /proc.
  residentBytes() {
    const status = fs.readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(status.match(/VmRSS:\s+(\d+) kB/)[1]) * 1024;
  }

  openDescriptors() {
    return fs.readdirSync(`/proc/${this.pid}/fd`).length;
  }

  signal(name) {
    this.child.kill(name);
  }

  // Asks the gateway to stop and asserts that it did so in order: exit code 0, no sanitizer report.
  // Safe to call twice. `timeoutMs` covers the drain of open sessions.
  stop({ timeoutMs = 20000, signal = 'SIGTERM' } = {}) {
    this.stopped = this.stopped || this.#stop(timeoutMs, signal);
    return this.stopped;
  }

  async #stop(timeoutMs, signal) {
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), timeoutMs);
    const how = await this.exited;
    clearTimeout(timer);
    fs.rmSync(this.dir, { recursive: true, force: true });
    assert.ok(!BAD_LOG.test(this.log), `the gateway reported a defect:\n${this.log}`);
    assert.deepEqual(how, { code: 0, signal: null }, `the gateway did not stop cleanly:\n${this.log}`);
  }
}

function writeFiles(dir, files) {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(dir, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content);
  }
}

async function launch(config, { files, args, env, host, portCount, timeoutMs, ready }) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-e2e-'));
  const ports = [];
  for (let i = 0; i < portCount; i++) {
    ports.push(await freePort(host));
  }
  const addresses = ports.map((port) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`));
  writeFiles(dir, files);
  const yaml = config({ address: addresses[0], addresses, ports, dir, root });
  fs.writeFileSync(path.join(dir, 'weir.yaml'), yaml);
  const child = spawn(binary, ['-c', 'weir.yaml', ...args], {
    cwd: dir,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const weir = new Weir(child, dir, host, ports);
  const quiet = /^log_level: *(warn|error)/m.test(yaml); // then it does not say that it listens
  const listens = async () => (quiet || weir.log.includes('listening on')) && (await canConnect(ports[0], host));
  try {
    await waitFor(() => weir.exit || (ready || listens)(weir), { timeoutMs, what: 'the gateway to listen' });
  } catch (error) {
    child.kill('SIGKILL');
    error.message += `; its log:\n${weir.log}`;
    throw error;
  }
  return weir;
}

// Starts the gateway. `config` is a function from { address, addresses, ports, dir, root } to YAML text.
// When `t` (a test context, or anything with `after(fn)`) is given, the gateway is stopped, and that stop
// checked, when the test ends. Options:
//   files     {'relative/name': content} to write beside the YAML
//   args      further command line arguments;  env: further environment variables
//   host      the loopback address, default 127.0.0.1 (::1 works);  portCount: how many ports to reserve
//   ready     (weir) => bool, for gateways that do not listen on ports[0] in plain TCP
async function startWeir(t, config, options = {}) {
  const all = { files: {}, args: [], env: {}, host: '127.0.0.1', portCount: 1, timeoutMs: 15000, ...options };
  for (let attempt = 1; ; attempt++) {
    const weir = await launch(config, all);
    if (!weir.exit) {
      if (t) {
        t.after(() => weir.stop());
      }
      return weir;
    }
    fs.rmSync(weir.dir, { recursive: true, force: true });
    if (attempt === 5 || !ADDRESS_TAKEN.test(weir.log)) {
      const { code, signal, error } = weir.exit;
      throw new Error(`${binary} ended with ${error || signal || code} instead of serving:\n${weir.log}`);
    }
  }
}

// Runs the binary to its end, e.g. runWeir(['-t', '-c', 'weir.yaml'], { files: {'weir.yaml': ...} }).
// Resolves with { code, signal, stdout, stderr }.
async function runWeir(args, { files = {}, env = {}, timeoutMs = 20000 } = {}) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-e2e-'));
  writeFiles(dir, files);
  const child = spawn(binary, args, { cwd: dir, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const how = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  clearTimeout(timer);
  fs.rmSync(dir, { recursive: true, force: true });
  assert.ok(!BAD_LOG.test(output.stderr), `the program reported a defect:\n${output.stderr}`);
  return { ...how, ...output };
}

module.exports = { startWeir, runWeir, freePort, waitFor, root, binary };
