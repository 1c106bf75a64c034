// The same requests to the same backend through nginx and through Weir: the backend must get the same, and the client
// must get the same. Where Weir differs on purpose, the row says in which field and how, and docs/http-proxy.md why.
'use strict';

const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const zlib = require('node:zlib');
const { test, before, after, describe } = require('node:test');
const { startBackend, answer } = require('./lib/backend');
const { startNginx, nginxPath } = require('./lib/nginx');
const { rawConnect, rawRequest } = require('./lib/raw');
const { wholeFile } = require('./lib/probe');
const { startWeir, waitFor } = require('./lib/weir');

const MIB = 1024 * 1024;
const LARGE = Buffer.alloc(3 * MIB, 'a large body, longer than any buffer ');

const whole = wholeFile(after);
let backend;
let gates; // [name, port], the first is the one to compare with

before(async () => {
  if (!nginxPath()) {
    return;
  }
  backend = await startBackend(whole, null);
  const nginx = await startNginx(whole, backend.address);
  const weir = await startWeir(
    whole,
    ({ address }) => `
workers: 1
log_level: warn
listen: [{address: "${address}"}]
http: {trusted_proxies: [127.0.0.0/8]}
upstreams:
  backend: {servers: ["${backend.address}"], ejection: off}
routes:
  - path: /
    max_body_size: 1GiB
    handler: {proxy: backend, forwarded: x-forwarded}
`,
  );
  gates = [
    ['nginx', nginx.port],
    ['weir', weir.port],
  ];
});

// --- what was seen, as a flat object of fields ---

// Beside the framing of the one hop, nginx says on each connection that it keeps it.
const OF_THE_HOP = new Set(['connection', 'keep-alive']);

function headerFields(prefix, pairs) {
  const fields = {};
  for (const [name, value] of pairs) {
    const key = `${prefix}.${name.toLowerCase()}`;
    if (!OF_THE_HOP.has(name.toLowerCase())) {
      fields[key] = [...(fields[key] || []), `${name}: ${value}`];
    }
  }
  return fields;
}

const digest = (bytes) => (bytes.length < 100 ? bytes.toString('latin1') : `${bytes.length} bytes, ${createHash('sha256').update(bytes).digest('hex')}`);

// How much of a body is there when the answer came before it is chance.
function requestFields(request, i, row) {
  const at = `request ${i + 1}`;
  return {
    [`${at}.line`]: `${request.method} ${request.target} ${request.version}`,
    ...headerFields(at, request.headers),
    ...(row.isEarly ? {} : { [`${at}.body`]: `${request.size} bytes, ${request.hash}`, [`${at}.trailers`]: request.trailers }),
  };
}

const fieldOf = (line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()];

async function readHead(c) {
  const [line, ...lines] = (await c.readUntil('\r\n\r\n')).toString('latin1').slice(0, -4).split('\r\n');
  return { line, status: Number(line.split(' ')[1]), headers: lines.map(fieldOf) };
}

async function readChunks(c) {
  const parts = [];
  const trailers = [];
  for (;;) {
    const size = parseInt((await c.readUntil('\r\n')).toString('latin1'), 16);
    if (size === 0) {
      break;
    }
    parts.push(await c.readBytes(size));
    await c.readUntil('\r\n');
  }
  for (let line = await c.readUntil('\r\n'); line.length > 2; line = await c.readUntil('\r\n')) {
    trailers.push(line.toString('latin1').trim());
  }
  return { body: Buffer.concat(parts), trailers };
}

function readBody(c, head, method) {
  const header = (name) => (head.headers.find(([other]) => other.toLowerCase() === name) || [])[1];
  if (method === 'HEAD' || head.status === 204 || head.status === 304) {
    return { body: Buffer.alloc(0) };
  }
  if (header('transfer-encoding') === 'chunked') {
    return readChunks(c);
  }
  const length = header('content-length');
  return (length === undefined ? c.readToEnd() : c.readBytes(Number(length))).then((body) => ({ body }));
}

async function answerFields(c, method, i) {
  const at = `answer ${i + 1}`;
  const fields = {};
  let head = await readHead(c);
  for (; head.status < 200; head = await readHead(c)) {
    Object.assign(fields, { [`${at}.interim`]: [...(fields[`${at}.interim`] || []), head.line] }, headerFields(`${at}.interim`, head.headers));
  }
  const { body, trailers = [] } = await readBody(c, head, method);
  return { ...fields, [`${at}.status`]: head.line, ...headerFields(at, head.headers), [`${at}.body`]: digest(body), [`${at}.trailers`]: trailers };
}

// --- one row through one gateway ---

const OK = async (request, socket) => {
  const { size } = await request.read();
  answer(socket, 200, { 'Content-Type': 'text/plain', 'X-Size': size }, `this is ${request.method}`);
};

async function pass(row, port) {
  backend.requests = [];
  backend.answer = row.answer || OK;
  const c = await rawConnect(port);
  if (row.say) {
    await row.say(c); // to the end, since it may read
  } else {
    c.send(row.send); // an answer may come before the end
  }
  const fields = {};
  for (const [i, method] of (row.methods || ['GET']).entries()) {
    Object.assign(fields, await answerFields(c, method, i));
  }
  c.destroy();
  backend.requests.forEach((request, i) => Object.assign(fields, requestFields(request, i, row)));
  return { ...fields, requests: backend.requests.length };
}

// Differences that are in every row where they can be: they are taken out of what is compared, once they are what
// docs/http-proxy.md says.
function leaveOutKnown(found) {
  for (const name of Object.keys(found)) {
    const [nginx, weir] = found[name];
    const at = name.split('.')[0];
    if (/^answer \d+\.date$/.test(name) && nginx === 'none' && !Number.isNaN(Date.parse(weir.slice('Date: '.length)))) {
      delete found[name]; // the backend sent none, so Weir adds its own
    }
    if (name === `${at}.transfer-encoding` && weir === 'Transfer-Encoding: chunked' && nginx === 'none' && found[`${at}.content-length`]) {
      delete found[name]; // a short chunked body has a length behind nginx, which has collected it
      delete found[`${at}.content-length`];
    }
  }
  return found;
}

// Which fields are not the same, as { field: [nginx, weir] }. The two listen on different ports.
function differences([one, other]) {
  const words = (value) => (value === undefined ? 'none' : [].concat(value).join(' | '));
  const found = {};
  for (const name of new Set([...Object.keys(one), ...Object.keys(other)])) {
    const values = [words(one[name]), words(other[name])];
    if (values[0] !== values[1]) {
      found[name] = values;
    }
  }
  return leaveOutKnown(found);
}

function told(found) {
  return Object.entries(found).map(([name, [nginx, weir]]) => `${name}\n  nginx: ${nginx}\n  weir:  ${weir}`).join('\n');
}

// --- the parts of rows ---

const lines = (headers) => headers.map((line) => `${line}\r\n`).join('');
const ask = (method, target, ...headers) => `${method} ${target} HTTP/1.1\r\nHost: a.example\r\n${lines(headers)}\r\n`;
const counted = (method, body, ...headers) => Buffer.concat([Buffer.from(ask(method, '/', `Content-Length: ${body.length}`, ...headers)), Buffer.from(body)]);
const chunk = (data) => Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), Buffer.from(data), Buffer.from('\r\n')]);
const chunked = (method, pieces, trailers = [], ...headers) =>
  Buffer.concat([Buffer.from(ask(method, '/', 'Transfer-Encoding: chunked', ...headers)), ...pieces.map(chunk), Buffer.from(`0\r\n${lines(trailers)}\r\n`)]);

// Answers with exactly these bytes, and closes where they say so.
const raw = (bytes, { end = false } = {}) => async (request, socket) => {
  await request.read();
  socket.write(bytes);
  if (end) {
    socket.end();
  }
};
const just = (status, headers, body) => async (request, socket) => {
  await request.read();
  answer(socket, status, headers, body);
};
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n';

const ROWS = [
  // methods
  { name: 'GET', send: ask('GET', '/') },
  { name: 'HEAD with a length', send: ask('HEAD', '/'), methods: ['HEAD'], answer: raw('HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n') },
  { name: 'HEAD of a chunked resource', send: ask('HEAD', '/'), methods: ['HEAD'], answer: raw(`${CHUNKED}\r\n`) },
  { name: 'HEAD without any length', send: ask('HEAD', '/'), methods: ['HEAD'], answer: raw('HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n') },
  { name: 'POST', send: counted('POST', 'hello') },
  { name: 'PUT', send: counted('PUT', 'hello', 'Content-Type: text/plain') },
  { name: 'PATCH', send: counted('PATCH', '{"a":1}', 'Content-Type: application/merge-patch+json') },
  { name: 'DELETE', send: ask('DELETE', '/thing') },
  { name: 'DELETE with a body', send: counted('DELETE', 'which') },
  { name: 'OPTIONS of a resource', send: ask('OPTIONS', '/thing'), answer: just(204, { Allow: 'GET, HEAD' }) },
  { name: 'a method of WebDAV', send: ask('PROPFIND', '/', 'Depth: 1') },
  { name: 'a method that nobody knows', send: ask('FROBNICATE', '/') },

  // bodies of requests
  { name: 'an empty POST with a length', send: counted('POST', '') },
  { name: 'a POST that says nothing of a body', send: ask('POST', '/') },
  { name: 'GET with a body', send: counted('GET', 'a query by body') },
  { name: 'a chunked POST', send: chunked('POST', ['hello, ', 'w', 'orld']) },
  { name: 'a chunked POST without a byte', send: chunked('POST', []) },
  { name: 'chunk extensions', send: `${ask('POST', '/', 'Transfer-Encoding: chunked')}5;name=value\r\nhello\r\n0;last\r\n\r\n` },
  { name: 'a large POST by length', send: counted('POST', LARGE) },
  { name: 'a large chunked POST', send: chunked('POST', [LARGE.subarray(0, MIB), LARGE.subarray(MIB)]) },
  { name: 'all bytes there are', send: counted('POST', Buffer.from(Array.from({ length: 256 }, (_, i) => i))) },
  { name: 'a gzip body', send: counted('POST', zlib.gzipSync('packed'), 'Content-Encoding: gzip') },
  { name: 'a request byte by byte', say: (c) => c.sendSplit(chunked('POST', ['abc', 'de'])) },
  { name: 'trailers of a request', send: chunked('POST', ['hello'], ['X-Checksum: abc'], 'Trailer: X-Checksum'), differs: { 'request 1.trailers': ['', 'X-Checksum,abc'] } },

  // targets
  { name: 'a query', send: ask('GET', '/search?q=a+b&q=c&empty=&bare') },
  { name: 'an empty query', send: ask('GET', '/?') },
  { name: 'a query with slashes, dots and question marks', send: ask('GET', '/a?x=/../b?c=http://d/;e') },
  { name: 'a query with odd but legal signs', send: ask('GET', "/a?!$&'()*+,;=:@[]|^`{}") },
  { name: 'escapes that need not be', send: ask('GET', '/%61%62c/%7Euser') },
  { name: 'escapes of either case', send: ask('GET', '/%c3%a4/%C3%A4') },
  { name: 'an escaped space and percent sign', send: ask('GET', '/a%20b/100%25') },
  { name: 'a path with colons, commas and semicolons', send: ask('GET', '/a;v=1/b,c/d:e@f') },
  { name: 'a long target', send: ask('GET', `/${'abcdefgh'.repeat(800)}?${'q=1&'.repeat(200)}`) },
  { name: 'an encoded slash', send: ask('GET', '/a%2Fb/%2f') },
  { name: 'a slash at the end', send: ask('GET', '/folder/') },
  { name: 'two slashes', send: ask('GET', '/a//b') },
  { name: 'a target in absolute form', send: ask('GET', 'http://a.example/path?q') },
  { name: 'dot segments', send: ask('GET', '/a/./b/../c'), differs: { 'request 1.line': ['GET /a/./b/../c HTTP/1.1', 'GET /a/c HTTP/1.1'] } },

  // fields of requests
  { name: 'repeated fields', send: ask('GET', '/', 'X-A: 1', 'Accept: text/html', 'X-A: 2', 'Accept: */*;q=0.1', 'x-a: 3') },
  { name: 'several cookies', send: ask('GET', '/', 'Cookie: a=1; b=2', 'Cookie: c=3') },
  { name: 'an empty field', send: ask('GET', '/', 'X-Empty:', 'X-Blank:   ') },
  { name: 'odd signs in names', send: ask('GET', '/', "X-!#$%&'*+.^`|~: 1", '1: 2', 'with_underscore: 3'), differs: { "request 1.x-!#$%&'*+.^`|~": ['none', "X-!#$%&'*+.^`|~: 1"] } },
  { name: 'bytes above ASCII in a value', send: ask('GET', '/', 'X-Name: J\xfcrgen \xe2\x82\xac') },
  { name: 'spaces and tabs around and in a value', send: ask('GET', '/', 'X-A:\t  a \t b  \t') },
  { name: 'a long field', send: ask('GET', '/', `X-Long: ${'v'.repeat(7000)}`) },
  { name: 'sixty fields', send: ask('GET', '/', ...Array.from({ length: 60 }, (_, i) => `X-${i}: ${i}`)) },
  { name: 'credentials and conditions', send: ask('GET', '/', 'Authorization: Basic YTpi', 'If-None-Match: "a", W/"b"', 'If-Modified-Since: Sat, 01 Jan 2022 00:00:00 GMT') },
  { name: 'fields of the hop', send: ask('GET', '/', 'Connection: keep-alive', 'Keep-Alive: timeout=5', 'X-Stays: yes') },
  { name: 'fields that Connection names', send: ask('GET', '/', 'Connection: X-Secret, close', 'X-Secret: 1', 'Proxy-Authorization: Basic YTpi'), differs: { 'request 1.x-secret': ['X-Secret: 1', 'none'], 'request 1.proxy-authorization': ['Proxy-Authorization: Basic YTpi', 'none'] } },
  { name: 'X-Forwarded-For of a proxy in front', send: ask('GET', '/', 'X-Forwarded-For: 192.0.2.1, 192.0.2.2') },
  { name: 'Host with a port', send: 'GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n' },
  { name: 'a request by HTTP/1.0', send: 'GET / HTTP/1.0\r\nHost: a.example\r\n\r\n' },
  { name: 'a request by HTTP/1.0 for a chunked answer', send: 'GET / HTTP/1.0\r\nHost: a.example\r\n\r\n', answer: raw(`${CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n`) },

  // answers
  { name: '200 without a body', send: ask('GET', '/'), answer: just(200, {}, '') },
  { name: '201 with a place', send: counted('POST', 'x'), answer: just(201, { Location: '/things/1' }, 'made') },
  { name: '204', send: ask('GET', '/'), answer: just(204, { 'X-A': 'b' }) },
  { name: '206', send: ask('GET', '/', 'Range: bytes=2-5'), answer: just(206, { 'Content-Range': 'bytes 2-5/10', 'Accept-Ranges': 'bytes' }, 'cdef') },
  { name: '206 of several ranges', send: ask('GET', '/', 'Range: bytes=0-0,-1'), answer: just(206, { 'Content-Type': 'multipart/byteranges; boundary=b' }, '--b\r\nContent-Range: bytes 0-0/9\r\n\r\na\r\n--b--') },
  { name: '301', send: ask('GET', '/old'), answer: just(301, { Location: 'https://b.example/new?x=1' }, 'moved') },
  { name: '302 back to the backend', send: ask('GET', '/old'), answer: just(302, { Location: 'http://a.example/new' }, '') },
  { name: '304', send: ask('GET', '/', 'If-None-Match: "a"'), answer: raw('HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nCache-Control: max-age=5\r\n\r\n') },
  { name: '400 of the backend', send: ask('GET', '/'), answer: just(400, {}, 'no') },
  { name: '401 with a challenge', send: ask('GET', '/'), answer: just(401, { 'WWW-Authenticate': ['Basic realm="a"', 'Bearer'] }, 'who?') },
  { name: '404', send: ask('GET', '/nothing'), answer: just(404, { 'Content-Type': 'text/html' }, '<p>nothing') },
  { name: '416', send: ask('GET', '/', 'Range: bytes=99-'), answer: just(416, { 'Content-Range': 'bytes */10' }, '') },
  { name: '418 with words of its own', send: ask('GET', '/'), answer: raw("HTTP/1.1 418 I'm a teapot, short and stout\r\nContent-Length: 0\r\n\r\n") },
  { name: '500', send: ask('GET', '/'), answer: just(500, {}, 'oh') },
  { name: '503 with Retry-After', send: ask('GET', '/'), answer: just(503, { 'Retry-After': '5' }, 'later') },
  { name: '599 without words', send: ask('GET', '/'), answer: raw('HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n') },
  { name: 'a chunked answer', send: ask('GET', '/'), answer: raw(`${CHUNKED}\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n`) },
  { name: 'a chunked answer without a byte', send: ask('GET', '/'), answer: raw(`${CHUNKED}\r\n0\r\n\r\n`) },
  { name: 'a large answer', send: ask('GET', '/'), answer: just(200, { 'Content-Type': 'application/octet-stream' }, LARGE) },
  { name: 'a body that ends with the connection', send: ask('GET', '/'), answer: raw('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end', { end: true }) },
  { name: 'an answer by HTTP/1.0', send: ask('GET', '/'), answer: raw('HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold', { end: true }) },
  { name: 'an answer by HTTP/1.0 that ends with the connection', send: ask('GET', '/'), answer: raw('HTTP/1.0 200 OK\r\n\r\nold', { end: true }) },
  { name: 'a gzip answer', send: ask('GET', '/', 'Accept-Encoding: gzip'), answer: just(200, { 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' }, zlib.gzipSync('packed')) },
  { name: 'several Set-Cookie fields', send: ask('GET', '/'), answer: just(200, { 'Set-Cookie': ['a=1; Path=/', 'b=2; HttpOnly', 'c=3'] }, '') },
  { name: 'repeated and empty fields of an answer', send: ask('GET', '/'), answer: just(200, { 'X-A': ['1', '', '2'], 'x-b': '  c  ' }, '') },
  { name: 'Server and Date of the backend', send: ask('GET', '/'), answer: just(200, { Server: 'backend/1', Date: 'Sat, 01 Jan 2022 00:00:00 GMT' }, '') },
  { name: 'validators and caching', send: ask('GET', '/'), answer: just(200, { ETag: 'W/"a"', 'Last-Modified': 'Sat, 01 Jan 2022 00:00:00 GMT', 'Cache-Control': 'no-cache', Expires: '0', Age: '7' }, 'x') },
  { name: 'fields of an answer that Connection names', send: ask('GET', '/'), answer: just(200, { Connection: 'X-Secret', 'X-Secret': '1', 'Keep-Alive': 'timeout=5' }, ''), differs: { 'answer 1.x-secret': ['X-Secret: 1', 'none'] } },
  { name: 'a long field of an answer', send: ask('GET', '/'), answer: just(200, { 'X-Long': 'v'.repeat(3000) }, '') },
  { name: 'bytes above ASCII in an answer', send: ask('GET', '/'), answer: raw('HTTP/1.1 200 OK\r\nX-Name: J\xfcrgen\r\nContent-Length: 0\r\n\r\n') },
  { name: 'an answer byte by byte', send: ask('GET', '/'), answer: async (request, socket) => {
      await request.read();
      for (const byte of `${CHUNKED}X-A: b\r\n\r\n3\r\nabc\r\n0\r\n\r\n`) {
        socket.write(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
    } },

  // before, between and behind
  { name: '103 Early Hints', send: ask('GET', '/'), answer: raw('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi') },
  { name: '100 Continue', say: async (c) => {
      await c.send(ask('POST', '/', 'Content-Length: 5', 'Expect: 100-continue'));
      await c.readUntil('HTTP/1.1 100 ');
      await c.readUntil('\r\n\r\n');
      await c.send('hello');
    }, answer: async (request, socket) => {
      if (request.header('expect')) {
        socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      }
      await OK(request, socket);
    }, differs: { 'request 1.expect': ['none', 'Expect: 100-continue'] } },
  { name: 'an answer before the body is there', isEarly: true, say: async (c) => {
      await c.send(ask('POST', '/', 'Content-Length: 5'));
      await waitFor(() => c.received.includes('not you'), { what: 'the answer' });
      await c.send('hello');
    }, answer: (request, socket) => answer(socket, 403, {}, 'not you') },
  { name: 'an answer, and the end, before a large body is read', isEarly: true, send: counted('POST', LARGE.subarray(0, 200000)), answer: (request, socket) => {
      answer(socket, 413, { Connection: 'close' }, 'too large');
      socket.end();
    } },
  { name: 'trailers of an answer', send: ask('GET', '/', 'TE: trailers', 'Connection: TE'), answer: raw(`${CHUNKED}Trailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: abc\r\n\r\n`), differs: { 'request 1.te': ['none', 'TE: trailers'], 'answer 1.trailers': ['', 'X-Sum: abc'] } },
  { name: 'three requests at once', send: ask('GET', '/1') + ask('GET', '/2') + ask('GET', '/3'), methods: ['GET', 'GET', 'GET'] },
  { name: 'bodies and heads in one write', send: Buffer.concat([counted('POST', 'one'), chunked('PUT', ['tw', 'o']), Buffer.from(ask('HEAD', '/'))]), methods: ['POST', 'PUT', 'HEAD'], answer: async (request, socket) => {
      const { size } = await request.read();
      answer(socket, 200, { 'X-Size': size }, request.method === 'HEAD' ? '' : `got ${size}`);
    } },
  { name: 'fifty requests on one connection', say: async (c) => {
      for (let i = 0; i < 50; i++) {
        await c.send(i % 2 ? counted('POST', 'x'.repeat(i)) : ask('GET', `/${i}`));
      }
    }, methods: Array.from({ length: 50 }, (_, i) => (i % 2 ? 'POST' : 'GET')) },
];

describe('the same through nginx and through Weir', { skip: nginxPath() ? false : 'there is no nginx' }, () => {
  for (const row of ROWS) {
    test(row.name, async () => {
      const seen = [];
      for (const [name, port] of gates) {
        seen.push(await pass(row, port).catch((error) => assert.fail(`through ${name}: ${error.message}`)));
      }
      assert.ok(seen[0]['answer 1.status'], 'nothing was compared');
      const found = differences(seen);
      assert.deepEqual(found, row.differs || {}, `not the same:\n${told(found)}`);
    });
  }

  test('there are enough of them', () => assert.ok(ROWS.length >= 60, `${ROWS.length} rows`));
});

// --- what nginx passes on or repairs, and Weir refuses (docs/decisions/007-strict-http.md) ---

const REFUSED = [
  { name: 'a climb by an encoded slash', send: ask('GET', '/a/..%2Fb'), nginx: 200, weir: 400 },
  { name: 'a path that climbs above the root', send: ask('GET', '/../a'), nginx: 400, weir: 400 },
  { name: 'an escaped NUL', send: ask('GET', '/%00'), nginx: 400, weir: 400 },
  { name: 'half an escape', send: ask('GET', '/%4'), nginx: 400, weir: 400 },
  { name: 'a line feed alone', send: 'GET / HTTP/1.1\nHost: a.example\n\n', nginx: 200, weir: 400 },
  { name: 'a space before the colon', send: ask('GET', '/', 'X-A : 1'), nginx: 400, weir: 400 },
  { name: 'a length twice', send: ask('POST', '/', 'Content-Length: 0', 'Content-Length: 0'), nginx: 400, weir: 400 },
  { name: 'a length beside chunks', send: chunked('POST', ['a'], [], 'Content-Length: 1'), nginx: 400, weir: 400 },
  { name: 'no Host', send: 'GET / HTTP/1.1\r\n\r\n', nginx: 400, weir: 400 },
  { name: 'Content_Length', send: ask('GET', '/', 'Content_Length: 5'), nginx: 200, weir: 400 },
];

describe('what is not the same, for safety', { skip: nginxPath() ? false : 'there is no nginx' }, () => {
  for (const row of REFUSED) {
    test(row.name, async () => {
      for (const [name, port] of gates) {
        backend.requests = [];
        backend.answer = OK;
        const { response, connection } = await rawRequest(port, row.send);
        connection.destroy();
        assert.equal(response.status, row[name], name);
        assert.equal(backend.requests.length, row[name] === 200 ? 1 : 0, `requests behind ${name}`);
      }
    });
  }
});
