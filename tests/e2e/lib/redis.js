// A real redis-server for one test: on a port of its own, without persistence, in a new folder.
//
//   const redis = await startRedis(t);   // null where there is no redis-server: skip the test
//   redis.url                            // redis://127.0.0.1:PORT
'use strict';

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { freePort } = require('./weir');

const ATTEMPTS = 5; // another process may take a port between its choice and its use

function isInstalled() {
  return spawnSync('redis-server', ['--version']).status === 0;
}

// Resolves with whether the server says that it is ready.
function isReady(child) {
  return new Promise((resolve) => {
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += text;
      if (/ready to accept connections/i.test(said)) {
        resolve(true);
      }
    });
    child.once('exit', () => resolve(false));
  });
}

// Starts the server, which ends, and its folder with it, when `t` ends.
async function startRedis(t) {
  if (!isInstalled()) {
    return null;
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = await freePort();
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-redis-'));
    const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir];
    const child = spawn('redis-server', args.map(String), { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    const ready = await isReady(child);
    if (ready) {
      t.after(async () => {
        child.kill('SIGTERM');
        await exited;
        fs.rmSync(dir, { recursive: true, force: true });
      });
      return { port, url: `redis://127.0.0.1:${port}`, pid: child.pid };
    }
    fs.rmSync(dir, { recursive: true, force: true });
  }
  throw new Error('redis-server does not start');
}

module.exports = { startRedis };
