// Who the client is: the PROXY protocol of load balancers, and X-Forwarded-For of HTTP proxies. Both are believed only
// from where the configuration says.
'use strict';

const assert = require('node:assert/strict');
const net = require('node:net');
const tls = require('node:tls');
const { test, before, after, describe } = require('node:test');
const { makeCertificates } = require('./lib/certs');
const { rawConnect, rawExchange } = require('./lib/raw');
const { waitFor } = require('./lib/weir');
const { startProbe, get, statuses, wholeFile } = require('./lib/probe');

const whole = wholeFile(after);
const CLOSING = get('/hello', { headers: { Connection: 'close' } });
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

// A header of version 2; `family`: the byte of address family and protocol.
function v2(family, addresses, { command = 0x21, tlvs = Buffer.alloc(0) } = {}) {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(addresses.length + tlvs.length);
  return Buffer.concat([SIGNATURE, Buffer.from([command, family]), length, addresses, tlvs]);
}

const V4 = Buffer.from([203, 0, 113, 7, 192, 0, 2, 1, 0x1f, 0x90, 0x01, 0xbb]); // 203.0.113.7:8080 to 192.0.2.1:443
const V6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000007', 'hex'),
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from([0x1f, 0x90, 0x01, 0xbb]),
]);

const HEADERS = {
  'v1 TCP4': ['PROXY TCP4 203.0.113.7 192.0.2.1 8080 443\r\n', '203.0.113.7 8080'],
  'v1 TCP6': ['PROXY TCP6 2001:db8::7 2001:db8::1 8080 443\r\n', '2001:db8::7 8080'],
  'v1 UNKNOWN': ['PROXY UNKNOWN\r\n', null],
  'v2 IPv4': [v2(0x11, V4), '203.0.113.7 8080'],
  'v2 IPv6': [v2(0x21, V6), '2001:db8::7 8080'],
  'v2 IPv4 with more fields': [v2(0x11, V4, { tlvs: Buffer.concat([Buffer.from([0x04, 0x01, 0x00]), Buffer.alloc(256, 1)]) }), '203.0.113.7 8080'],
  'v2 LOCAL': [v2(0x00, Buffer.alloc(0), { command: 0x20 }), null],
  'v2 LOCAL with addresses': [v2(0x11, V4, { command: 0x20 }), null],
  'v2 unix': [v2(0x31, Buffer.alloc(216)), null],
};

const bytesOf = (header) => (typeof header === 'string' ? Buffer.from(header, 'latin1') : header);

let weir;
let secure;

before(async () => {
  const certs = makeCertificates(whole);
  const proxied = { proxy_protocol: true, proxy_protocol_from: ['127.0.0.0/8'] };
  weir = await startProbe(whole, {
    portCount: 3,
    listen: ({ addresses }) => [
      { address: addresses[0], ...proxied },
      { address: addresses[1], ...proxied, tls: certs.pair('localhost') },
      { address: addresses[2], proxy_protocol: true, proxy_protocol_from: ['192.0.2.0/24', '2001:db8::/32'] },
    ],
    http: { header_timeout: '700ms' },
  });
  secure = weir.ports[1];
});

// The remote address that the plugin saw; null stands for the address of this socket.
function assertRemote(response, expected, c) {
  assert.equal(response.headers['x-remote'], expected ?? `127.0.0.1 ${c.socket.localPort}`);
}

describe('the PROXY protocol tells who the client is', () => {
  for (const [name, [header, remote]] of Object.entries(HEADERS)) {
    test(`${name}, in one piece with the request`, async () => {
      const c = await rawConnect(weir.port);
      c.send(Buffer.concat([bytesOf(header), Buffer.from(get('/one') + get('/two'))]));
      for (const target of ['/one', '/two']) {
        const response = await c.readResponse();
        assert.equal(response.body.toString(), `GET ${target}`);
        assertRemote(response, remote, c);
      }
      c.destroy();
    });

    test(`${name}, split at every byte`, async () => {
      const bytes = Buffer.concat([bytesOf(header), Buffer.from(CLOSING)]);
      const cuts = Array.from({ length: Math.min(bytesOf(header).length + 2, bytes.length - 1) }, (_, i) => i + 1);
      await Promise.all(
        cuts.map(async (cut) => {
          const c = await rawConnect(weir.port);
          await c.send(bytes.subarray(0, cut));
          await new Promise((resolve) => setTimeout(resolve, 5));
          c.send(bytes.subarray(cut));
          assertRemote(await c.readResponse(), remote, c);
          c.destroy();
        }),
      );
    });

    test(`${name}, byte by byte`, async () => {
      const c = await rawConnect(weir.port);
      await c.sendSplit(bytesOf(header));
      c.send(CLOSING);
      assertRemote(await c.readResponse(), remote, c);
      c.destroy();
    });
  }
});

describe('the PROXY protocol before TLS', () => {
  async function overTls(header, cut) {
    const socket = net.connect({ port: secure, host: '127.0.0.1', noDelay: true });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const port = socket.localPort;
    socket.write(header.subarray(0, cut));
    if (cut < header.length) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      socket.write(header.subarray(cut));
    }
    const client = tls.connect({ socket, rejectUnauthorized: false });
    client.write(CLOSING);
    let answer = '';
    for await (const piece of client) {
      answer += piece;
    }
    return { answer, port };
  }

  for (const [name, [header, remote]] of Object.entries(HEADERS)) {
    test(name, async () => {
      const bytes = bytesOf(header);
      for (const cut of [bytes.length, 1, 5, 12, bytes.length - 1]) {
        const { answer, port } = await overTls(bytes, cut);
        assert.match(answer, /^HTTP\/1\.1 200 /);
        assert.ok(answer.includes(`X-Remote: ${remote ?? `127.0.0.1 ${port}`}\r\n`), answer);
        assert.ok(answer.includes('X-Scheme: https\r\n'));
      }
    });
  }

  test('the header inside of TLS is no PROXY header', async () => {
    const c = await rawConnect(secure);
    const hello = Buffer.from('16030100fa010000f60303', 'hex');
    c.socket.on('error', () => {});
    c.send(hello);
    assert.equal((await c.readToEnd()).length, 0);
    c.destroy();
  });
});

describe('what is no PROXY header ends the connection without an answer', () => {
  const wrong = {
    'no header at all': CLOSING,
    'v1 with too few words': `PROXY TCP4 203.0.113.7\r\n${CLOSING}`,
    'v1 with a family that is not the address\'s': `PROXY TCP6 203.0.113.7 192.0.2.1 1 2\r\n${CLOSING}`,
    'v1 with a name': `PROXY TCP4 localhost 192.0.2.1 1 2\r\n${CLOSING}`,
    'v1 with a port too high': `PROXY TCP4 203.0.113.7 192.0.2.1 65536 2\r\n${CLOSING}`,
    'v1 in lower case': `proxy tcp4 203.0.113.7 192.0.2.1 1 2\r\n${CLOSING}`,
    'v1 with a bare line feed': `PROXY TCP4 203.0.113.7 192.0.2.1 1 2\n${CLOSING}`,
    'v1 that does not end': `PROXY TCP4 ${'1'.repeat(200)}`,
    'v2 of another version': Buffer.concat([v2(0x11, V4, { command: 0x31 }), Buffer.from(CLOSING)]),
    'v2 with another command': Buffer.concat([v2(0x11, V4, { command: 0x22 }), Buffer.from(CLOSING)]),
    'v2 too short for its family': Buffer.concat([v2(0x21, V4), Buffer.from(CLOSING)]),
    'v2 with 65,535 bytes': Buffer.concat([SIGNATURE, Buffer.from([0x21, 0x11, 0xff, 0xff]), Buffer.alloc(65535)]),
    'v2 with a signature that goes wrong': Buffer.from('0d0a0d0a000d0a51554954ff2111000c', 'hex'),
    'a second header': `PROXY TCP4 203.0.113.7 192.0.2.1 1 2\r\nPROXY TCP4 203.0.113.8 192.0.2.1 1 2\r\n${CLOSING}`,
  };
  for (const [name, bytes] of Object.entries(wrong)) {
    test(name, async () => {
      const answer = await rawExchange(weir.port, bytes);
      assert.ok(!answer.includes('hello'), answer.toString('latin1'));
      // Behind a good header it is a bad request; else nothing is said.
      assert.deepEqual(statuses(answer), name === 'a second header' ? [400] : []);
    });
  }

  test('one that never comes, or stops half-way, within header_timeout', async () => {
    for (const bytes of ['', 'PROXY TCP4 203.', SIGNATURE]) {
      const answer = await rawExchange(weir.port, bytes);
      assert.equal(answer.length, 0);
    }
  });

  test('a client that leaves half-way leaves nothing behind', async () => {
    const before = weir.openDescriptors();
    for (const way of ['end', 'reset']) {
      const c = await rawConnect(weir.port);
      await c.send('PROXY TCP4 203.');
      c[way]();
      await c.waitEnd();
      c.destroy();
    }
    await waitFor(() => weir.openDescriptors() <= before, { what: 'descriptors to be closed' });
  });
});

test('from an address that may not send it, the connection is closed', async () => {
  for (const bytes of ['PROXY TCP4 192.0.2.9 192.0.2.1 1 2\r\n' + CLOSING, CLOSING, v2(0x11, V4)]) {
    const answer = await rawExchange(weir.ports[2], bytes);
    assert.equal(answer.length, 0);
  }
  assert.match(weir.log, /127\.0\.0\.1 is not in proxy_protocol_from/);
});

test('without proxy_protocol the header is a bad request', async (t) => {
  const plain = await startProbe(t);
  assert.deepEqual(statuses(await rawExchange(plain.port, HEADERS['v1 TCP4'][0] + CLOSING)), [400]);
  assert.deepEqual(statuses(await rawExchange(plain.port, Buffer.concat([HEADERS['v2 IPv4'][0], Buffer.from(CLOSING)]))), [400]);
});

describe('X-Forwarded-For', () => {
  async function remoteOf(gateway, headers, before = '') {
    const c = await rawConnect(gateway.port);
    c.send(before + get('/', { headers }));
    const seen = (await c.readResponse()).headers['x-remote'].split(' ')[0];
    c.destroy();
    return seen;
  }

  test('is not believed from anybody by default', async (t) => {
    const gateway = await startProbe(t);
    assert.equal(await remoteOf(gateway, { 'X-Forwarded-For': '203.0.113.7' }), '127.0.0.1');
  });

  test('is not believed from others than trusted_proxies', async (t) => {
    const gateway = await startProbe(t, { http: { trusted_proxies: ['192.0.2.0/24', '::1'] } });
    assert.equal(await remoteOf(gateway, { 'X-Forwarded-For': '203.0.113.7' }), '127.0.0.1');
  });

  test('from trusted_proxies: the last address that is none of theirs', async (t) => {
    const gateway = await startProbe(t, { http: { trusted_proxies: ['127.0.0.0/8', '192.0.2.0/24'] } });
    const cases = [
      ['203.0.113.7', '203.0.113.7'],
      ['2001:db8::7', '2001:db8::7'],
      ['198.51.100.1, 203.0.113.7', '203.0.113.7'], // what stands before may be the client's invention
      ['203.0.113.7, 192.0.2.5', '203.0.113.7'],
      ['198.51.100.1, 203.0.113.7, 192.0.2.5, 192.0.2.6', '203.0.113.7'],
    ];
    for (const [value, expected] of cases) {
      assert.equal(await remoteOf(gateway, { 'X-Forwarded-For': value }), expected, value);
    }
    assert.equal(await remoteOf(gateway, {}), '127.0.0.1');
    assert.equal(await remoteOf(gateway, { 'X-Forwarded-For': 'nonsense' }), '127.0.0.1');
  });

  test('behind the PROXY protocol the balancer\'s client must be trusted, not the balancer', async (t) => {
    const gateway = await startProbe(t, {
      listen: ({ address }) => [{ address, proxy_protocol: true, proxy_protocol_from: ['127.0.0.1'] }],
      http: { trusted_proxies: ['127.0.0.0/8', '192.0.2.0/24'] },
    });
    const from = (address) => `PROXY TCP4 ${address} 127.0.0.1 1 2\r\n`;
    assert.equal(await remoteOf(gateway, { 'X-Forwarded-For': '203.0.113.7' }, from('198.51.100.1')), '198.51.100.1');
    assert.equal(await remoteOf(gateway, { 'X-Forwarded-For': '203.0.113.7' }, from('192.0.2.5')), '203.0.113.7');
  });
});
