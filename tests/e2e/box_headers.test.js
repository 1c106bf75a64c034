// The plugin headers: what the backend sees of a request and the client of an answer, before any handler.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { connect, refused } = require('./lib/client');
const { startBackend, answer } = require('./lib/backend');
const { wsBackend } = require('./lib/forward');
const { startBox, complaint, ask } = require('./lib/box');

const BOTH = `{lua: headers, config: {
  request: {add: {X-More: [a, b]}, set: {X-User: weir, X-Number: 5}, remove: [Cookie, X-Secret]},
  response: {add: {X-More: [c, d]}, set: {Cache-Control: no-store}, remove: [Server, X-Powered-By]}}}`.replace(/\n\s*/g, ' ');

function expectChanged({ rawHeaders, headers }) {
  assert.equal(headers['x-more'].split(', ').slice(-2).join(), 'c,d');
  assert.equal(headers['cache-control'], 'no-store');
  assert.equal(rawHeaders.filter((name) => /^cache-control$/i.test(name)).length, 1);
  assert.equal(headers.server, undefined);
  assert.equal(headers['x-powered-by'], undefined);
  assert.ok(headers.date);
}

test('a backend gets the changed request, and the client its changed answer', async (t) => {
  const theirs = { Server: 'them', 'X-Powered-By': 'them', 'Cache-Control': ['public', 'max-age=9'], 'X-More': 'theirs' };
  const backend = await startBackend(t, (request, socket) => answer(socket, 200, theirs, 'body'));
  const weir = await startBox(t, BOTH, { backend });
  const sent = { Cookie: 'a=1', 'X-Secret': '1', X_Secret: '2', 'x-user': 'root', X_User: 'root', 'X-More': 'mine', 'X-Kept': 'k' };
  const got = await ask(weir.http('/proxy'), { headers: sent });
  expectChanged(got);
  assert.equal(got.headers['x-more'], 'theirs, c, d');
  assert.equal(got.body, 'body');
  const [request] = backend.requests;
  assert.equal(request.header('X-More'), 'mine, a, b');
  assert.equal(request.header('X-User'), 'weir');
  assert.equal(request.header('X-Number'), '5');
  assert.equal(request.header('X-Kept'), 'k');
  for (const name of ['Cookie', 'X-Secret', 'X_Secret', 'X_User']) {
    assert.equal(request.header(name), undefined, name);
  }
});

test('static files, errors and answers of plugins are changed too, and what a proxy in front sees of them', async (t) => {
  const weir = await startBox(t, BOTH);
  const file = await ask(weir.http('/static/hello.txt'));
  assert.equal(file.status, 200);
  expectChanged(file);
  const lost = await ask(weir.http('/static/nothing.txt'));
  assert.equal(lost.status, 404);
  expectChanged(lost);
  const wrong = await ask(weir.http('/echo'));
  assert.equal(wrong.status, 426);
  expectChanged(wrong);
  const unreachable = await ask(weir.http('/proxy'));
  assert.equal(unreachable.status, 502);
  expectChanged(unreachable);
  const outer = await ask(weir.http('/outer/static/hello.txt'));
  assert.equal(outer.body, 'hello');
  expectChanged(outer);
});

test('the answer to an upgrade is changed: of a handler, a proxied session, and a tunnel', async (t) => {
  const backend = await wsBackend(t, { setHeaders: ['X-Powered-By: ws', 'X-More: theirs'] });
  const weir = await startBox(t, BOTH, { backend });
  for (const path of ['/echo', '/outer/echo', '/proxy', '/tunnel']) {
    const client = await connect(weir.ws(path), { headers: { Cookie: 'a=1' } });
    const { headers } = client.response;
    assert.equal(headers['cache-control'], 'no-store', path);
    assert.equal(headers['x-powered-by'], undefined, path);
    assert.match(headers['x-more'], /c, d$/, path);
    if (path === '/proxy' || path === '/tunnel') {
      const session = await backend.next();
      assert.equal(session.request.headers['x-user'], 'weir', path);
      assert.equal(session.request.headers.cookie, undefined, path);
      await session.send('hello');
    } else {
      await client.send('hello');
    }
    assert.equal((await client.next()).text, 'hello', path);
    client.close();
    await client.closed;
  }
});

test('a refused upgrade is changed as well', async (t) => {
  const weir = await startBox(t, BOTH);
  const { status, headers } = await refused(weir.ws('/static/hello.txt'));
  assert.equal(status, 200); // a plain request there
  assert.equal(headers['cache-control'], 'no-store');
});

test('settings that are wrong are configuration errors that name the place', async () => {
  const said = (config) => complaint(`{lua: headers, config: ${config}}`);
  assert.match(await said('{respnse: {}}'), /config.respnse is not known; there are request, response/);
  assert.match(await said('{request: {put: {}}}'), /config.request.put is not known; there are add, remove, set/);
  assert.match(await said('{request: {set: [X-A]}}'), /config.request.set must be a mapping/);
  assert.match(await said('{request: {set: {"a b": c}}}'), /config.request.set has "a b", which cannot be the name/);
  assert.match(await said('{response: {add: {X-A: {b: c}}}}'), /gives X-A neither a value nor a list/);
  assert.match(await said('{response: {set: {X-A: [1, 2]}}}'), /config.response.set gives X-A a list; add takes lists/);
  assert.match(await said('{response: {set: {X-A: "a\\nb"}}}'), /gives X-A a value with control characters/);
  assert.match(await said('{response: {set: {X-A: true}}}'), /gives X-A a boolean; put the header's value in quotes/);
  assert.match(await said('{response: {set: {X-A: 1.5}}}'), /gives X-A a number; put/);
  assert.match(await said('{response: {remove: {X-A: b}}}'), /config.response.remove must be a list/);
  for (const name of ['Content-Length', 'Connection', 'Upgrade', 'Host', 'Date', 'sec-websocket-accept', 'Transfer_Encoding']) {
    assert.match(await said(`{request: {remove: [${name}]}}`), /which is for Weir alone to write/);
  }
  assert.equal(await said('{request: {remove: [A], set: {B: c, D: 1}, add: {E: [f, g], H: i}}, response: {}}'), '');
});
