// The plugin cors: preflights, the headers of other answers, which origins, and settings that would be unsafe.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { connect } = require('./lib/client');
const { startBackend, answer } = require('./lib/backend');
const { startBox, complaint, ask } = require('./lib/box');

const ORIGIN = 'https://app.example.com';
const FULL = `{lua: cors, config: {origins: ["${ORIGIN}", "https://*.example.org"], methods: [GET, PUT], headers: [X-A, Content-Type],
  expose: [X-B, X-C], credentials: true, max_age: 600}}`.replace(/\n\s*/g, ' ');

const preflight = (origin, method = 'PUT') => ({
  method: 'OPTIONS',
  headers: { Origin: origin, 'Access-Control-Request-Method': method, 'Access-Control-Request-Headers': 'x-a' },
});

test('a preflight is answered by the plugin, and the backend does not hear of it', async (t) => {
  const backend = await startBackend(t, (request, socket) => answer(socket, 200, {}, 'never'));
  const weir = await startBox(t, FULL, { backend });
  for (const path of ['/proxy', '/static/hello.txt', '/outer/static/hello.txt']) {
    const { status, headers, body } = await ask(weir.http(path), preflight(ORIGIN));
    assert.equal(status, 204);
    assert.equal(body, '');
    assert.equal(headers['access-control-allow-origin'], ORIGIN);
    assert.equal(headers['access-control-allow-credentials'], 'true');
    assert.equal(headers['access-control-allow-methods'], 'GET, PUT');
    assert.equal(headers['access-control-allow-headers'], 'X-A, Content-Type');
    assert.equal(headers['access-control-max-age'], '600');
    assert.equal(headers['access-control-expose-headers'], undefined);
    assert.match(headers.vary, /Origin/);
  }
  assert.equal(backend.requests.length, 0);
});

test('a preflight from elsewhere gets 403 and no permission', async (t) => {
  const weir = await startBox(t, FULL);
  for (const origin of ['https://evil.example', 'http://app.example.com', 'https://example.org', 'https://evilexample.org', 'null', 'https://a.example.org.evil.example']) {
    const { status, headers } = await ask(weir.http('/static/hello.txt'), preflight(origin));
    assert.equal(status, 403, origin);
    assert.equal(headers['access-control-allow-origin'], undefined, origin);
    assert.match(headers.vary, /Origin/);
  }
  assert.equal((await ask(weir.http('/static/hello.txt'), preflight('https://a.b.example.org'))).status, 204);
});

test('other answers say who may read them, in the place of what the backend says', async (t) => {
  const theirs = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'true', 'Access-Control-Expose-Headers': 'X-Z', Vary: 'Accept' };
  const backend = await startBackend(t, (request, socket) => answer(socket, 200, theirs, 'body'));
  const weir = await startBox(t, FULL, { backend });
  const good = await ask(weir.http('/proxy'), { headers: { Origin: ORIGIN } });
  assert.equal(good.body, 'body');
  assert.equal(good.headers['access-control-allow-origin'], ORIGIN);
  assert.equal(good.headers['access-control-allow-credentials'], 'true');
  assert.equal(good.headers['access-control-expose-headers'], 'X-B, X-C');
  assert.equal(good.headers.vary, 'Accept, Origin');
  for (const headers of [{ Origin: 'https://evil.example' }, {}]) {
    const bad = await ask(weir.http('/proxy'), { headers });
    assert.equal(bad.status, 200); // the browser does not let the page read it
    assert.equal(bad.headers['access-control-allow-origin'], undefined);
    assert.equal(bad.headers['access-control-allow-credentials'], undefined);
    assert.equal(bad.headers['access-control-expose-headers'], undefined);
    assert.equal(bad.headers.vary, 'Accept, Origin');
  }
  const lost = await ask(weir.http('/static/nothing'), { headers: { Origin: ORIGIN } });
  assert.equal(lost.status, 404); // a page may read why
  assert.equal(lost.headers['access-control-allow-origin'], ORIGIN);
});

test('an OPTIONS request that is no preflight goes on', async (t) => {
  const backend = await startBackend(t, (request, socket) => answer(socket, 200, { Allow: 'GET' }, ''));
  const weir = await startBox(t, FULL, { backend });
  assert.equal((await ask(weir.http('/proxy'), { method: 'OPTIONS', headers: { Origin: ORIGIN } })).headers.allow, 'GET');
  const noOrigin = { 'Access-Control-Request-Method': 'PUT' };
  assert.equal((await ask(weir.http('/proxy'), { method: 'OPTIONS', headers: noOrigin })).headers.allow, 'GET');
});

test('with * every page may read, without Vary and without credentials', async (t) => {
  const weir = await startBox(t, '{lua: cors, config: {origins: ["*"], headers: ["*"]}}');
  const { headers } = await ask(weir.http('/static/hello.txt'), { headers: { Origin: 'https://any.example' } });
  assert.equal(headers['access-control-allow-origin'], '*');
  assert.doesNotMatch(headers.vary || '', /Origin/);
  const asked = await ask(weir.http('/static/hello.txt'), preflight('https://any.example'));
  assert.equal(asked.headers['access-control-allow-methods'], 'GET, HEAD, POST');
  assert.equal(asked.headers['access-control-allow-headers'], '*');
  assert.equal(asked.headers['access-control-allow-credentials'], undefined);
  assert.equal(asked.headers['access-control-max-age'], undefined);
});

test('sessions pass: CORS does not bind them', async (t) => {
  const weir = await startBox(t, FULL);
  const client = await connect(weir.ws('/echo'), { origin: 'https://evil.example' });
  assert.equal(client.response.headers['access-control-allow-origin'], undefined);
  await client.send('hello');
  assert.equal((await client.next()).text, 'hello');
  client.close();
});

test('settings that are wrong or unsafe are configuration errors', async () => {
  const said = (config) => complaint(`{lua: cors, config: ${config}}`);
  assert.match(await complaint('cors'), /config.origins is missing/);
  assert.match(await said('{origins: []}'), /must name the pages that are let in/);
  assert.match(await said('{origin: []}'), /config.origin is not known/);
  assert.match(await said('{origins: "*"}'), /config.origins must be a list of strings, not "*"/);
  assert.match(await said('{origins: ["*"], credentials: true}'), /would let every page act for its visitor/);
  assert.match(await said('{origins: ["*", "https://a.example"]}'), /beside others/);
  for (const origin of ['example.com', 'https://example.com/', 'https://a.*.com', 'https://*', '*.example.com', 'https://**.a']) {
    assert.match(await said(`{origins: ["${origin}"]}`), /must be as https:\/\/example.com/, origin);
  }
  assert.match(await said('{origins: [null]}'), /config.origins\[0\] must be a string/);
  assert.match(await said('{origins: ["https://a.example"], methods: ["GET, POST"]}'), /config.methods\[0\] must be a method, not "GET, POST"/);
  assert.match(await said('{origins: ["https://a.example"], max_age: 1.5}'), /config.max_age must be a whole number of seconds from 0 to 86400/);
  assert.match(await said('{origins: ["https://a.example"], headers: ["*"], credentials: true}'), /cannot have \*/);
  assert.equal(await said('{origins: ["https://a.example:8443", "https://*.a.example", "null"]}'), '');
});
