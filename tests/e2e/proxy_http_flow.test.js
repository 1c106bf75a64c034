// Large bodies pass in flat memory, both ways and in both framings, and whoever is slow slows the other side down.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const { once } = require('node:events');
const { test, describe } = require('node:test');
const { startProxy } = require('./lib/backend');
const { binary, waitFor } = require('./lib/weir');

const MIB = 1024 * 1024;
const ADDRESS_SANITIZER = fs.readFileSync(binary).includes('__asan_init');
const SIZE = (ADDRESS_SANITIZER ? 128 : 1024) * MIB;
const STALL_SIZE = 96 * MIB; // far more than the kernel keeps for four sockets
const FLAT = (ADDRESS_SANITIZER ? 24 : 4) * MIB;
const STEP = SIZE / 16; // a look at the gateway's memory after each

// A stream of bytes in which nothing can be lost, doubled or exchanged unnoticed: its period is a prime.
const PERIOD = Buffer.from(Array.from({ length: 1048573 }, (_, i) => (i * 7 + (i >> 8) * 13 + (i >> 16)) & 255));

// Checks pieces against that stream, at memcmp's speed.
class Checker {
  constructor() {
    this.size = 0;
    this.wrong = null; // the offset of the first piece that differs
  }

  take(piece) {
    for (let done = 0; done < piece.length && this.wrong === null; ) {
      const at = (this.size + done) % PERIOD.length;
      const size = Math.min(piece.length - done, PERIOD.length - at);
      if (PERIOD.compare(piece, done, done + size, at, at + size) !== 0) {
        this.wrong = this.size + done;
      }
      done += size;
    }
    this.size += piece.length;
  }
}

// Writes `size` bytes of the stream into a request or response, as fast as they are taken. `sink.sent` counts what was
// handed over, and is taken.
async function pour(sink, size) {
  sink.sent = 0;
  while (sink.sent < size && !sink.destroyed) {
    const piece = PERIOD.subarray(0, Math.min(PERIOD.length, size - sink.sent));
    const taken = sink.write(piece);
    sink.sent += piece.length;
    if (!taken) {
      await Promise.race([once(sink, 'drain'), once(sink, 'close')]);
    }
  }
  sink.end();
}

async function drink(source, each = () => {}) {
  const checker = new Checker();
  for await (const piece of source) {
    checker.take(piece);
    each(checker.size);
  }
  return checker;
}

const checked = (checker, size) => assert.deepEqual([checker.size, checker.wrong], [size, null]);

// A backend by node:http and a gateway in front. `weir.agent` is for clients.
async function start(t, respond) {
  const server = http.createServer(respond);
  server.requestTimeout = 0;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  const weir = await startProxy(t, `127.0.0.1:${server.address().port}`, {
    route: { max_body_size: SIZE },
    env: { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS || ''}:quarantine_size_mb=1` }, // what is freed is no memory in use
  });
  weir.agent = agent;
  return weir;
}

const request = (weir, method, headers = {}, path = '/') => http.request({ port: weir.port, host: '127.0.0.1', method, path, headers, agent: weir.agent });

const answerTo = (sent) =>
  new Promise((resolve, reject) => {
    sent.on('response', resolve);
    sent.on('error', reject);
  });

async function download(weir, headers = {}) {
  const asked = request(weir, 'GET', headers);
  asked.end();
  return answerTo(asked);
}

async function upload(weir, size, headers) {
  const asked = request(weir, 'POST', headers);
  const answered = answerTo(asked);
  pour(asked, size);
  const response = await answered;
  return JSON.parse(Buffer.concat(await response.toArray()).toString());
}

// Sends what it has poured, or says what it has drunk. A request can ask for `x-size` bytes, framed in chunks or not.
const pourer = (req, res) => {
  const size = Number(req.headers['x-size'] || SIZE);
  res.writeHead(200, req.headers['x-chunked'] ? {} : { 'Content-Length': size });
  pour(res, size);
};
const drinker = async (req, res, each) => res.end(JSON.stringify(await drink(req, each)));

describe('flat memory', () => {
  const flat = (weir, before) => (size) => {
    if (size >= weir.next) {
      weir.next += STEP;
      weir.looks++;
      weir.most = Math.max(weir.most, weir.residentBytes() - before);
    }
  };
  const assertFlat = (weir, before) => {
    assert.ok(weir.looks >= 15, `${weir.looks} looks`);
    assert.ok(weir.most <= FLAT, `${weir.most / MIB} MiB more while it passed`);
    assert.ok(weir.residentBytes() - before <= FLAT, 'more afterwards');
  };
  const reset = (weir) => Object.assign(weir, { next: STEP, looks: 0, most: 0 });

  for (const framing of ['by length', 'in chunks']) {
    test(`a large download ${framing}`, { timeout: 60000 }, async (t) => {
      const chunked = framing === 'in chunks' ? { 'X-Chunked': '1' } : {};
      const weir = reset(await start(t, pourer));
      checked(await drink(await download(weir, { 'X-Size': MIB, ...chunked })), MIB);
      const before = weir.residentBytes();
      const response = await download(weir, chunked);
      assert.equal(response.headers['transfer-encoding'], framing === 'in chunks' ? 'chunked' : undefined);
      checked(await drink(response, flat(weir, before)), SIZE);
      assertFlat(weir, before);
    });

    test(`a large upload ${framing}`, { timeout: 60000 }, async (t) => {
      const headers = (size) => (framing === 'in chunks' ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': size });
      let each;
      const weir = reset(await start(t, (req, res) => drinker(req, res, each)));
      checked(await upload(weir, MIB, headers(MIB)), MIB);
      const before = weir.residentBytes();
      each = flat(weir, before);
      checked(await upload(weir, SIZE, headers(SIZE)), SIZE);
      assertFlat(weir, before);
    });
  }
});

describe('back-pressure', () => {
  // Resolves when `sent()` has begun and then stood still for a while: nobody takes anything any more.
  async function stalls(sent) {
    let last = -1;
    let since = Date.now();
    await waitFor(
      () => {
        if (sent() !== last) {
          last = sent();
          since = Date.now();
        }
        return last > 0 && Date.now() - since > 400;
      },
      { what: 'the sender to be stopped', timeoutMs: 20000 },
    );
  }

  test('a client that does not read stops the backend', { timeout: 60000 }, async (t) => {
    let answering;
    const weir = await start(t, (req, res) => {
      answering = res;
      pourer(req, res);
    });
    checked(await drink(await download(weir, { 'X-Size': MIB })), MIB);
    const before = weir.residentBytes();
    const response = await download(weir, { 'X-Size': STALL_SIZE });
    await stalls(() => answering.sent);
    assert.ok(answering.sent < STALL_SIZE / 2, `the backend got rid of ${answering.sent / MIB} MiB`);
    assert.ok(weir.residentBytes() - before <= FLAT, `${(weir.residentBytes() - before) / MIB} MiB more`);
    checked(await drink(response), STALL_SIZE);
  });

  test('a backend that does not read stops the client', { timeout: 60000 }, async (t) => {
    let goOn;
    let mayRead = Promise.resolve();
    const weir = await start(t, async (req, res) => {
      await mayRead;
      await drinker(req, res);
    });
    checked(await upload(weir, MIB, { 'Content-Length': MIB }), MIB);
    const before = weir.residentBytes();
    mayRead = new Promise((resolve) => (goOn = resolve));
    const asked = request(weir, 'POST', { 'Content-Length': STALL_SIZE });
    const answered = answerTo(asked);
    pour(asked, STALL_SIZE);
    await stalls(() => asked.sent);
    assert.ok(asked.sent < STALL_SIZE / 2, `the client got rid of ${asked.sent / MIB} MiB`);
    assert.ok(weir.residentBytes() - before <= FLAT, `${(weir.residentBytes() - before) / MIB} MiB more`);
    goOn();
    const response = await answered;
    checked(JSON.parse(Buffer.concat(await response.toArray()).toString()), STALL_SIZE);
  });

  test('one that waits holds up nobody else', { timeout: 60000 }, async (t) => {
    let answering;
    const weir = await start(t, (req, res) => {
      answering = answering || res;
      pourer(req, res);
    });
    const slow = await download(weir, { 'X-Size': STALL_SIZE });
    await stalls(() => answering.sent);
    for (let i = 0; i < 10; i++) {
      checked(await drink(await download(weir, { 'X-Size': MIB })), MIB);
    }
    checked(await drink(slow), STALL_SIZE);
  });
});
