// What happens on one HTTP connection over its life: reuse, pipelining, half-closing, resets, refusals while the
// client still sends, and clients that do not read.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { execFile } = require('node:child_process');
const path = require('node:path');
const { promisify } = require('node:util');
const { test, before, after, describe } = require('node:test');
const { rawConnect, rawExchange, rawRequest } = require('./lib/raw');
const { waitFor } = require('./lib/weir');
const { startProbe, get, statuses, wholeFile } = require('./lib/probe');

const run = promisify(execFile);
const whole = wholeFile(after);
const MIB = 1024 * 1024;
const LARGE = 16 * MIB; // more than the sockets of both sides hold
const POST = 'POST /first HTTP/1.1\r\nHost: localhost\r\n';

let weir;

before(async () => {
  weir = await startProbe(whole, {
    http: { max_body_size: '1MiB' },
    listen: ({ address }) => [{ address }, { address: 'unix:weir.sock' }],
    top: 'lua: {memory_limit: 1GiB, cpu_limit: 30s}',
    files: { 'files/large.bin': Buffer.alloc(LARGE, 'large file ') },
  });
});

// User and system time of the gateway so far, in clock ticks (10 ms).
function cpuTicks(gateway) {
  const fields = fs.readFileSync(`/proc/${gateway.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

// Resolves once the gateway has used next to no processor time for a while; rejects when it never rests.
async function idles(gateway) {
  await waitFor(
    async () => {
      const start = cpuTicks(gateway);
      await new Promise((resolve) => setTimeout(resolve, 200));
      return cpuTicks(gateway) - start <= 2;
    },
    { what: 'the gateway to rest' },
  );
}

describe('keep-alive', () => {
  test('HTTP/1.1 keeps the connection, and says nothing about it', async () => {
    const { response, connection } = await rawRequest(weir.port, get('/one'));
    assert.equal(response.headers.connection, undefined);
    connection.send(get('/two'));
    assert.equal((await connection.readResponse()).body.toString(), 'GET /two');
    connection.destroy();
  });

  test('Connection: close ends it, in any case and in a list', async () => {
    for (const value of ['close', 'Close', 'foo, close', 'keep-alive, close']) {
      const answer = await rawExchange(weir.port, get('/x', { headers: { Connection: value } }) + get('/y'));
      assert.deepEqual(statuses(answer), [200], value);
      assert.match(answer.toString(), /\r\nConnection: close\r\n/);
    }
  });

  test('HTTP/1.0 ends it', async () => {
    const answer = await rawExchange(weir.port, get('/x', { version: '1.0' }) + get('/y'));
    assert.deepEqual(statuses(answer), [200]);
    assert.match(answer.toString(), /\r\nConnection: close\r\n/);
  });

  test('HTTP/1.0 keeps it when asked, and is told so', async () => {
    const c = await rawConnect(weir.port);
    for (const target of ['/one', '/two']) {
      c.send(get(target, { version: '1.0', headers: { Connection: 'Keep-Alive' } }));
      const response = await c.readResponse();
      assert.equal(response.headers.connection, 'keep-alive');
      assert.equal(response.body.toString(), `GET ${target}`);
    }
    c.destroy();
  });

  test('HTTP/1.0 works without Host', async () => {
    assert.deepEqual(statuses(await rawExchange(weir.port, 'GET / HTTP/1.0\r\n\r\n')), [200]);
  });
});

describe('pipelining', () => {
  // One of each kind, in turn; the answer's body tells which request it was for.
  function kind(i) {
    const head = `POST /${i} HTTP/1.1\r\nHost: localhost\r\n`;
    return [
      get(`/${i}`),
      get(`/${i}`, { method: 'HEAD' }),
      `${head}Content-Length: 5\r\n\r\nhello`,
      `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n`,
    ][i % 4];
  }

  async function answersInOrder(c, count) {
    for (let i = 0; i < count; i++) {
      const request = ['GET', 'HEAD', 'POST', 'POST'][i % 4];
      const response = await c.readResponse({ request, timeoutMs: 20000 });
      assert.equal(response.status, 200);
      assert.equal(response.body.toString(), request === 'HEAD' ? '' : `${request} /${i}`);
    }
    assert.equal(c.received.length, 0);
  }

  test('requests of all kinds in one packet are answered in order', async () => {
    const c = await rawConnect(weir.port);
    c.send(Array.from({ length: 40 }, (_, i) => kind(i)).join(''));
    await answersInOrder(c, 40);
    c.destroy();
  });

  test('requests of all kinds cut anywhere are answered in order', async () => {
    const bytes = Array.from({ length: 8 }, (_, i) => kind(i)).join('');
    for (const size of [1, 2, 3, 7, 64]) {
      const c = await rawConnect(weir.port);
      await c.sendSplit(bytes, size);
      await answersInOrder(c, 8);
      c.destroy();
    }
  });

  test('a plugin that waits holds up those behind it, and their order stays', async () => {
    const c = await rawConnect(weir.port);
    c.send(get('/slow?sleep=0.1') + get('/quick') + get('/slow2?sleep=0.05') + POST + 'Content-Length: 3\r\n\r\nabc' + get('/end'));
    for (const body of ['GET /slow', 'GET /quick', 'GET /slow2', 'POST /first', 'GET /end']) {
      assert.equal((await c.readResponse()).body.toString(), body);
    }
    c.destroy();
  });

  test('5,000 requests at once', async () => {
    const before = cpuTicks(weir);
    const answer = await rawExchange(weir.port, get('/many').repeat(4999) + get('/last', { headers: { Connection: 'close' } }), {
      timeoutMs: 30000,
    });
    assert.equal(statuses(answer).length, 5000);
    assert.ok(answer.subarray(-9).equals(Buffer.from('GET /last')));
    assert.ok(cpuTicks(weir) - before < 500, 'more than 1 ms each');
  });

  test('5,000 requests at once to a plugin that waits each time', async () => {
    const answer = await rawExchange(weir.port, get('/?sleep=0').repeat(4999) + get('/', { headers: { Connection: 'close' } }), {
      timeoutMs: 30000,
    });
    assert.equal(statuses(answer).length, 5000);
  });

  test('large responses one behind the other arrive whole', async () => {
    const c = await rawConnect(weir.port);
    c.send(get('/?size=3000000') + get('/files/large.bin') + get('/?size=10') + get('/files/small.txt'));
    for (const size of [3000000, LARGE, 10, 6]) {
      const response = await c.readResponse({ timeoutMs: 20000 });
      assert.equal(response.status, 200);
      assert.equal(response.body.length, size);
    }
    c.destroy();
  });

  test('a client that asks on and on and reads nothing costs no more memory, and is cut in the end', async (t) => {
    const own = await startProbe(t, { http: { body_timeout: '1s' } });
    const c = await rawConnect(own.port);
    await rawExchange(own.port, get('/?size=65536', { headers: { Connection: 'close' } }));
    const before = own.residentBytes();
    const descriptors = own.openDescriptors();
    c.pause();
    c.send(get('/?size=65536').repeat(4000)); // 250 MiB of answers
    let most = 0;
    await waitFor(() => {
      most = Math.max(most, own.residentBytes());
      return own.openDescriptors() < descriptors;
    }, { what: 'the gateway to cut the connection' });
    assert.ok(most - before < 32 * MIB, `grew by ${(most - before) / MIB} MiB`);
    c.destroy();
  });
});

describe('methods and fields', () => {
  test('HEAD has the fields of GET and no body', async () => {
    for (const target of ['/x', '/files/small.txt', '/files/none']) {
      const c = await rawConnect(weir.port);
      c.send(get(target) + get(target, { method: 'HEAD' }) + get('/after'));
      const withBody = await c.readResponse();
      const without = await c.readResponse({ request: 'HEAD' });
      assert.equal(without.status, withBody.status);
      if (target !== '/x') {
        assert.equal(without.headers['content-length'], withBody.headers['content-length']);
      }
      assert.equal((await c.readResponse()).body.toString(), 'GET /after');
      c.destroy();
    }
  });

  test('OPTIONS * is answered by the gateway itself', async () => {
    for (const target of ['*', 'http://localhost']) {
      const { response, connection } = await rawRequest(weir.port, get(target, { method: 'OPTIONS' }));
      assert.equal(response.status, 204);
      assert.match(response.headers.allow, /GET/);
      assert.equal(response.headers['content-length'], undefined);
      connection.destroy();
    }
  });

  test('an absolute target is served', async () => {
    const { response, connection } = await rawRequest(weir.port, get('http://localhost/abs?x=1'));
    assert.equal(response.body.toString(), 'GET /abs');
    connection.destroy();
  });

  test('each response has Date and Server once', async () => {
    for (const bytes of [get('/'), get('/files/small.txt'), get('/files/none'), get('/ws'), 'nonsense\r\n\r\n']) {
      const { response, connection } = await rawRequest(weir.port, bytes);
      const off = Math.abs(Date.parse(response.headers.date) - Date.now());
      assert.ok(off < 5000, response.headers.date);
      assert.match(response.headers.date, /^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/);
      assert.equal(response.headers.server, 'weir');
      connection.destroy();
    }
  });

  test('204 and 304 have no body and no length that misleads', async () => {
    const c = await rawConnect(weir.port);
    c.send(get('/?status=204&size=0') + get('/after'));
    const response = await c.readResponse();
    assert.equal(response.status, 204);
    assert.equal(response.headers['content-length'], undefined);
    assert.equal((await c.readResponse()).body.toString(), 'GET /after');
    c.destroy();
  });

  test('errors are JSON or HTML, as Accept prefers', async () => {
    const cases = [
      [undefined, 'application/json'],
      ['*/*', 'application/json'],
      ['application/json', 'application/json'],
      ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text/html'],
      ['text/html;q=0.2, application/json;q=0.7', 'application/json'],
    ];
    for (const [accept, type] of cases) {
      const { response, connection } = await rawRequest(weir.port, get('/files/none', { headers: accept ? { Accept: accept } : {} }));
      assert.equal(response.status, 404);
      assert.ok(response.headers['content-type'].startsWith(type), `${accept}: ${response.headers['content-type']}`);
      const body = response.body.toString();
      assert.equal(type === 'text/html' ? /404/.test(body) && /<html|<!doctype/i.test(body) : JSON.parse(body).status, type === 'text/html' ? true : 404);
      connection.destroy();
    }
  });
});

describe('Expect: 100-continue', () => {
  const expecting = `${POST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`;

  test('an answer without the body ends the connection: the body may come or not', async () => {
    const answer = await rawExchange(weir.port, expecting);
    assert.deepEqual(statuses(answer), [200]);
    assert.match(answer.toString(), /\r\nConnection: close\r\n/);
  });

  test('it does not matter in HTTP/1.0, or without a body', async () => {
    const c = await rawConnect(weir.port);
    c.send(get('/', { headers: { Expect: '100-continue' } }));
    assert.equal((await c.readResponse()).status, 200);
    c.send(get('/again'));
    assert.equal((await c.readResponse()).body.toString(), 'GET /again');
    c.destroy();
    const old = expecting.replace('HTTP/1.1', 'HTTP/1.0');
    assert.deepEqual(statuses(await rawExchange(weir.port, `${old}hello`)), [200]);
  });

  test('curl gets its answer with and without waiting', async () => {
    for (const options of [['-H', 'Expect: 100-continue'], ['-H', 'Expect:']]) {
      const { stdout } = await run('curl', ['-sS', '--max-time', '10', ...options, '-d', 'hello', weir.http('/curl')]);
      assert.equal(stdout, 'POST /curl');
    }
  });
});

describe('clients that have ended their direction still get what they asked for', () => {
  const cases = {
    'one request': [get('/fin'), [200], /GET \/fin$/],
    'several requests': [get('/a') + get('/b') + get('/fin'), [200, 200, 200], /GET \/fin$/],
    'a plugin that waits': [get('/fin?sleep=0.2'), [200], /GET \/fin$/],
    'several plugins that wait': [get('/a?sleep=0.1') + get('/fin?sleep=0.1'), [200, 200], /GET \/fin$/],
    'a request with a body': [`${POST}Content-Length: 5\r\n\r\nhello`, [200], /POST \/first$/],
    'a bad request': ['nonsense\r\n\r\n', [400], /400/],
  };
  for (const [name, [bytes, expected, tail]] of Object.entries(cases)) {
    test(name, async () => {
      const c = await rawConnect(weir.port);
      await c.send(bytes);
      c.end();
      const answer = await c.readToEnd();
      assert.deepEqual(statuses(answer), expected);
      assert.match(answer.toString(), tail);
      assert.equal(c.error, null);
    });
  }

  // More than the sockets hold, so the gateway's own queue is full when the FIN comes.
  for (const target of ['/files/large.bin', `/?size=${LARGE}`]) {
    test(`a large response: ${target}`, async () => {
      const c = await rawConnect(weir.port);
      c.pause();
      await c.send(get(target));
      c.end();
      await idles(weir);
      c.resume();
      const { body } = await c.readResponse({ timeoutMs: 20000 });
      assert.equal(body.length, LARGE);
      await c.waitEnd();
      assert.equal(c.error, null);
    });
  }

  // A unix socket holds some 200 KiB, so a part of these waits in the gateway when the FIN comes.
  for (const size of [220000, 260000, 300000, 400000, 450000]) {
    test(`${size} bytes through a unix socket`, async () => {
      const c = await rawConnect({ path: path.join(weir.dir, 'weir.sock') });
      c.pause();
      await c.send(get(`/?size=${size}`));
      c.end();
      await idles(weir);
      c.resume();
      assert.equal((await c.readResponse()).body.length, size);
      await c.waitEnd();
      assert.equal(c.error, null);
    });
  }

  test('a client that pauses before it reads the end of a closing response', async () => {
    const c = await rawConnect(weir.port);
    c.pause();
    await c.send(get(`/?size=${LARGE}`, { headers: { Connection: 'close' } }));
    await new Promise((resolve) => setTimeout(resolve, 3000)); // longer than the gateway lingers for a FIN
    c.resume();
    assert.equal((await c.readResponse({ timeoutMs: 20000 })).body.length, LARGE);
    c.destroy();
  });
});

describe('clients that go away', () => {
  const quiet = async () => {
    const { response, connection } = await rawRequest(weir.port, get('/still-there'));
    assert.equal(response.status, 200);
    connection.destroy();
  };

  test('no descriptor is left behind by any of them', async () => {
    await quiet();
    await idles(weir);
    const before = weir.openDescriptors();
    const starts = [
      '',
      'GET / HT',
      `${POST}Content-Length: 100\r\n\r\nabc`,
      `${POST}Transfer-Encoding: chunked\r\n\r\n10\r\nab`,
      get('/?sleep=0.2'),
      get('/files/large.bin'),
      get(`/?size=${4 * MIB}`),
      get('/?sleep=0.1') + get('/?sleep=0.1') + get('/'),
    ];
    for (const way of ['reset', 'end', 'destroy']) {
      await Promise.all(
        starts.map(async (bytes) => {
          const c = await rawConnect(weir.port);
          c.socket.on('error', () => {});
          if (bytes) {
            await c.send(bytes);
          }
          c[way]();
          if (way === 'end') {
            await c.waitEnd(20000);
            c.destroy();
          }
        }),
      );
    }
    await waitFor(() => weir.openDescriptors() <= before, { what: `descriptors to come down to ${before}` });
    await quiet();
  });
});

describe('a refusal reaches a client that is still sending', () => {
  async function answerWhileSending(head, status) {
    const c = await rawConnect(weir.port, { timeoutMs: 15000 });
    c.send(head);
    for (let i = 0; i < 10; i++) {
      c.send(Buffer.alloc(MIB, 'x'));
    }
    assert.equal((await c.readResponse()).status, status);
    await c.waitEnd();
    assert.equal(c.error, null, 'the connection was reset');
    c.destroy();
  }

  test('413 by length', () => answerWhileSending(`${POST}Content-Length: ${10 * MIB}\r\n\r\n`, 413));
  test('400', () => answerWhileSending(`${POST}Content-Length: x\r\n\r\n`, 400));
  test('431', () => answerWhileSending(`GET / HTTP/1.1\r\nHost: localhost\r\nX: `, 431));
  test('405 of a file, with Connection: close', () =>
    answerWhileSending(`POST /files/small.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${(10 * MIB).toString(16)}\r\n`, 405));

  test('curl sends 10 MiB to a route that refuses them', async () => {
    const file = path.join(weir.dir, 'upload.bin');
    fs.writeFileSync(file, Buffer.alloc(10 * MIB));
    for (const more of [[], ['-H', 'Expect:'], ['-H', 'Transfer-Encoding: chunked', '-H', 'Expect:']]) {
      const { stdout } = await run('curl', ['-sS', '--max-time', '20', '-o', '/dev/null', '-w', '%{http_code}', ...more, '--data-binary', `@${file}`, weir.http('/files/none')]);
      assert.match(stdout, /^(413|405|404)$/);
    }
  });
});
