// A gateway for tests of the plugins in plugins/, with one of them on each kind of route.
//
//   const backend = await startBackend(t, (request, socket) => answer(socket, 200, {}, 'from the backend'));
//   const weir = await startBox(t, '{lua: cors, config: {origins: ["*"]}}', { backend });
//   /echo     the plugin, then echo.lua (WebSocket on)
//   /proxy    the plugin, then a proxy to the backend (WebSocket on)
//   /tunnel   the same, with `websocket: off`
//   /static   the plugin, then static files: one, hello.txt
//   /outer/   a proxy to this gateway itself, so that what is below it is behind a proxy: /outer/echo, /outer/static
//
//   const { status, headers, body } = await ask(weir.http('/static/hello.txt'), { method, headers });
'use strict';

const http = require('node:http');
const assert = require('node:assert/strict');
const { startWeir, runWeir, root } = require('./weir');

const yaml = (plugin, { address, root, backend, before = [], more = '' }) => {
  const plugins = `plugins: [${[...before, plugin].join(', ')}]`;
  return `
workers: 1
listen: [{address: "${address}"}]
plugin_path: [plugins, ${root}/plugins]
${more}
upstreams:
  backend: {servers: [{address: "${backend}"}]}
  self: {servers: [{address: "${address}"}]}
routes:
  - path: /echo
    websocket: on
    ${plugins}
    handler: {lua: echo}
  - path: /proxy
    websocket: on
    ${plugins}
    handler: {proxy: backend}
  - path: /tunnel
    ${plugins}
    handler: {proxy: backend}
  - path: /static
    ${plugins}
    handler: {static: files}
  - path: /outer/
    websocket: on
    handler: {proxy: self, strip_prefix: /outer}
`;
};

function startBox(t, plugin, { backend = { port: 9 }, before, more, files = {}, env = {} } = {}) {
  const all = { 'files/static/hello.txt': 'hello', 'files/hello.txt': 'hello', 'plugins/none.lua': 'return {}', ...files };
  return startWeir(t, ({ address, root }) => yaml(plugin, { address, root, backend: `127.0.0.1:${backend.port}`, before, more }), {
    files: all,
    env,
  });
}

// What `weir -t` says to the plugin's settings; '' when they are good.
async function complaint(plugin, { files = {} } = {}) {
  const text = yaml(plugin, { address: '127.0.0.1:5000', root, backend: '127.0.0.1:9' });
  const all = { 'weir.yaml': text, 'files/hello.txt': '', 'plugins/none.lua': 'return {}', ...files };
  const result = await runWeir(['-t', '-c', 'weir.yaml'], { files: all });
  assert.ok(result.code === 0 || result.code === 2, `weir -t ended with ${result.code}`);
  return result.code === 0 ? '' : result.stderr;
}

function ask(url, { method = 'GET', headers = {}, body = '' } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => {
        const { statusCode: status, headers: fields, rawHeaders } = response;
        resolve({ status, headers: fields, rawHeaders, body: Buffer.concat(parts).toString() });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

module.exports = { startBox, complaint, ask };
