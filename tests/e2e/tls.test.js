// TLS listeners: versions, names, ALPN, resumption, client certificates, time limits, peers that speak no TLS, and
// sessions over it with messages larger than any buffer.
'use strict';

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const { promisify } = require('node:util');
const { test, before, after, describe } = require('node:test');
const WebSocket = require('ws');
const { connect } = require('./lib/client');
const { makeCertificates } = require('./lib/certs');
const { rawConnect, rawRequest } = require('./lib/raw');
const { waitFor } = require('./lib/weir');
const { startProbe, get, wholeFile } = require('./lib/probe');

const run = promisify(execFile);
const whole = wholeFile(after);
const MIB = 1024 * 1024;
const CLOSING = get('/hello', { headers: { Connection: 'close' } });

let certs;
let local;

before(() => {
  certs = makeCertificates(whole);
  local = certs.pair('localhost');
});

// A gateway with one TLS listener; `settings`: further keys of `tls:`.
function startTls(t, settings = {}, options = {}) {
  return startProbe(t, { listen: ({ address }) => [{ address, tls: { ...local, ...settings } }], ...options });
}

// One request on a new TLS connection; `options` as of tls.connect.
async function ask(weir, options = {}, request = CLOSING) {
  const { response, connection } = await rawRequest({ port: weir.port, tls: options }, request);
  const { socket } = connection;
  const facts = {
    response,
    protocol: socket.getProtocol(),
    name: socket.getPeerCertificate().subject?.CN,
    alpn: socket.alpnProtocol,
    resumed: socket.isSessionReused(),
  };
  connection.destroy();
  return facts;
}

// The handshake, or the first read behind it, fails.
async function refused(weir, options) {
  await assert.rejects(ask(weir, options), (error) => !/ms passed/.test(error.message));
}

describe('versions', () => {
  test('1.2 and 1.3 are spoken, older ones are not', async (t) => {
    const weir = await startTls(t);
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const facts = await ask(weir, { minVersion: version, maxVersion: version });
      assert.equal(facts.protocol, version);
      assert.equal(facts.response.headers['x-scheme'], 'https');
    }
    for (const version of ['TLSv1', 'TLSv1.1']) {
      await refused(weir, { minVersion: version, maxVersion: version, ciphers: 'ALL@SECLEVEL=0' });
    }
    assert.equal((await ask(weir)).response.status, 200);
  });

  test('min_version 1.3 refuses 1.2', async (t) => {
    const weir = await startTls(t, { min_version: '1.3' });
    await refused(weir, { maxVersion: 'TLSv1.2' });
    assert.equal((await ask(weir)).protocol, 'TLSv1.3');
  });

  test('with the pair of scripts/dev-cert.sh', async (t) => {
    await run('bash', [`${require('./lib/weir').root}/scripts/dev-cert.sh`, '-o', `${certs.dir}/dev`]);
    const weir = await startProbe(t, {
      listen: ({ address }) => [{ address, tls: { certificate: `${certs.dir}/dev/cert.pem`, private_key: `${certs.dir}/dev/key.pem` } }],
    });
    const ca = fs.readFileSync(`${certs.dir}/dev/cert.pem`);
    for (const servername of ['localhost', undefined]) {
      const { response } = await ask(weir, { ca, rejectUnauthorized: true, servername });
      assert.equal(response.body.toString(), 'GET /hello');
    }
  });
});

describe('names', () => {
  const cases = [
    ['chat.example.com', 'chat.example.com'],
    ['CHAT.Example.COM', 'chat.example.com'],
    ['other.example.com', '*.example.com'],
    ['a.b.example.com', 'localhost'],
    ['example.com', 'localhost'],
    ['elsewhere.test', 'localhost'],
    [undefined, 'localhost'],
  ];
  for (const order of ['exact first', 'wildcard first']) {
    test(`each gets its certificate, ${order}`, async (t) => {
      const hosts = ['chat.example.com', '*.example.com'];
      const certificates = (order === 'exact first' ? hosts : hosts.reverse()).map((host) => ({ host, ...certs.pair(host) }));
      const weir = await startTls(t, { certificates });
      for (const version of ['TLSv1.2', 'TLSv1.3']) {
        for (const [servername, expected] of cases) {
          const { name } = await ask(weir, { servername, maxVersion: version });
          assert.equal(name, expected, `${servername} by ${version}`);
        }
      }
    });
  }

  test('without a pair of its own the first of the list is for all others', async (t) => {
    const certificates = ['one.test', 'two.test'].map((host) => ({ host, ...certs.pair(host) }));
    const weir = await startProbe(t, { listen: ({ address }) => [{ address, tls: { certificates } }] });
    assert.equal((await ask(weir, { servername: 'two.test' })).name, 'two.test');
    assert.equal((await ask(weir, { servername: 'three.test' })).name, 'one.test');
  });
});

describe('ALPN', () => {
  let weir;
  before(async () => (weir = await startTls(whole)));

  test('http/1.1 is chosen', async () => {
    assert.equal((await ask(weir, { ALPNProtocols: ['h2', 'http/1.1'] })).alpn, 'http/1.1');
    assert.equal((await ask(weir, { ALPNProtocols: ['http/1.1'] })).alpn, 'http/1.1');
    assert.equal((await ask(weir)).alpn, false);
  });

  test('a client that speaks only h2 is refused with the alert for it', async () => {
    await assert.rejects(ask(weir, { ALPNProtocols: ['h2'] }), /no application protocol/i);
    assert.equal((await ask(weir)).response.status, 200);
  });
});

describe('resumption', () => {
  // A session that can be resumed: with TLS 1.3 the tickets come behind the handshake.
  async function firstSession(weir, version, more = {}) {
    const c = await rawConnect({ port: weir.port, tls: { minVersion: version, maxVersion: version, ...more } });
    let session = c.socket.getSession();
    c.socket.on('session', (newer) => (session = newer));
    c.send(CLOSING);
    await c.readToEnd();
    assert.ok(!c.socket.isSessionReused());
    c.destroy();
    return session;
  }

  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    test(`${version}: on any worker`, async (t) => {
      const weir = await startTls(t, {}, { workers: 3 });
      const session = await firstSession(weir, version);
      const workers = new Set();
      await waitFor(async () => {
        const { resumed, response } = await ask(weir, { session, minVersion: version, maxVersion: version });
        assert.ok(resumed, `a full handshake on worker ${response.headers['x-worker']}`);
        workers.add(response.headers['x-worker']);
        return workers.size === 3;
      });
    });

    test(`${version}: with a name`, async (t) => {
      const weir = await startTls(t, { certificates: [{ host: 'chat.test', ...certs.pair('chat.test') }] });
      const session = await firstSession(weir, version, { servername: 'chat.test' });
      const { resumed } = await ask(weir, { session, servername: 'chat.test', minVersion: version, maxVersion: version });
      assert.ok(resumed);
    });

    test(`${version}: off`, async (t) => {
      const weir = await startTls(t, { session_resumption: false });
      const session = await firstSession(weir, version);
      const { resumed, response } = await ask(weir, { session, minVersion: version, maxVersion: version });
      assert.ok(!resumed);
      assert.equal(response.status, 200);
    });

    test(`${version}: a resumed session still tells who the client is`, async (t) => {
      const client_ca = certs.authority();
      const client = certs.client('Ann', 'Weir');
      const weir = await startTls(t, { client_ca, client_certificate: 'required' });
      const session = await firstSession(weir, version, client);
      const { resumed, response } = await ask(weir, { session, minVersion: version, maxVersion: version, ...client });
      assert.ok(resumed);
      assert.equal(response.headers['x-subject'], 'CN=Ann,O=Weir');
    });
  }
});

describe('client certificates', () => {
  let client_ca;
  let client;
  let stranger;
  before(() => {
    certs.authority();
    stranger = certs.client('Mallory', 'Elsewhere');
    client_ca = certs.authority();
    client = certs.client('Ann, \u00c5', 'Weir');
  });

  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const only = { minVersion: version, maxVersion: version };

    test(`none, ${version}: nobody is asked`, async (t) => {
      const weir = await startTls(t);
      assert.equal((await ask(weir, { ...only, ...client })).response.headers['x-subject'], '');
    });

    test(`optional, ${version}: known, unknown and absent ones`, async (t) => {
      const weir = await startTls(t, { client_ca, client_certificate: 'optional' });
      assert.match((await ask(weir, { ...only, ...client })).response.headers['x-subject'], /^CN=Ann\\, .*,O=Weir$/);
      assert.equal((await ask(weir, only)).response.headers['x-subject'], '');
      await refused(weir, { ...only, ...stranger });
    });

    test(`required, ${version}: known ones only`, async (t) => {
      const weir = await startTls(t, { client_ca, client_certificate: 'required' });
      assert.match((await ask(weir, { ...only, ...client })).response.headers['x-subject'], /O=Weir$/);
      await refused(weir, only);
      await refused(weir, { ...only, ...stranger });
    });
  }

  test('by name too', async (t) => {
    const weir = await startTls(t, { client_ca, client_certificate: 'required', certificates: [{ host: 'chat.test', ...certs.pair('chat.test') }] });
    await refused(weir, { servername: 'chat.test' });
    assert.match((await ask(weir, { servername: 'chat.test', ...client })).response.headers['x-subject'], /O=Weir$/);
  });
});

describe('peers that do not get through the handshake', () => {
  let weir;
  before(async () => (weir = await startTls(whole, { handshake_timeout: '300ms' })));

  test('handshake_timeout: one that says nothing', async () => {
    const c = await rawConnect(weir.port);
    assert.equal((await c.readToEnd()).length, 0);
    c.destroy();
  });

  test('handshake_timeout: one that stops half-way, and one that drips', async () => {
    const hello = Buffer.from('16030100fa010000f60303', 'hex');
    const stopped = await rawConnect(weir.port);
    stopped.send(hello);
    await stopped.waitEnd();
    stopped.destroy();
    const drips = await rawConnect(weir.port);
    drips.socket.on('error', () => {});
    for (let i = 0; !drips.ended; i++) {
      assert.ok(i < 200, 'the gateway waited on');
      drips.send(Buffer.from([hello[i] ?? 0]));
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    drips.destroy();
  });

  test('garbage, plain HTTP, and a client that leaves', async () => {
    const descriptors = weir.openDescriptors();
    for (const bytes of ['garbage\r\n\r\n', get('/'), Buffer.alloc(100000, 0x16), Buffer.from('160301000a0100', 'hex')]) {
      const c = await rawConnect(weir.port);
      c.socket.on('error', () => {});
      c.send(bytes);
      const answer = await c.readToEnd();
      assert.ok(!answer.includes('HTTP/1.1'), answer.toString('latin1'));
      c.destroy();
    }
    const leaves = await rawConnect(weir.port);
    await leaves.send(Buffer.from('1603010200010001fc0303', 'hex'));
    leaves.reset();
    await waitFor(() => weir.openDescriptors() <= descriptors, { what: 'all to be closed' });
    assert.equal((await ask(weir)).response.status, 200);
  });

  test('handshake_timeout does not count behind the handshake', async () => {
    const { response, connection } = await rawRequest({ port: weir.port, tls: {} }, get('/x?sleep=0.6'));
    assert.equal(response.status, 200);
    connection.send(get('/y?sleep=0.1'));
    assert.equal((await connection.readResponse()).status, 200);
    connection.destroy();
  });
});

describe('HTTP over TLS', () => {
  let weir;
  before(async () => {
    weir = await startTls(whole, {}, {
      top: 'lua: {memory_limit: 1GiB, cpu_limit: 30s}',
      files: { 'files/large.bin': Buffer.alloc(16 * MIB, 'large file ') },
    });
  });

  test('requests cut into records of one byte, and many in one record', async () => {
    const c = await rawConnect({ port: weir.port, tls: {} });
    await c.sendSplit(get('/one') + get('/two'));
    c.send(get('/three').repeat(200));
    assert.equal((await c.readResponse()).body.toString(), 'GET /one');
    assert.equal((await c.readResponse()).body.toString(), 'GET /two');
    for (let i = 0; i < 200; i++) {
      assert.equal((await c.readResponse()).body.toString(), 'GET /three');
    }
    c.destroy();
  });

  test('a body of many records is taken at once', async () => {
    const c = await rawConnect({ port: weir.port, tls: {} });
    c.send(`POST /first HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${MIB}\r\n\r\n`);
    c.send(Buffer.alloc(MIB, 'x'));
    c.send(get('/after'));
    assert.equal((await c.readResponse()).body.toString(), 'POST /first');
    assert.equal((await c.readResponse()).body.toString(), 'GET /after');
    c.destroy();
  });

  test('large responses to a client that reads late arrive whole', async () => {
    for (const target of ['/files/large.bin', `/?size=${16 * MIB}`]) {
      const c = await rawConnect({ port: weir.port, tls: {} });
      c.pause();
      await c.send(get(target) + get('/last'));
      await new Promise((resolve) => setTimeout(resolve, 300));
      c.resume();
      assert.equal((await c.readResponse({ timeoutMs: 30000 })).body.length, 16 * MIB);
      assert.equal((await c.readResponse()).body.toString(), 'GET /last');
      c.destroy();
    }
  });

  test('close_notify comes before the end of the connection', async () => {
    for (const version of ['-tls1_2', '-tls1_3']) {
      const client = run('openssl', ['s_client', '-connect', `127.0.0.1:${weir.port}`, version, '-quiet', '-no_ign_eof']);
      client.child.stdin.write(CLOSING);
      const { stdout, stderr } = await client;
      assert.match(stdout, /GET \/hello/);
      assert.doesNotMatch(stderr, /unexpected eof|errno/i);
    }
  });

  test('curl', async () => {
    const { stdout } = await run('curl', ['-sSk', '--max-time', '20', `https://localhost:${weir.port}/curl`]);
    assert.equal(stdout, 'GET /curl');
    const large = await run('curl', ['-sSk', '--max-time', '20', '--http1.0', '--no-alpn', '-o', '/dev/null', '-w', '%{size_download}', `https://localhost:${weir.port}/files/large.bin`]);
    assert.equal(large.stdout, String(16 * MIB));
  });
});

describe('WebSocket over TLS', () => {
  let weir;
  const secure = { rejectUnauthorized: false };
  before(async () => {
    weir = await startTls(whole, {}, {
      websocket: { max_message_size: '32MiB', max_queue_size: '64MiB' },
      top: 'lua: {memory_limit: 1GiB, cpu_limit: 30s}',
    });
  });
  const url = () => `wss://127.0.0.1:${weir.port}/ws`;

  test('echo of all sizes around the records\' and buffers\' limits', async () => {
    const client = await connect(url(), { rejectUnauthorized: false });
    for (const size of [0, 1, 125, 126, 16383, 16384, 16385, 65535, 65536, 262144, 300000]) {
      const data = Buffer.alloc(size, 'abcdefg');
      client.send(data);
      const message = await client.next();
      assert.ok(message.binary && message.data.equals(data), `${size} bytes`);
    }
    client.close(1000);
    assert.equal((await client.closed).code, 1000);
  });

  test('messages of 16 MiB', async () => {
    const socket = new WebSocket(url(), { ...secure, maxPayload: 64 * MIB, perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    for (let i = 0; i < 2; i++) {
      const data = Buffer.alloc(16 * MIB, `message ${i} `);
      socket.send(data);
      const [back] = await new Promise((resolve) => socket.once('message', (...all) => resolve(all)));
      assert.ok(back.equals(data));
    }
    socket.terminate();
  });

  test('a client that reads late gets every message, whole and in order', async () => {
    const socket = new WebSocket(url(), { ...secure, maxPayload: 64 * MIB, perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const sizes = [10, 3 * MIB, 1, 100000, 4 * MIB, 16384, 2 * MIB, 5];
    const got = [];
    const all = new Promise((resolve) =>
      socket.on('message', (data) => {
        got.push(data);
        if (got.length === sizes.length) {
          resolve();
        }
      }),
    );
    socket.pause();
    sizes.forEach((size, i) => socket.send(Buffer.alloc(size, `${i} and more `)));
    await waitFor(() => socket.bufferedAmount === 0, { what: 'the gateway to take all of it' });
    socket.resume();
    await all;
    sizes.forEach((size, i) => assert.ok(got[i].equals(Buffer.alloc(size, `${i} and more `)), `message ${i}`));
    socket.terminate();
  });
});

test('an idle TLS connection stays small', async (t) => {
  const weir = await startTls(t);
  if (/lib[at]san/.test(fs.readFileSync(`/proc/${weir.pid}/maps`, 'utf8'))) {
    t.skip('a sanitizer keeps freed memory');
    return;
  }
  const idle = [];
  const open = async (count) => {
    for (let i = 0; i < count; i++) {
      const { connection } = await rawRequest({ port: weir.port, tls: {} }, get('/?size=20000'));
      idle.push(connection);
    }
  };
  await open(50); // what the first ones cost once for all
  const before = weir.residentBytes();
  await open(300);
  const each = (weir.residentBytes() - before) / 300;
  idle.forEach((connection) => connection.destroy());
  // OpenSSL's two record buffers alone would be 33 KiB.
  assert.ok(each < 32 * 1024, `${Math.round(each)} bytes each`);
});
