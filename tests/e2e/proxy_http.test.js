// What the proxy makes of heads: paths, Host, header changes, who the client is, fields of one hop, and how large a body
// may be.
'use strict';

const assert = require('node:assert/strict');
const { test, describe } = require('node:test');
const { startBackend, startProxy, answer } = require('./lib/backend');
const { rawConnect, rawExchange, rawRequest } = require('./lib/raw');
const { waitFor } = require('./lib/weir');

const OK = async (request, socket) => {
  const { size } = await request.read();
  answer(socket, 200, {}, `${size}`);
};
const head = (method, target, headers = [], version = '1.1') => `${method} ${target} HTTP/${version}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`;
const get = (target, ...headers) => head('GET', target, ['Host: a.example', ...headers]);

// Sends `bytes` through the gateway; { response, seen }: what the client and the backend got.
async function pass(weir, backend, bytes, options) {
  backend.requests.length = 0;
  const { response, connection } = await rawRequest(options ? { port: weir.port, ...options } : weir.port, bytes);
  connection.destroy();
  return { response, seen: backend.requests[0] };
}

const start = async (t, options, respond = OK) => {
  const backend = await startBackend(t, respond);
  return { backend, weir: await startProxy(t, backend.address, options) };
};

describe('paths', () => {
  // [asked for, what the backend is asked for]
  const check = (handler, pairs) => async (t) => {
    const { backend, weir } = await start(t, { handler });
    for (const [asked, expected] of pairs) {
      const { seen } = await pass(weir, backend, get(asked));
      assert.equal(seen.target, expected, asked);
    }
  };

  test('a prefix is taken off where it stands as whole segments', check({ strip_prefix: '/api' }, [
    ['/api/users?a=b', '/users?a=b'],
    ['/api/', '/'],
    ['/api', '/'],
    ['/api?x', '/?x'],
    ['/apis/users', '/apis/users'],
    ['/other/api/x', '/other/api/x'],
    ['/%61pi/users', '/users'],
    ['/api/a%2Fb', '/a%2Fb'],
  ]));

  test('a prefix is put in front', check({ add_prefix: '/v2' }, [
    ['/users', '/v2/users'],
    ['/', '/v2/'],
    ['/?q', '/v2/?q'],
  ]));

  test('a prefix is exchanged for another', check({ strip_prefix: '/api', add_prefix: '/v2' }, [
    ['/api/users', '/v2/users'],
    ['/users', '/v2/users'],
  ]));

  test('nobody climbs over a prefix', check({ strip_prefix: '/api', add_prefix: '/v2' }, [
    ['/api/x/../users', '/v2/users'],
    ['/api/%2e%2e/users', '/v2/users'],
    ['/x/../api/./users', '/v2/users'],
  ]));

  test('without prefixes a path passes as it came', check({}, [
    ['/a//b/%7e/;x=1?y', '/a//b/%7e/;x=1?y'],
  ]));
});

describe('Host', () => {
  const host = (setting) => async (t) => {
    const { backend, weir } = await start(t, { handler: setting === undefined ? {} : { host: setting } });
    const { seen } = await pass(weir, backend, get('/'));
    assert.equal(seen.headers.filter(([name]) => name.toLowerCase() === 'host').length, 1);
    return { host: seen.header('host'), backend, weir };
  };

  test('passes by default', async (t) => assert.equal((await host()(t)).host, 'a.example'));
  test('passes by `pass`', async (t) => assert.equal((await host('pass')(t)).host, 'a.example'));
  test('is a text', async (t) => assert.equal((await host('b.example:81')(t)).host, 'b.example:81'));
  test("is the server's address", async (t) => {
    const { host: seen, backend } = await host('server')(t);
    assert.equal(seen, backend.address);
  });

  test('of an absolute target counts more than the field', async (t) => {
    const { backend, weir } = await start(t);
    const { seen } = await pass(weir, backend, head('GET', 'http://b.example:8080/x', ['Host: a.example']));
    assert.deepEqual([seen.target, seen.header('host'), seen.header('x-forwarded-host')], ['/x', 'b.example:8080', 'b.example:8080']);
  });

  test('is there for the backend where an HTTP/1.0 client sends none', async (t) => {
    const { backend, weir } = await start(t);
    const { seen, response } = await pass(weir, backend, head('GET', '/', [], '1.0'));
    assert.equal(response.status, 200);
    assert.deepEqual([seen.version, seen.header('host')], ['HTTP/1.1', backend.address]);
  });
});

describe('header changes', () => {
  const values = (pairs, name) => pairs.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);

  test('of requests are removing, setting and adding', async (t) => {
    const changes = { remove: ['x-gone', 'X-Never'], set: { 'X-Set': 'ours' }, add: { 'X-Add': 'ours', 'X-New': 'n' } };
    const { backend, weir } = await start(t, { handler: { request_headers: changes } });
    const { seen } = await pass(weir, backend, get('/', 'X-Gone: 1', 'X-GONE: 2', 'X-Set: 1', 'x-set: 2', 'X-Add: 1', 'X-Stays: s'));
    const got = ['x-gone', 'x-set', 'x-add', 'x-new', 'x-stays'].map((name) => values(seen.headers, name));
    assert.deepEqual(got, [[], ['ours'], ['1', 'ours'], ['n'], ['s']]);
  });

  test('of responses are removing, setting and adding', async (t) => {
    const changes = { remove: ['Server', 'X-Powered-By'], set: { 'X-Frame-Options': 'DENY' }, add: { 'Set-Cookie': 'b=2' } };
    const { backend, weir } = await start(t, { handler: { response_headers: changes } }, async (request, socket) =>
      answer(socket, 200, { Server: 'Backend', 'x-powered-by': 'Magic', 'X-Frame-Options': 'ALLOW', 'Set-Cookie': 'a=1', 'X-Stays': 's' }, 'x'),
    );
    const { response } = await pass(weir, backend, get('/'));
    const { server, 'x-powered-by': powered, 'x-frame-options': frame, 'set-cookie': cookies, 'x-stays': stays } = response.headers;
    assert.deepEqual([server, powered, frame, cookies, stays], [undefined, undefined, 'DENY', 'a=1, b=2', 's']);
  });

  test('hold for errors of the backend too', async (t) => {
    const { backend, weir } = await start(t, { handler: { response_headers: { set: { 'X-Gate': 'weir' } } } }, async (request, socket) => answer(socket, 404, {}, 'no'));
    const { response } = await pass(weir, backend, get('/'));
    assert.deepEqual([response.status, response.headers['x-gate']], [404, 'weir']);
  });

  test('can take away and set what tells of the client', async (t) => {
    const changes = { remove: ['X-Forwarded-Host'], set: { 'X-Forwarded-Proto': 'https' } };
    const { backend, weir } = await start(t, { handler: { request_headers: changes } });
    const { seen } = await pass(weir, backend, get('/'));
    assert.deepEqual([seen.header('x-forwarded-host'), seen.header('x-forwarded-proto')], [undefined, 'https']);
  });
});

describe('who the client is', () => {
  const NAMES = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded'];
  const X = ['127.0.0.1', 'http', 'a.example'];
  const RFC = 'for=127.0.0.1;host=a.example;proto=http';
  const OF_CLIENT = ['X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: gopher', 'X-Forwarded-Host: evil.example', 'Forwarded: for=192.0.2.1'];

  const modes = [
    // mode, for a client that sends none, for a client that sends its own
    ['off', [undefined, undefined, undefined, undefined], ['192.0.2.1', 'gopher', 'evil.example', 'for=192.0.2.1']],
    ['x-forwarded', [...X, undefined], [...X, undefined]],
    ['forwarded', [undefined, undefined, undefined, RFC], [undefined, undefined, undefined, RFC]],
    ['both', [...X, RFC], [...X, RFC]],
  ];
  for (const [mode, fresh, forged] of modes) {
    test(`forwarded: ${mode}`, async (t) => {
      const { backend, weir } = await start(t, { handler: { forwarded: mode } });
      for (const [headers, expected] of [[[], fresh], [OF_CLIENT, forged]]) {
        const { seen } = await pass(weir, backend, get('/', ...headers));
        assert.deepEqual(NAMES.map((name) => seen.header(name)), expected);
      }
    });
  }

  test('a trusted proxy is believed, and its lists are continued', async (t) => {
    const { backend, weir } = await start(t, { http: { trusted_proxies: ['127.0.0.1'] } });
    const { seen } = await pass(weir, backend, get('/', ...OF_CLIENT));
    assert.deepEqual(NAMES.map((name) => seen.header(name)), ['192.0.2.1, 127.0.0.1', 'gopher', 'evil.example', `for=192.0.2.1, ${RFC}`]);
  });

  test('several fields of a trusted proxy become one list, in order', async (t) => {
    const { backend, weir } = await start(t, { http: { trusted_proxies: ['127.0.0.1'] } });
    const { seen } = await pass(weir, backend, get('/', 'X-Forwarded-For: 192.0.2.1', 'X-Other: x', 'x-forwarded-for: 192.0.2.2, 192.0.2.3'));
    assert.equal(seen.header('x-forwarded-for'), '192.0.2.1, 192.0.2.2, 192.0.2.3, 127.0.0.1');
    assert.equal(seen.headers.filter(([name]) => name.toLowerCase() === 'x-forwarded-for').length, 1);
  });

  test('an IPv6 client is written as the fields want it', async (t) => {
    const { backend, weir } = await start(t, { host: '::1' });
    const { seen } = await pass(weir, backend, get('/'), { host: '::1' });
    assert.equal(seen.header('x-forwarded-for'), '::1');
    assert.equal(seen.header('forwarded'), 'for="[::1]";host=a.example;proto=http');
  });
});

describe('fields of one hop', () => {
  test('end here, with those that Connection names', async (t) => {
    const { backend, weir } = await start(t);
    const own = ['Connection: X-One, keep-alive', 'connection: x-two', 'X-One: 1', 'X-Two: 2', 'Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'Proxy-Authorization: Basic YTpi', 'TE: gzip;q=0.5', 'X-Three: 3'];
    const { seen } = await pass(weir, backend, get('/', ...own));
    const names = seen.headers.map(([name]) => name.toLowerCase()).sort();
    assert.deepEqual(names, ['forwarded', 'host', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-three']);
  });

  test('of responses end here too', async (t) => {
    const { backend, weir } = await start(t, {}, async (request, socket) =>
      answer(socket, 200, { Connection: 'X-One, Keep-Alive', 'X-One': 1, 'Keep-Alive': 'timeout=5', 'Proxy-Connection': 'x', Upgrade: 'h2c', 'Proxy-Authenticate': 'Basic', 'X-Two': 2 }, 'x'),
    );
    const { response } = await pass(weir, backend, get('/'));
    assert.deepEqual(Object.keys(response.headers).sort(), ['content-length', 'date', 'x-two']);
  });

  test('cannot be used to take away what frames or routes', async (t) => {
    const { backend, weir } = await start(t);
    for (const name of ['Content-Length', 'Host', 'Transfer-Encoding']) {
      const { response, seen } = await pass(weir, backend, `${head('POST', '/', ['Host: a.example', `Connection: ${name}`, 'Content-Length: 2'])}hi`);
      assert.deepEqual([response.status, seen], [400, undefined], name);
    }
  });

  test('the end of a client’s connection is not the end of the backend’s', async (t) => {
    const { backend, weir } = await start(t);
    for (let i = 0; i < 3; i++) {
      await rawExchange(weir.port, get('/', 'Connection: close'));
    }
    assert.equal(backend.connections, 1);
    assert.deepEqual(backend.requests.map((request) => request.header('connection')), [undefined, undefined, undefined]);
  });

  test('an HTTP/1.0 client gets no chunks, and the end', async (t) => {
    const { weir } = await start(t, {}, async (request, socket) => void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'));
    const bytes = (await rawExchange(weir.port, head('GET', '/', [], '1.0'))).toString();
    assert.match(bytes, /^HTTP\/1\.1 200 OK\r\n/);
    assert.doesNotMatch(bytes, /transfer-encoding/i);
    assert.match(bytes, /\r\n\r\nabcde$/);
  });
});

describe('how large a body may be', () => {
  const LIMIT = 1000;
  const post = (size, ...headers) => head('POST', '/', ['Host: a.example', `Content-Length: ${size}`, ...headers]) + 'x'.repeat(size);
  const chunked = (sizes) => `${head('POST', '/', ['Host: a.example', 'Transfer-Encoding: chunked'])}${sizes.map((size) => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`).join('')}0\r\n\r\n`;

  test('as much as the limit passes', async (t) => {
    const { backend, weir } = await start(t, { route: { max_body_size: LIMIT } });
    for (const bytes of [post(LIMIT), chunked([LIMIT]), chunked([LIMIT - 1, 1])]) {
      const { response } = await pass(weir, backend, bytes);
      assert.deepEqual([response.status, response.body.toString()], [200, `${LIMIT}`]);
    }
  });

  test('a longer length gets 413, and the backend nothing', async (t) => {
    const { backend, weir } = await start(t, { route: { max_body_size: LIMIT } });
    const { response, seen } = await pass(weir, backend, post(LIMIT + 1));
    assert.deepEqual([response.status, seen], [413, undefined]);
  });

  test('chunks that pass the limit get 413, and the backend no whole request', async (t) => {
    let ending;
    const ended = new Promise((resolve) => (ending = resolve));
    const { backend, weir } = await start(t, { route: { max_body_size: LIMIT } }, (request) => request.read().then(() => ending('whole'), () => ending('cut')));
    const c = await rawConnect(weir.port);
    const [first, second] = [chunked([LIMIT]).slice(0, -5), '1\r\nx\r\n0\r\n\r\n'];
    c.send(first);
    await waitFor(() => backend.requests.length === 1, { what: 'the beginning to be at the backend' });
    c.send(second);
    assert.equal((await c.readResponse()).status, 413);
    c.destroy();
    assert.equal(await ended, 'cut');
  });

  test('a limit of 0 allows no body at all', async (t) => {
    const { backend, weir } = await start(t, { route: { max_body_size: 0 } });
    assert.equal((await pass(weir, backend, post(0))).response.status, 200);
    assert.equal((await pass(weir, backend, post(1))).response.status, 413);
  });
});
