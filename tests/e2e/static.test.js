// The static handler over real sockets: what a browser or an attacker sees of a folder. The rules of each field are
// proven in tests/unit/handlers and tests/unit/proto.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');
const { test, before, after, describe } = require('node:test');
const { startWeir, waitFor } = require('./lib/weir');
const { rawConnect } = require('./lib/raw');
const { wholeFile } = require('./lib/probe');

const MIB = 1024 * 1024;
const whole = wholeFile(after);
const SCRIPT = 'console.log("hello");\n'.repeat(500);
const LARGE = Buffer.alloc(3 * MIB + 17);
for (let i = 0; i < LARGE.length; i++) {
  LARGE[i] = (i * 7 + (i >> 8)) & 0xff;
}

let weir;

function inFolder(name) {
  return path.join(weir.dir, 'www', name);
}

// One request on its own connection; headers are 'Name: value' lines.
async function ask(target, { method = 'GET', headers = [] } = {}) {
  const lines = ['Host: localhost', 'Connection: close', ...headers].map((line) => `${line}\r\n`).join('');
  const connection = await rawConnect(weir.port);
  connection.send(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`);
  const response = await connection.readResponse({ request: method });
  const rest = await connection.readToEnd();
  connection.destroy();
  assert.equal(rest.length, 0, 'bytes behind the response');
  return response;
}

before(async () => {
  weir = await startWeir(
    whole,
    ({ address }) => `
workers: 1
listen:
  - address: ${address}
routes:
  - path: /
    handler: {static: www}
  - path: /files
    handler: {static: www, index: other.html, cache_control: "public, max-age=60", precompressed: off}
`,
    {
      files: {
        secret: 'secret',
        'www/index.html': '<p>root',
        'www/other.html': '<p>other',
        'www/docs/index.html': '<p>docs',
        'www/ten.txt': '0123456789',
        'www/empty.txt': '',
        'www/app.js': SCRIPT,
        'www/app.js.gz': zlib.gzipSync(SCRIPT),
        'www/large.bin': LARGE,
        'www/.env': 'hidden',
        'www/.git/config': 'hidden',
        'www/.well-known/security.txt': 'Contact: mailto:a@example.com',
        'www/%2e%2e/odd.txt': 'a name with percent signs',
      },
    },
  );
  fs.symlinkSync('../secret', inFolder('link_out'));
  fs.symlinkSync('..', inFolder('link_parent'));
  fs.symlinkSync('/etc/passwd', inFolder('link_absolute'));
  fs.symlinkSync('/proc/self/root', inFolder('link_proc'));
});

describe('files', () => {
  test('are sent with type, length, validators and nosniff', async () => {
    const { status, headers, body } = await ask('/ten.txt');
    assert.equal(status, 200);
    assert.equal(body.toString(), '0123456789');
    assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
    assert.equal(headers['content-length'], '10');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['cache-control'], 'no-cache');
    assert.equal(headers['accept-ranges'], 'bytes');
    assert.match(headers.etag, /^(W\/)?"[0-9a-f]{16}-a"$/);
    assert.ok(Math.abs(Date.parse(headers['last-modified']) - fs.statSync(inFolder('ten.txt')).mtimeMs) < 1000);
  });

  test('come whole, whatever their size', async () => {
    assert.equal((await ask('/empty.txt')).body.length, 0);
    assert.ok((await ask('/large.bin')).body.equals(LARGE));
    assert.equal((await ask('/app.js')).body.toString(), SCRIPT);
  });

  test('stand for folders, which need their slash', async () => {
    assert.equal((await ask('/')).body.toString(), '<p>root');
    assert.equal((await ask('/docs/')).body.toString(), '<p>docs');
    const { status, headers } = await ask('/docs?a=1&b');
    assert.equal(status, 301);
    assert.equal(headers.location, '/docs/?a=1&b');
  });

  test('of a route with a path lie below that path, with its settings', async () => {
    assert.equal((await ask('/files')).headers.location, '/files/');
    assert.equal((await ask('/files/')).body.toString(), '<p>other');
    assert.equal((await ask('/files/docs')).headers.location, '/files/docs/');
    const { headers } = await ask('/files/app.js', { headers: ['Accept-Encoding: gzip'] });
    assert.equal(headers['cache-control'], 'public, max-age=60');
    assert.equal(headers['content-encoding'], undefined);
    assert.equal(headers.vary, undefined);
  });

  test('can only be read', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const { status, headers } = await ask('/ten.txt', { method });
      assert.equal(status, 405);
      assert.equal(headers.allow, 'GET, HEAD, OPTIONS');
    }
    const { status, headers } = await ask('/ten.txt', { method: 'OPTIONS' });
    assert.equal(status, 204);
    assert.equal(headers.allow, 'GET, HEAD, OPTIONS');
    assert.equal(headers['content-length'], undefined);
  });

  test('change at once', async () => {
    fs.writeFileSync(inFolder('news.txt'), 'old');
    const first = await ask('/news.txt');
    fs.writeFileSync(inFolder('news.txt'), 'new');
    const second = await ask('/news.txt', { headers: [`If-None-Match: ${first.headers.etag}`] });
    assert.equal(second.status, 200);
    assert.equal(second.body.toString(), 'new');
  });
});

describe('nothing outside of the folder is sent', () => {
  const targets = [
    '/../secret',
    '/docs/../../secret',
    '/%2e%2e/secret',
    '/.%2e/secret',
    '/..%2fsecret',
    '/%2e%2e%2fsecret',
    '/..%5csecret',
    '/..\\secret',
    '/%252e%252e/secret',
    '/%c0%ae%c0%ae/secret',
    '/..;/secret',
    '/files/../../secret',
    '/files/..%2f..%2fsecret',
    '/link_out',
    '/link_parent/secret',
    '/link_absolute',
    '/link_proc/etc/passwd',
    '//etc/passwd',
    '/files//etc/passwd',
    '/secret',
    '/ten.txt%00',
    '/secret%00.html',
    '/.env',
    '/.git/config',
    '/%2egit/config',
    '/docs/../.env',
    '/ten.txt/',
    '/ten.txt/..%2f',
  ];
  for (const target of targets) {
    test(target, async () => {
      const { status, body } = await ask(target);
      assert.ok(status === 404 || status === 400, `status ${status}`);
      assert.ok(!/secret\n?$|root:|hidden/.test(body.toString()), body.toString());
    });
  }

  test('but .well-known and odd names inside are', async () => {
    assert.match((await ask('/.well-known/security.txt')).body.toString(), /^Contact/);
    assert.equal((await ask('/%252e%252e/odd.txt')).body.toString(), 'a name with percent signs');
  });

  test('and no redirect leads to another host', async () => {
    fs.mkdirSync(inFolder('\\evil.example'), { recursive: true });
    fs.mkdirSync(inFolder('evil.example'), { recursive: true });
    for (const target of ['//evil.example', '///evil.example', '/%5cevil.example', '/docs/..//evil.example']) {
      const { status, headers } = await ask(target);
      assert.equal(status, 301, target);
      const url = new URL(headers.location, 'http://localhost/');
      assert.equal(url.host, 'localhost', `${target} led to ${headers.location}`);
    }
  });
});

describe('validators', () => {
  test('answer 304 without a body, and the connection goes on', async () => {
    const { headers } = await ask('/ten.txt');
    const connection = await rawConnect(weir.port);
    for (const condition of [`If-None-Match: ${headers.etag}`, `If-Modified-Since: ${headers['last-modified']}`]) {
      connection.send(`GET /ten.txt HTTP/1.1\r\nHost: a\r\n${condition}\r\n\r\n`);
      const response = await connection.readResponse();
      assert.equal(response.status, 304, condition);
      assert.equal(response.headers.etag, headers.etag);
      assert.equal(response.headers['content-type'], undefined);
    }
    connection.send('GET /ten.txt HTTP/1.1\r\nHost: a\r\nIf-Match: "other"\r\n\r\n');
    assert.equal((await connection.readResponse()).status, 412);
    connection.send('GET /ten.txt HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal((await connection.readResponse()).body.toString(), '0123456789');
    connection.destroy();
  });

  test('differ between a file and its compressed twin', async () => {
    const gzip = await ask('/app.js', { headers: ['Accept-Encoding: gzip, br'] });
    const plain = await ask('/app.js', { headers: ['Accept-Encoding: gzip;q=0'] });
    assert.equal(gzip.headers['content-encoding'], 'gzip');
    assert.equal(gzip.headers['content-type'], 'text/javascript; charset=utf-8');
    assert.equal(zlib.gunzipSync(gzip.body).toString(), SCRIPT);
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.equal(plain.body.toString(), SCRIPT);
    assert.equal(gzip.headers.vary, 'Accept-Encoding');
    assert.equal(plain.headers.vary, 'Accept-Encoding');
    assert.notEqual(gzip.headers.etag, plain.headers.etag);
  });

  test('HEAD and GET say the same, and HEAD sends no body on a kept connection', async () => {
    const connection = await rawConnect(weir.port);
    for (const target of ['/ten.txt', '/large.bin', '/missing', '/docs']) {
      connection.send(`HEAD ${target} HTTP/1.1\r\nHost: a\r\n\r\nGET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const head = await connection.readResponse({ request: 'HEAD' });
      const get = await connection.readResponse();
      assert.equal(head.status, get.status, target);
      delete head.headers.date;
      delete get.headers.date;
      assert.deepEqual(head.headers, get.headers, target);
    }
    connection.destroy();
  });
});

describe('ranges', () => {
  test('are 206 with their bytes', async () => {
    const cases = [
      ['bytes=2-4', 2, 5],
      ['bytes=100-', 100, LARGE.length],
      ['bytes=-1000000', LARGE.length - 1000000, LARGE.length],
      ['bytes=1000000-2500000', 1000000, 2500001],
    ];
    for (const [range, from, to] of cases) {
      const { status, headers, body } = await ask('/large.bin', { headers: [`Range: ${range}`] });
      assert.equal(status, 206, range);
      assert.equal(headers['content-range'], `bytes ${from}-${to - 1}/${LARGE.length}`);
      assert.ok(body.equals(LARGE.subarray(from, to)), range);
    }
  });

  test('beyond the end are 416, several are answered whole', async () => {
    const beyond = await ask('/ten.txt', { headers: ['Range: bytes=10-'] });
    assert.equal(beyond.status, 416);
    assert.equal(beyond.headers['content-range'], 'bytes */10');
    const several = await ask('/ten.txt', { headers: ['Range: bytes=0-1,3-4'] });
    assert.equal(several.status, 200);
    assert.equal(several.body.toString(), '0123456789');
  });

  test('depend on If-Range', async () => {
    const etag = await waitFor(
      async () => {
        const { headers } = await ask('/ten.txt');
        return headers.etag.startsWith('"') && headers.etag;
      },
      { what: 'the tag to become strong' },
    );
    const same = await ask('/ten.txt', { headers: ['Range: bytes=0-1', `If-Range: ${etag}`] });
    assert.equal(same.status, 206);
    const other = await ask('/ten.txt', { headers: ['Range: bytes=0-1', 'If-Range: "other"'] });
    assert.equal(other.status, 200);
  });
});

describe('large files', () => {
  before(() => {
    const fd = fs.openSync(inFolder('huge.bin'), 'w');
    fs.ftruncateSync(fd, 200 * MIB);
    fs.closeSync(fd);
  });

  test('to a reader that stops cost no memory, and go on when it reads again', async () => {
    await ask('/large.bin'); // the worker's buffers are there
    // A sanitizer keeps freed memory; still it is far less than the file.
    const most = (/asan|tsan/.test(process.env.WEIR_BINARY || '') ? 96 : 20) * MIB;
    const start = weir.residentBytes();
    const connection = await rawConnect(weir.port, { timeoutMs: 30000 });
    let received = 0;
    connection.pause();
    connection.send('GET /huge.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    // Others are served meanwhile.
    for (let i = 0; i < 50; i++) {
      assert.equal((await ask('/ten.txt')).status, 200);
    }
    assert.ok(weir.residentBytes() - start < most, `grew by ${weir.residentBytes() - start}`);
    const done = new Promise((resolve) => connection.socket.once('end', resolve));
    connection.socket.removeAllListeners('data');
    connection.socket.on('data', (part) => (received += part.length));
    connection.resume();
    await done;
    connection.destroy();
    assert.ok(received > 200 * MIB && received < 200 * MIB + 1000, `received ${received}`);
    assert.ok(weir.residentBytes() - start < most, `grew by ${weir.residentBytes() - start}`);
  });

  test('that shrink while they are sent cut the connection', async () => {
    fs.writeFileSync(inFolder('shrinking.bin'), Buffer.alloc(64 * MIB));
    const connection = await rawConnect(weir.port, { timeoutMs: 30000 });
    connection.pause();
    connection.send('GET /shrinking.bin HTTP/1.1\r\nHost: a\r\n\r\n');
    await waitFor(() => openFiles().includes('shrinking.bin'), {
      what: 'the file to be open',
    });
    fs.truncateSync(inFolder('shrinking.bin'), 1000);
    connection.resume();
    await assert.rejects(connection.readResponse());
    connection.destroy();
    await weir.waitForLog(/shrinking\.bin could not be read to its end/);
    assert.equal((await ask('/ten.txt')).status, 200);
  });

  test('are closed when the client leaves', async () => {
    const connection = await rawConnect(weir.port);
    connection.pause();
    connection.send('GET /huge.bin HTTP/1.1\r\nHost: a\r\n\r\n');
    await waitFor(() => openFiles().includes('huge.bin'), { what: 'the file to be open' });
    connection.reset();
    await waitFor(() => !openFiles().includes('huge.bin'), { what: 'the file to be closed' });
  });
});

// The names of the files that the gateway has open.
function openFiles() {
  const folder = `/proc/${weir.pid}/fd`;
  return fs.readdirSync(folder).flatMap((fd) => {
    try {
      return [path.basename(fs.readlinkSync(`${folder}/${fd}`))];
    } catch {
      return []; // closed meanwhile
    }
  });
}

test('a folder that is not there is a configuration error', async () => {
  await assert.rejects(
    startWeir(null, ({ address }) => `
listen:
  - address: ${address}
routes:
  - path: /
    handler: {static: nowhere}
`),
    /nowhere/,
  );
});
