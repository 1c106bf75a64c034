// The chat servers of tests/backends/chat in processes of their own, which can be killed and come back.
//
//   const [a, b] = await startServers(t, ['a', 'b'], { REDIS_URL: redis.url });
//   a.address; await a.kill(); await a.start();      // it comes back on the same port
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');
const { freePort, root } = require('./weir');

const script = path.join(root, 'tests/backends/chat/server.js');
const modules = path.join(root, 'tests/e2e/node_modules'); // the same versions as the server's own; see socketio.test.js

class ChatServer {
  constructor(name, env) {
    this.name = name;
    this.env = env;
    this.host = env.HOST || '127.0.0.1';
    this.port = Number(env.PORT || 0);
    this.child = null;
    this.errors = '';
  }

  get address() {
    return `${this.host}:${this.port}`;
  }

  // Resolves when it listens: at first on a port that it keeps from then on.
  async start() {
    this.port = this.port || (await freePort());
    const own = { NODE_PATH: modules, HOST: this.host, PORT: this.port, SERVER_NAME: this.name };
    const env = { ...process.env, ...this.env, ...own };
    const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    this.exited = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
    child.stderr.setEncoding('utf8').on('data', (text) => (this.errors += text));
    await new Promise((resolve, reject) => {
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text) => {
        said += text;
        if (said.includes('listens on port')) {
          resolve();
        }
      });
      this.exited.then((how) => reject(new Error(`${this.name} ended with ${JSON.stringify(how)}:\n${this.errors}`)));
    });
  }

  // Ends it at once and unannounced, as a crash does.
  async kill(signal = 'SIGKILL') {
    this.child.kill(signal);
    await this.exited;
  }
}

// Starts one server for each name; they end when `t` ends.
async function startServers(t, names, env = {}) {
  const servers = names.map((name) => new ChatServer(name, env));
  t.after(() => Promise.all(servers.map((server) => server.kill())));
  await Promise.all(servers.map((server) => server.start()));
  return servers;
}

module.exports = { startServers };
