// What clients see, and the log says, when a backend or a client misbehaves; and that nothing is left over after it.
//
// Each case is one function of an id, which is in its request's query, so that the last test can run all of them
// again, many at a time, and look for what they leave.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const { after, before, test } = require('node:test');
const { makeCertificates } = require('./lib/certs');
const { startFaulty } = require('./lib/faulty');
const { frame, closeFrame, takeFrame, closeOf, CONTINUATION, TEXT, BINARY, CLOSE, PING } = require('./lib/frames');
const { wholeFile } = require('./lib/probe');
const { rawConnect, upgradeHead } = require('./lib/raw');
const { freePort, startWeir, waitFor } = require('./lib/weir');

const READ_TIMEOUT = 300; // ms, as configured below
const MAX_HEAD = 2048;
const MAX_MESSAGE = 64 * 1024;
const WAYS = ['http', 'tunnel', 'session'];

const whole = wholeFile(after);
let weir;
let faulty;
let baseline;
const waitingPeers = new Map(); // id: { behave, resolve }
const cases = [];
let ids = 0;

// Listens, accepts nothing, and has its backlog filled: a connect to it is not answered.
async function startFull(t) {
  const script = `const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('fs').writeSync(1, s.address().port + '\\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const port = await new Promise((resolve) => child.stdout.once('data', (text) => resolve(Number(text))));
  const fillers = [];
  t.after(async () => {
    fillers.forEach((socket) => socket.destroy());
    child.kill('SIGKILL');
    await exited;
  });
  for (let accepted = true; accepted; ) {
    const socket = net.connect({ port, host: '127.0.0.1' });
    fillers.push(socket);
    socket.on('error', () => {});
    accepted = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true));
      setTimeout(() => resolve(false), 400); // loopback answers at once or, the queue being full, not before a second
    });
  }
  return `127.0.0.1:${port}`;
}

before(async () => {
  faulty = await startFaulty(whole);
  faulty.behave = (peer) => {
    const expected = waitingPeers.get(peer.head.match(/n=(\d+)/)[1]);
    expected.behave(peer);
    expected.resolve(peer);
  };
  const certs = makeCertificates(whole);
  const pair = certs.pair('backend.example.com');
  const secure = { cert: fs.readFileSync(pair.certificate), key: fs.readFileSync(pair.private_key) };
  const untrusted = await startFaulty(whole, { tls: secure });
  const mute = await startFaulty(whole);
  const plain = { tries: 1, ejection: false, connect_timeout: '300ms', keep_alive: { max_idle: 0 } };
  const upstreams = {
    bad: { ...plain, servers: [faulty.address] },
    kept: { ...plain, servers: [faulty.address], keep_alive: { max_idle: 4 } },
    dead: { ...plain, servers: [`127.0.0.1:${await freePort()}`] },
    full: { ...plain, servers: [await startFull(whole)] },
    mute: { ...plain, servers: [mute.address], tls: { verify: false } },
    untrusted: { ...plain, servers: [untrusted.address], tls: { ca: pair.certificate, server_name: 'other.example.com' } },
  };
  const route = (name, way) => {
    const more = { read_timeout: `${READ_TIMEOUT}ms`, max_head_size: MAX_HEAD, max_message_size: MAX_MESSAGE, close_timeout: '300ms' };
    const handler = { proxy: name, ...more, ping_interval: '100ms', ping_timeout: '200ms' };
    const websocket = way === 'session' ? { close_timeout: '300ms' } : false;
    return JSON.stringify({ path: `/${name}/${way}`, websocket, max_body_size: '1GiB', plugins: ['access_log'], handler });
  };
  weir = await startWeir(
    whole,
    ({ address }) => `
workers: 1
listen: [{address: "${address}"}]
upstreams: ${JSON.stringify(upstreams)}
routes: [${Object.keys(upstreams).flatMap((name) => WAYS.map((way) => route(name, way)))}]
`,
    { env: { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS || ''}:quarantine_size_mb=1` } }, // else what is freed counts for long
  );
  await weir.waitForLog(/serving with/);
  baseline = weir.openDescriptors();
});

// Nothing of a case is left: no descriptor at the gateway, no connection at the backend.
async function settled() {
  const now = () => `${weir.openDescriptors()} descriptors and ${faulty.open} connections to the backend`;
  const wanted = `${baseline} descriptors and 0 connections to the backend`;
  await waitFor(() => now() === wanted, { timeoutMs: 5000 }).catch(() => assert.equal(now(), wanted));
}

// Adds a case and tests it by itself. `run` gets an id. `alone`: it shares a pool, and runs beside no other.
function fault(title, run, { alone = false } = {}) {
  cases.push({ title, run, alone });
  test(title, async () => {
    await run(String(++ids));
    await settled();
  });
}

// The backend behaves so for the request with that id. Resolves with its peer, when that has come.
function backendDoes(id, behave = () => {}) {
  return new Promise((resolve) => waitingPeers.set(id, { behave, resolve }));
}

const targetOf = (way, id, upstream = 'bad') => `/${upstream}/${way}?n=${id}`;

// A connection on which the request has been sent. `head` replaces GET's first line and adds fields.
async function begin(way, id, { upstream, method = 'GET', fields = '' } = {}) {
  const target = targetOf(way, id, upstream);
  const c = await rawConnect(weir.port);
  c.send(way === 'http' ? `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n` : upgradeHead({ target }));
  return c;
}

// The access log's line of that id, as an object.
async function lineOf(id) {
  const [line] = await weir.waitForLog(new RegExp(`^\\{.*"query":"n=${id}".*\\}$`, 'm'));
  return JSON.parse(line);
}

async function expectLine(id, expected) {
  const line = await lineOf(id);
  const seen = Object.fromEntries(Object.keys(expected).map((key) => [key, line[key]]));
  assert.deepEqual(seen, expected, JSON.stringify(line));
}

// Asks, and expects that answer, whose body says `words`; the client may go on with its connection or is told not to.
async function expectStatus(way, id, status, words, options) {
  const c = await begin(way, id, options);
  const response = await c.readResponse();
  assert.equal(response.status, status, response.head);
  assert.match(response.body.toString(), words);
  c.destroy();
  const upstream = (options && options.upstream) || 'bad';
  await expectLine(id, { status, upstream });
  await weir.waitForLog(new RegExp(`INFO +proxy ${upstream}: 127\\.0\\.0\\.1:\\d+: .*${upstream === 'bad' ? words.source : ''}`));
}

// --- before there is an answer ---

for (const way of WAYS) {
  fault(`${way}: a backend that refuses the connection is a 502`, async (id) => {
    await expectStatus(way, id, 502, /no backend could be reached/, { upstream: 'dead' });
    await weir.waitForLog(/proxy dead: 127\.0\.0\.1:\d+: Connection refused/);
  });

  fault(`${way}: a backend that does not take the connection is a 504 after connect_timeout`, async (id) => {
    await expectStatus(way, id, 504, /did not accept a connection in time/, { upstream: 'full' });
    await weir.waitForLog(/proxy full: 127\.0\.0\.1:\d+: not connected within 300 ms/);
  });

  fault(`${way}: a backend that never answers the TLS handshake is a 504 after connect_timeout`, async (id) => {
    await expectStatus(way, id, 504, /did not accept a connection in time/, { upstream: 'mute' });
    await weir.waitForLog(/proxy mute: 127\.0\.0\.1:\d+: not connected within 300 ms/);
  });

  fault(`${way}: a backend whose certificate is for another name is a 502`, async (id) => {
    await expectStatus(way, id, 502, /no backend could be reached/, { upstream: 'untrusted' });
    await weir.waitForLog(/proxy untrusted: 127\.0\.0\.1:\d+: .*(hostname|host name|name)/i);
  });

  fault(`${way}: a backend that accepts and says nothing is a 504 after read_timeout`, async (id) => {
    backendDoes(id);
    const started = Date.now();
    await expectStatus(way, id, 504, /did not answer in time/);
    assert.ok(Date.now() - started >= READ_TIMEOUT - 10, `after ${Date.now() - started} ms`);
  });

  fault(`${way}: half a head, and then nothing, is a 504`, async (id) => {
    backendDoes(id, (peer) => peer.send('HTTP/1.1 200 OK\r\nContent-Le'));
    await expectStatus(way, id, 504, /did not answer in time/);
  });
}

const ODD_HEADS = {
  'no byte, and the end': ['', /closed the connection without an answer/],
  'half a head, and the end': ['HTTP/1.1 200 OK\r\nContent-Le', /closed the connection without an answer/],
  'another protocol': ['SSH-2.0-OpenSSH_9.6\r\n', /does not start with HTTP\/1\./],
  'HTTP/2 without being asked': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /does not start with HTTP\/1\./],
  'HTTP/1.2': ['HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n', /a version that is not/],
  'status 099': ['HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n', /status code/],
  'status 600': ['HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n', /status code/],
  'two lengths that differ': ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!', /Content-Length/],
  'a list of lengths that differ': ['HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!', /Content-Length/],
  'a length and chunks': ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', /both Content-Length and Transfer-Encoding/],
  'a length that is no number': ['HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello', /Content-Length/],
  'a negative length': ['HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', /Content-Length/],
  'a length over 64 bits': ['HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n', /Content-Length/],
  'an unknown coding': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx', /transfer coding/],
  'a blank before a colon': ['HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n', /./],
  'a line without a colon': ['HTTP/1.1 200 OK\r\nnonsense\r\n\r\n', /./],
  'a NUL in a value': ['HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n', /./],
  'a bare line feed': ['HTTP/1.1 200 OK\nContent-Length: 0\n\n', /./],
};

for (const [what, [bytes, words]] of Object.entries(ODD_HEADS)) {
  for (const way of WAYS) {
    fault(`${way}: ${what} is a 502`, async (id) => {
      backendDoes(id, (peer) => {
        peer.send(bytes);
        peer.end();
      });
      await expectStatus(way, id, 502, words);
    });
  }
}

for (const way of WAYS) {
  fault(`${way}: a reset within the head is a 502`, async (id) => {
    backendDoes(id, (peer) => peer.sendAndReset('HTTP/1.1 200 OK\r\n'));
    await expectStatus(way, id, 502, /closed the connection without an answer/);
  });

  fault(`${way}: interim responses without end are a 502`, async (id) => {
    backendDoes(id, (peer) => peer.send('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(17)));
    const c = await begin(way, id);
    let response = await c.readResponse();
    while (response.status === 103) {
      response = await c.readResponse();
    }
    assert.equal(response.status, 502);
    assert.match(response.body.toString(), /interim responses without end/);
    c.destroy();
    await expectLine(id, { status: 502 });
  });
}

// A head of exactly that size.
function padded(start, size) {
  const rest = size - start.length - 'X-Pad: \r\n\r\n'.length;
  return `${start}X-Pad: ${'p'.repeat(rest)}\r\n\r\n`;
}

const startOf = (way, peer) => (way === 'http' ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n' : peer.switching.slice(0, -2));

for (const way of WAYS) {
  fault(`${way}: a head of max_head_size passes`, async (id) => {
    const peer = backendDoes(id, (it) => it.send(padded(startOf(way, it), MAX_HEAD) + (way === 'http' ? 'ok' : '')));
    const c = await begin(way, id);
    const { status, headers } = await c.readResponse();
    assert.equal(status, way === 'http' ? 200 : 101);
    assert.match(headers['x-pad'], /^p{500,}$/);
    c.reset();
    await (await peer).gone;
  });

  fault(`${way}: a head of one byte more is a 502`, async (id) => {
    backendDoes(id, (peer) => peer.send(padded(startOf(way, peer), MAX_HEAD + 1)));
    await expectStatus(way, id, 502, /the head of the response is too large/);
  });

  fault(`${way}: a head without end is a 502 as soon as it is too large`, async (id) => {
    const peer = backendDoes(id, (it) => it.send(`HTTP/1.1 200 OK\r\nX-Pad: ${'p'.repeat(MAX_HEAD)}`));
    await expectStatus(way, id, 502, /the head of the response is too large/);
    await (await peer).gone;
  });
}

// --- switches ---

fault('http: a 101 that nobody asked for is a 502', async (id) => {
  backendDoes(id, (peer) => peer.send('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'));
  await expectStatus('http', id, 502, /switches to a protocol that nobody asked for/);
});

fault('tunnel: a 101 that names no protocol is a 502', async (id) => {
  backendDoes(id, (peer) => peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n'));
  await expectStatus('tunnel', id, 502, /switches to a protocol that nobody asked for/);
});

fault('tunnel: a 101 with the wrong accept key passes as it is: it is the client’s to check', async (id) => {
  const peer = backendDoes(id, (it) => it.send(it.switching.replace(it.accept, 'd3Jvbmc=')));
  const c = await begin('tunnel', id);
  const response = await c.readResponse();
  assert.deepEqual([response.status, response.headers['sec-websocket-accept']], [101, 'd3Jvbmc=']);
  c.end();
  await (await peer).gone;
  await c.waitEnd();
  c.destroy();
});

const BAD_SWITCHES = {
  'the wrong accept key': [(head, accept) => head.replace(accept, 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='), /does not match the key/],
  'no accept key': [(head) => head.replace(/Sec-WebSocket-Accept.*\r\n/, ''), /not one Sec-WebSocket-Accept/],
  'two accept keys': [(head, accept) => head.replace(/\r\n\r\n/, `\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`), /not one Sec-WebSocket-Accept/],
  'another protocol': [(head) => head.replace('Upgrade: websocket', 'Upgrade: h2c'), /Upgrade is not websocket/],
  'no Connection field': [(head) => head.replace('Connection: Upgrade\r\n', ''), /Connection does not list upgrade/],
  'HTTP/1.0': [(head) => head.replace('HTTP/1.1', 'HTTP/1.0'), /HTTP\/1\.0/],
  'a subprotocol that was not offered': [(head) => head.replace(/\r\n\r\n/, '\r\nSec-WebSocket-Protocol: chat\r\n\r\n'), /subprotocol that was not offered/],
  'an extension that was not offered': [(head) => head.replace(/\r\n\r\n/, '\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n'), /extension that was not offered/],
};

for (const [what, [spoil, words]] of Object.entries(BAD_SWITCHES)) {
  fault(`session: a 101 with ${what} is a 502`, async (id) => {
    backendDoes(id, (peer) => peer.send(spoil(peer.switching, peer.accept)));
    await expectStatus('session', id, 502, words);
  });
}

// --- within a body ---

const CUT_BODIES = {
  'half a body with a length, and the end': ['HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', 'end', 'the backend was lost'],
  'half a body with a length, and a reset': ['HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', 'reset', 'the backend was lost'],
  'half a body with a length, and silence': ['HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', 'silence', 'the backend was silent for too long'],
  'chunks without the last one, and the end': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'end', 'the backend was lost'],
  'half a chunk, and the end': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello', 'end', 'the backend was lost'],
  'the last chunk without its end': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n', 'end', 'the backend was lost'],
  'chunks, and a reset': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'reset', 'the backend was lost'],
  'chunks, and silence': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'silence', 'the backend was silent for too long'],
  'a chunk with a bad size': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n', 'silence', 'the backend sent a malformed body'],
  'a chunk longer than its size': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!!\r\n0\r\n\r\n', 'silence', 'the backend sent a malformed body'],
  'a body that ends with the connection, and a reset': ['HTTP/1.1 200 OK\r\n\r\nhello', 'reset', 'the backend was lost'],
  'a body that ends with the connection, and silence': ['HTTP/1.1 200 OK\r\n\r\nhello', 'silence', 'the backend was silent for too long'],
};

for (const [what, [bytes, how, words]] of Object.entries(CUT_BODIES)) {
  fault(`http: ${what}: the client sees that it was cut`, async (id) => {
    let passed;
    const clientHas = new Promise((resolve) => (passed = resolve));
    const peer = backendDoes(id, async (it) => {
      await it.send(bytes);
      await clientHas; // a reset may overtake what was sent before it
      if (how !== 'silence') {
        it[how]();
      }
    });
    const c = await begin('http', id);
    const head = (await c.readUntil('\r\n\r\n')).toString('latin1');
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
    const start = (await c.readUntil('hello')).toString('latin1');
    passed();
    const rest = (await c.readToEnd()).toString('latin1');
    if (/Content-Length: 10/i.test(head)) {
      assert.equal(start + rest, 'hello');
    } else if (/chunked/i.test(head)) {
      assert.ok(!/\r\n0\r\n/.test(start + rest), 'no last chunk');
    } else {
      assert.equal(c.error && c.error.code, 'ECONNRESET', 'nothing but a reset tells of the cut');
    }
    c.destroy();
    await (await peer).gone;
    await expectLine(id, { status: 200, closed_by: 'backend', words });
  });
}

// --- more than was promised ---

const EVIL = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Evil: yes\r\n\r\nevil';
const WITH_EXTRA = {
  'behind a body with a length': ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 'ok'],
  'behind the last chunk': ['GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n', 'ok'],
  'behind a 204': ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
  'behind a 304': ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', ''],
  'behind an answer to HEAD': ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', ''],
};

for (const [what, [method, bytes, body]] of Object.entries(WITH_EXTRA)) {
  for (const when of ['at once', 'later']) {
    fault(`http: bytes ${what} (${when}) reach nobody, and their connection is not used again`, async (id) => {
      const next = `${id}00000`;
      const first = backendDoes(id, (peer) => peer.send(when === 'at once' ? bytes + EVIL : bytes));
      const second = backendDoes(next, (peer) => peer.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnext'));
      const c = await begin('http', id, { upstream: 'kept', method });
      const response = await c.readResponse({ request: method });
      assert.equal(response.body.toString(), body);
      if (when === 'later') {
        (await first).send(EVIL);
        await (await first).gone; // it is thrown away while it is idle
      }
      c.send(`GET ${targetOf('http', next, 'kept')} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      assert.equal((await c.readResponse()).body.toString(), 'next');
      assert.notEqual(await second, await first);
      c.destroy();
    }, { alone: true });
  }
}

// --- frames of a session ---

const server = (options) => frame({ mask: null, ...options });
const serverClose = (code, reason) => closeFrame(code, reason, { mask: null });
const PROTOCOL = 'the backend broke the WebSocket protocol';

// What the backend sends, the code that it is told, and the reason that the client is told.
const BAD_FRAMES = {
  'a masked frame': [frame({ payload: 'hi' }), 1002],
  'RSV1 without an extension': [server({ payload: 'hi', rsv: 4 }), 1002],
  'RSV2': [server({ payload: 'hi', rsv: 2 }), 1002],
  'RSV3 on a ping': [server({ opcode: PING, rsv: 1 }), 1002],
  'opcode 3': [server({ opcode: 3 }), 1002],
  'opcode 15': [server({ opcode: 15 }), 1002],
  'text that is not UTF-8': [server({ payload: Buffer.from([0x68, 0xff]) }), 1007],
  'text that ends inside a character': [server({ payload: Buffer.from([0xe2, 0x82]) }), 1007],
  'a fragmented ping': [server({ opcode: PING, fin: false }), 1002],
  'a ping of 126 bytes': [server({ opcode: PING, payload: 'p'.repeat(126) }), 1002],
  'a continuation without a beginning': [server({ opcode: CONTINUATION, payload: 'x' }), 1002],
  'a message within a message': [Buffer.concat([server({ fin: false, payload: 'a' }), server({ payload: 'b' })]), 1002],
  'a length in a longer form than it needs': [server({ payload: 'hi', lengthBytes: 2 }), 1002],
  'a length of 63 bits and more': [server({ length: 2n ** 63n, lengthBytes: 8 }), 1002],
  'a close frame of one byte': [server({ opcode: CLOSE, payload: 'x' }), 1002],
  'close code 999': [serverClose(999), 1002],
  'close code 1005': [serverClose(1005), 1002],
  'close code 1006': [serverClose(1006), 1002],
  'close code 1015': [serverClose(1015), 1002],
  'close code 5000': [serverClose(5000), 1002],
  'a close reason that is not UTF-8': [serverClose(1000, Buffer.from([0xff])), 1007],
  'a message over max_message_size': [server({ opcode: BINARY, length: MAX_MESSAGE + 1 }), 1009, 'a message of the backend is too large'],
};

// Frames of the client as the backend gets them, until `opcode` has come.
async function readFramesOf(peer, opcode) {
  const frames = [];
  await waitFor(
    () => {
      for (let taken = takeFrame(peer.received); taken; taken = takeFrame(peer.received)) {
        peer.received = peer.received.subarray(taken.size);
        frames.push(taken.frame);
      }
      return frames.some((one) => one.opcode === opcode);
    },
    { what: `a frame with opcode ${opcode}` },
  );
  return frames.find((one) => one.opcode === opcode);
}

// The close frame that ends a session, answered, and the end of its connection.
async function expectClose(c, code, reason) {
  let last = await c.readFrame();
  while (last.opcode !== CLOSE) {
    last = await c.readFrame();
  }
  assert.deepEqual(closeOf(last), { code, reason });
  c.send(closeFrame(code));
  await c.waitEnd();
  c.destroy();
}

for (const [what, [bytes, code, reason = PROTOCOL]] of Object.entries(BAD_FRAMES)) {
  for (const when of ['with the 101', 'later']) {
    fault(`session: ${what} (${when}): the backend is told ${code}, the client 1014`, async (id) => {
      const peer = backendDoes(id, (it) => it.send(when === 'later' ? it.switching : Buffer.concat([Buffer.from(it.switching), bytes])));
      const c = await begin('session', id);
      assert.equal((await c.readResponse()).status, 101);
      if (when === 'later') {
        (await peer).send(bytes);
      }
      await expectClose(c, 1014, reason);
      assert.equal(closeOf(await readFramesOf(await peer, CLOSE)).code, code);
      await (await peer).gone;
      await expectLine(id, { status: 101, code: 1014, reason, closed_by: 'backend', words: PROTOCOL });
    });
  }
}

fault('session: a message of max_message_size passes', async (id) => {
  const peer = backendDoes(id, (it) => it.send(Buffer.concat([Buffer.from(it.switching), server({ opcode: BINARY, payload: Buffer.alloc(MAX_MESSAGE, 7) }), serverClose(1000)])));
  const c = await begin('session', id);
  assert.equal((await c.readResponse()).status, 101);
  let size = 0;
  for (let got = await c.readFrame(); ; got = await c.readFrame()) {
    if (got.opcode === CLOSE) {
      assert.equal(closeOf(got).code, 1000);
      break;
    }
    size += got.payload.length;
  }
  assert.equal(size, MAX_MESSAGE);
  c.send(closeFrame(1000));
  (await peer).end();
  await c.waitEnd();
  c.destroy();
});

const LOST = 'the backend was lost';
for (const how of ['end', 'reset']) {
  for (const [what, bytes] of Object.entries({
    'between two messages': server({ payload: 'hello' }),
    'inside a frame': Buffer.concat([server({ payload: 'hello' }), server({ payload: 'x'.repeat(200) }).subarray(0, 50)]),
    'inside a frame’s head': Buffer.concat([server({ payload: 'hello' }), server({ payload: 'x'.repeat(200) }).subarray(0, 3)]),
    'inside a message': Buffer.concat([server({ payload: 'hello' }), server({ fin: false, payload: 'one' })]),
  })) {
    fault(`session: a backend that is gone ${what} (${how}) closes the client with 1014`, async (id) => {
      const peer = backendDoes(id, (it) => it.send(Buffer.concat([Buffer.from(it.switching), bytes])));
      const c = await begin('session', id);
      assert.equal((await c.readResponse()).status, 101);
      assert.equal((await c.readFrame()).payload.toString(), 'hello');
      (await peer)[how]();
      await expectClose(c, 1014, LOST);
      await expectLine(id, { code: 1014, closed_by: 'backend', words: LOST });
    });
  }
}

fault('session: a backend that answers no ping is lost', async (id) => {
  const peer = backendDoes(id, (it) => it.send(it.switching));
  const c = await begin('session', id);
  assert.equal((await c.readResponse()).status, 101);
  await expectClose(c, 1014, 'the backend was silent for too long');
  assert.equal(closeOf(await readFramesOf(await peer, CLOSE)).code, 1001);
  await (await peer).gone;
  await expectLine(id, { code: 1014, closed_by: 'backend' });
});

fault('session: a backend that closes and never ends its connection is cut after close_timeout', async (id) => {
  const peer = backendDoes(id, (it) => it.send(Buffer.concat([Buffer.from(it.switching), serverClose(4000, 'enough')])));
  const c = await begin('session', id);
  assert.equal((await c.readResponse()).status, 101);
  await expectClose(c, 4000, 'enough');
  await (await peer).gone;
  await expectLine(id, { code: 4000, reason: 'enough', closed_by: 'backend', words: 'closed by the backend' });
});

fault('session: a backend that ignores the client’s close is cut after close_timeout, and the client does not wait', async (id) => {
  const peer = backendDoes(id, (it) => it.send(it.switching));
  const c = await begin('session', id);
  assert.equal((await c.readResponse()).status, 101);
  c.send(closeFrame(4001, 'bye'));
  const echoed = await c.readFrame();
  assert.deepEqual(closeOf(echoed).code, 4001);
  await c.waitEnd();
  c.destroy();
  assert.deepEqual(closeOf(await readFramesOf(await peer, CLOSE)), { code: 4001, reason: 'bye' });
  await (await peer).gone;
  await expectLine(id, { code: 4001, closed_by: 'client' });
});

// --- tunnels ---

fault('tunnel: what is no frame passes as it is, both ways', async (id) => {
  const junk = Buffer.concat(Object.values(BAD_FRAMES).map(([bytes]) => bytes));
  const peer = backendDoes(id, (it) => it.send(Buffer.concat([Buffer.from(it.switching), junk])));
  const c = await begin('tunnel', id);
  assert.equal((await c.readResponse()).status, 101);
  assert.deepEqual(await c.readBytes(junk.length), junk);
  c.send(junk);
  await waitFor(async () => (await peer).received.length === junk.length, { what: 'all bytes' });
  assert.deepEqual((await peer).received, junk);
  c.end();
  await (await peer).gone;
  await c.waitEnd();
  c.destroy();
});

fault('tunnel: a backend that resets: the client has what came before, and the connection is over', async (id) => {
  const peer = backendDoes(id, (it) => it.send(`${it.switching}half a`));
  const c = await begin('tunnel', id);
  assert.equal((await c.readResponse()).status, 101);
  await c.readUntil('half a');
  (await peer).reset();
  await c.waitEnd();
  c.destroy();
  await expectLine(id, { status: 101, closed_by: 'backend', words: LOST });
});

fault('tunnel: a backend that ends its half still hears the client, until that ends too', async (id) => {
  const peer = backendDoes(id, (it) => it.send(it.switching));
  const c = await begin('tunnel', id);
  assert.equal((await c.readResponse()).status, 101);
  (await peer).end();
  await c.waitEnd();
  c.send('last words');
  await waitFor(async () => (await peer).received.toString() === 'last words', { what: 'the last words' });
  c.end();
  await (await peer).gone;
  c.destroy();
});

// --- clients that vanish ---

const VANISH = { reset: (c) => c.reset(), 'close': (c) => c.destroy() };

for (const [how, vanish] of Object.entries(VANISH)) {
  for (const way of WAYS) {
    fault(`${way}: a client that leaves (${how}) while it waits for an answer is noticed, and its backend let go`, async (id) => {
      const peer = backendDoes(id);
      const c = await begin(way, id);
      await peer;
      const started = Date.now();
      vanish(c);
      await (await peer).gone;
      assert.ok(Date.now() - started < READ_TIMEOUT + 4000);
      await expectLine(id, { closed_by: 'client', words: 'the client has gone before its answer' });
    });
  }

  fault(`http: a client that leaves (${how}) in the middle of its upload is cut off the backend too`, async (id) => {
    const peer = backendDoes(id);
    const c = await begin('http', id, { method: 'POST', fields: 'Content-Length: 1000000\r\n' });
    c.send('u'.repeat(50000));
    await waitFor(async () => (await peer).received.length === 50000, { what: 'half the upload' });
    vanish(c);
    await (await peer).gone;
    assert.equal((await peer).received.length, 50000);
    await expectLine(id, { closed_by: 'client' });
  });

  fault(`http: a client that leaves (${how}) in the middle of a chunk of its upload`, async (id) => {
    const peer = backendDoes(id);
    const c = await begin('http', id, { method: 'POST', fields: 'Transfer-Encoding: chunked\r\n' });
    c.send('ffff\r\nbeginning');
    await waitFor(async () => (await peer).received.includes('beginning'), { what: 'half the chunk' });
    vanish(c);
    await (await peer).gone;
    assert.ok(!/\r\n0\r\n\r\n$/.test((await peer).received.toString('latin1')), 'the backend is not told that it was all');
    await expectLine(id, { closed_by: 'client' });
  });

  fault(`http: a client that leaves (${how}) in the middle of its download`, async (id) => {
    const peer = backendDoes(id, (it) => it.send(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'d'.repeat(50000)}`));
    const c = await begin('http', id);
    await c.readUntil('\r\n\r\n');
    await c.readBytes(50000);
    vanish(c);
    await (await peer).gone;
    await expectLine(id, { status: 200, closed_by: 'client' });
  });

  fault(`http: a client that leaves (${how}) with megabytes on their way to it`, async (id) => {
    const peer = backendDoes(id, (it) => it.send(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n'), Buffer.alloc(30000000)])));
    const c = await begin('http', id);
    await c.readUntil('\r\n\r\n');
    c.pause();
    await peer;
    vanish(c);
    await (await peer).gone;
    await expectLine(id, { status: 200, closed_by: 'client' });
  });

  fault(`session: a client that leaves (${how}) in the middle of a frame: its backend is told 1001`, async (id) => {
    const peer = backendDoes(id, (it) => it.send(it.switching));
    const c = await begin('session', id);
    assert.equal((await c.readResponse()).status, 101);
    c.send(frame({ payload: 'whole' }));
    await readFramesOf(await peer, TEXT);
    c.send(frame({ payload: 'x'.repeat(1000) }).subarray(0, 500));
    await waitFor(async () => (await peer).received.length > 0, { what: 'the first half' });
    vanish(c);
    assert.equal(closeOf(await readFramesOf(await peer, CLOSE)).code, 1001);
    await (await peer).gone;
    await expectLine(id, { code: 1006, closed_by: 'client', words: 'the connection was cut' });
  });

  fault(`tunnel: a client that leaves (${how}) takes its backend along`, async (id) => {
    const peer = backendDoes(id, (it) => it.send(it.switching));
    const c = await begin('tunnel', id);
    assert.equal((await c.readResponse()).status, 101);
    c.send('half a');
    await waitFor(async () => (await peer).received.length === 6, { what: 'the first half' });
    vanish(c);
    await (await peer).gone;
    await lineOf(id);
  });
}

for (const way of WAYS) {
  fault(`${way}: a client that leaves in the middle of its head asks no backend`, async (id) => {
    const before = faulty.connections;
    const c = await rawConnect(weir.port);
    await c.send(upgradeHead({ target: targetOf(way, id) }).slice(0, -4));
    c.reset();
    await settled();
    assert.equal(faulty.connections, before);
  }, { alone: true });
}

// --- all of them again ---

async function runEach(todo) {
  for (let next = todo.pop(); next; next = todo.pop()) {
    await next.run(String(++ids)).catch((error) => {
      error.message = `${next.title}: ${error.message}`;
      throw error;
    });
  }
}

async function runAll(width) {
  await runEach(cases.filter(({ alone }) => alone));
  const together = cases.filter(({ alone }) => !alone);
  await Promise.all(Array.from({ length: width }, () => runEach(together)));
  await settled();
}

test('after some hundreds of faults at a time there is no descriptor and no memory left over', async () => {
  await runAll(12); // pools, buffers and arenas find their size
  await runAll(12);
  const start = weir.residentBytes();
  await runAll(12);
  await runAll(12);
  const grown = weir.residentBytes() - start;
  assert.ok(cases.length > 150, `${cases.length} cases`);
  assert.ok(grown < 1024 * 1024, `grew by ${grown} bytes over ${2 * cases.length} faults`);
});
