// A gateway with echo sessions, and whole conversations with it in one call.
//
//   const weir = await startEcho(t, { max_message_size: '64KiB' });   // the keys of `websocket:`
//   assert.deepEqual(await converse(weir, [frame({ payload: 'hi' }), closeFrame(1000)]), ['text hi', 'close 1000']);
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { startWeir } = require('./weir');
const { rawUpgrade } = require('./raw');
const { takeFrame, closeOf, TEXT, BINARY, CLOSE, PING, PONG } = require('./frames');

// Starts a gateway whose /ws echoes. `websocket`: a mapping, `'on'` by default. `top`: further lines of YAML;
// `handler`, `plugins`: as in a route. `options` are those of startWeir.
function startEcho(t, websocket = 'on', { top = '', handler = '{lua: echo}', plugins = '[]', ...options } = {}) {
  return startWeir(
    t,
    ({ address, root }) => `
workers: 1
log_level: warn
listen:
  - address: ${address}
plugin_path: [${root}/plugins, .]
${top}
routes:
  - path: /ws
    websocket: ${typeof websocket === 'string' ? websocket : JSON.stringify(websocket)}
    plugins: ${plugins}
    handler: ${handler}
`,
    options,
  );
}

const NAMES = { [TEXT]: 'text', [BINARY]: 'binary', [CLOSE]: 'close', [PING]: 'ping', [PONG]: 'pong' };

function shorten(text) {
  return text.length > 200 ? `${text.slice(0, 40)}...(${text.length})` : text;
}

// A frame in words: `text hi`, `binary 00ff`, `pong 68656c6c6f`, `close 1002`. Long payloads are cut, so compare
// them by themselves. What a server may never send is an error.
function describe(one) {
  const name = NAMES[one.opcode];
  assert.ok(name, `opcode ${one.opcode} from the gateway`);
  assert.equal(one.masked, false, 'a server does not mask (RFC 6455, section 5.1)');
  assert.equal(one.fin, true, 'the gateway does not fragment');
  assert.ok(one.opcode < CLOSE || one.payload.length <= 125, 'a control frame over 125 bytes');
  const compressed = one.rsv === 4 ? ' compressed' : '';
  assert.ok(one.rsv === 0 || one.rsv === 4, `RSV bits ${one.rsv} from the gateway`);
  if (one.opcode === CLOSE) {
    return `close ${closeOf(one).code}`;
  }
  return `${name}${compressed} ${shorten(one.opcode === TEXT ? one.payload.toString() : one.payload.toString('hex'))}`.trim();
}

// All frames in `bytes`, which must hold nothing else.
function framesOf(bytes) {
  const found = [];
  let rest = bytes;
  while (rest.length > 0) {
    const taken = takeFrame(rest);
    assert.ok(taken, `${rest.length} bytes at the end that are no frame`);
    found.push(taken.frame);
    rest = rest.subarray(taken.size);
  }
  return found;
}

// The ways in which bytes can come: all at once, a write per frame, a write per byte.
const DELIVERIES = {
  'at once': (c, frames) => c.send(Buffer.concat(frames)),
  'frame by frame': async (c, frames) => {
    for (const one of frames) {
      await c.sendSplit(one, one.length || 1);
    }
  },
  'byte by byte': (c, frames) => c.sendSplit(Buffer.concat(frames)),
};

// Upgrades, sends the frames (Buffers), and reads until the gateway has closed. Returns its frames in words.
async function converse(weir, frames, { delivery = 'at once', ...options } = {}) {
  const c = await rawUpgrade(weir.port, options);
  const end = c.readToEnd();
  end.catch(() => {}); // it is awaited below, after the sending
  await DELIVERIES[delivery](c, frames);
  const bytes = await end;
  c.destroy();
  return framesOf(bytes).map(describe);
}

// A raw connection must now be failed with `code`: nothing but a close frame, then the end.
async function assertFailed(c, code) {
  assert.equal(describe(await c.readFrame()), `close ${code}`);
  assert.equal((await c.readToEnd()).length, 0, 'bytes after the close frame');
  c.destroy();
}

// How many connections to 127.0.0.1 the gateway holds, by the kernel's own list; closed by the peer or not.
function openConnections(weir) {
  const LISTEN = '0A';
  const own = new Set();
  for (const fd of fs.readdirSync(`/proc/${weir.pid}/fd`)) {
    try {
      own.add(fs.readlinkSync(`/proc/${weir.pid}/fd/${fd}`));
    } catch {
      // it was closed since
    }
  }
  const rows = fs.readFileSync(`/proc/${weir.pid}/net/tcp`, 'utf8').trim().split('\n').slice(1).map((row) => row.trim().split(/\s+/));
  return rows.filter((row) => row[3] !== LISTEN && own.has(`socket:[${row[9]}]`)).length;
}

module.exports = { startEcho, converse, describe, framesOf, assertFailed, openConnections, DELIVERIES };
