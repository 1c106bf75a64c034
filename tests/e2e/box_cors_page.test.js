// The plugin cors as a real Chromium sees it: a page that is listed may do what the settings say, and another may not.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const http = require('node:http');
const { startBackend, answer } = require('./lib/backend');
const { startBrowser, browserPath } = require('./lib/browser');
const { startBox } = require('./lib/box');

const needsBrowser = { skip: !browserPath() && !process.env.WEIR_NEED_BROWSER && 'no Chromium on this machine' };

// The URL of an empty page with an origin of its own.
async function somePage(t) {
  const server = http.createServer((request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end('<!doctype html><title>page</title>');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

// In the page: what of a request's answer it may read, or 'refused'.
async function attempt({ url, options }) {
  try {
    const response = await fetch(url, options);
    const names = ['X-Shown', 'X-Hidden'];
    return { status: response.status, body: await response.text(), headers: names.map((name) => response.headers.get(name)) };
  } catch (error) {
    return error instanceof TypeError ? 'refused' : String(error);
  }
}

test('a browser lets a listed page do what the settings say, and no other page', needsBrowser, async (t) => {
  const [listed, other] = [await somePage(t), await somePage(t)];
  const backend = await startBackend(t, (request, socket) => answer(socket, 200, { 'X-Shown': '1', 'X-Hidden': '2' }, 'for you'));
  const settings = { origins: [listed], methods: ['GET', 'PUT'], headers: ['X-Ours'], expose: ['X-Shown'], credentials: true };
  const weir = await startBox(t, `{lua: cors, config: ${JSON.stringify(settings)}}`, { backend });
  const browser = await startBrowser(t);
  const from = async (origin) => {
    const page = await browser.newPage(`${origin}/`);
    return (options, path = '/proxy') => page.evaluate(attempt, { url: weir.http(path), options });
  };
  const good = await from(listed);
  const bad = await from(other);
  const read = { status: 200, body: 'for you', headers: ['1', null] };

  assert.deepEqual(await good({}), read);
  assert.deepEqual(await good({ method: 'PUT', headers: { 'X-Ours': 'a' }, body: 'b' }), read);
  assert.deepEqual(await good({ credentials: 'include' }), read);
  assert.deepEqual(await good({}, '/static/nothing').then(({ status }) => status), 404); // errors can be read
  const seen = backend.requests.map(({ method }) => method);
  assert.deepEqual(seen, ['GET', 'PUT', 'GET']); // no preflight among them

  assert.equal(await good({ method: 'DELETE' }), 'refused');
  assert.equal(await good({ headers: { 'X-Other': 'a' } }), 'refused');
  assert.equal(await bad({ method: 'PUT' }), 'refused');
  assert.equal(backend.requests.length, 3); // those ended at the preflight
  assert.equal(await bad({}), 'refused'); // done, but the page may not read it
  assert.equal(backend.requests.length, 4);
});
