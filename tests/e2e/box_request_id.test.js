// The plugin request_id: the same id reaches the backend, the plugins behind, and the client.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { connect } = require('./lib/client');
const { startBackend, answer } = require('./lib/backend');
const { wsBackend } = require('./lib/forward');
const { startBox, complaint, ask } = require('./lib/box');

const ID = /^[0-9a-f]{32}$/;

test('an id of its own goes to the backend and to the client, another for each request', async (t) => {
  const backend = await startBackend(t, (request, socket) => answer(socket, 200, { 'X-Request-ID': 'theirs' }, 'ok'));
  const weir = await startBox(t, 'request_id', { backend });
  const first = await ask(weir.http('/proxy'), { headers: { 'X-Request-ID': 'mine', X_Request_ID: 'disguised' } });
  const second = await ask(weir.http('/proxy'));
  assert.match(first.headers['x-request-id'], ID);
  assert.match(second.headers['x-request-id'], ID);
  assert.notEqual(first.headers['x-request-id'], second.headers['x-request-id']);
  assert.equal(backend.requests[0].header('X-Request-ID'), first.headers['x-request-id']);
  assert.equal(backend.requests[0].header('X_Request_ID'), undefined);
  assert.equal(backend.requests[1].header('X-Request-ID'), second.headers['x-request-id']);
});

test('with accept, an id of the client is kept where it is fit for logs', async (t) => {
  const weir = await startBox(t, '{lua: request_id, config: {accept: true, header: X-Trace}}');
  const answered = async (id) => (await ask(weir.http('/static/hello.txt'), { headers: { 'X-Trace': id } })).headers['x-trace'];
  assert.equal(await answered('abc-123.DEF/4=:@+~_'), 'abc-123.DEF/4=:@+~_');
  assert.equal(await answered('x'.repeat(128)), 'x'.repeat(128));
  for (const bad of ['x'.repeat(129), 'a b', 'a"b', 'a,b', '']) {
    assert.match(await answered(bad), ID);
  }
});

test('plugins behind see it, 101 answers and errors carry it', async (t) => {
  const weir = await startBox(t, 'request_id', { before: [] });
  const client = await connect(weir.ws('/echo'));
  assert.match(client.response.headers['x-request-id'], ID);
  client.close();
  const outer = await connect(weir.ws('/outer/echo')); // passed on by a proxy in front
  assert.match(outer.response.headers['x-request-id'], ID);
  outer.close();
  const lost = await ask(weir.http('/static/nothing'));
  assert.equal(lost.status, 404);
  assert.match(lost.headers['x-request-id'], ID);
  const bad = await ask(weir.http('/proxy')); // nobody listens there
  assert.equal(bad.status, 502);
  assert.match(bad.headers['x-request-id'], ID);
});

test('a WebSocket backend gets the id of the session that the client sees', async (t) => {
  const backend = await wsBackend(t);
  const weir = await startBox(t, 'request_id', { backend });
  for (const path of ['/proxy', '/tunnel']) {
    const client = await connect(weir.ws(path));
    const session = await backend.next();
    assert.match(client.response.headers['x-request-id'], ID);
    assert.equal(session.request.headers['x-request-id'], client.response.headers['x-request-id']);
    client.close();
    await client.closed;
  }
});

test('without answer the client is told nothing, and a later plugin still sees it', async (t) => {
  const see = `return {on_request = function(req) return req:reply(200, {}, req.headers["X-Request-ID"]) end}`;
  const weir = await startBox(t, '{lua: request_id, config: {answer: false}}, see', { files: { 'plugins/see.lua': see } });
  const { headers, body } = await ask(weir.http('/static/hello.txt'));
  assert.equal(headers['x-request-id'], undefined);
  assert.match(body, ID);
});

test('settings that are wrong are configuration errors', async () => {
  assert.match(await complaint('{lua: request_id, config: {headre: X}}'), /config.headre is not known; there are accept, answer, header/);
  assert.match(await complaint('{lua: request_id, config: {accept: 1}}'), /config.accept must be true or false, not 1/);
  assert.match(await complaint('{lua: request_id, config: {header: "a b"}}'), /config.header must be a header's name, not "a b"/);
  for (const name of ['Host', 'content_length', 'Sec-WebSocket-Key']) {
    assert.match(await complaint(`{lua: request_id, config: {header: ${name}}}`), /which is for Weir alone to write/);
  }
  assert.equal(await complaint('{lua: request_id, config: {header: X-Id, accept: true, answer: false}}'), '');
});
