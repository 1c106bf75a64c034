// Nothing is lost for want of room: a client that sends much and reads late gets every echo, in order.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { connect } = require('./lib/client');
const { startWeir } = require('./lib/weir');

const route = ({ address, root }, settings) => `
workers: 1
log_level: warn
listen:
  - address: ${address}
plugin_path: [${root}/plugins]
routes:
  - path: /ws
    websocket: ${settings}
    handler: {lua: echo}
`;

// Sends `count` messages while nobody reads, then reads all of them. Echoes of another client of the same worker tell that
// it has had its turns with the burst.
async function burst(weir, client, count, size) {
  const other = await connect(weir.ws('/ws'), { perMessageDeflate: false });
  client.socket.pause();
  const sent = Promise.all(
    Array.from({ length: count }, (_, i) => client.send(String(i).padStart(8, '0') + 'x'.repeat(size - 8))),
  );
  sent.catch(() => {}); // a close on the way shows itself below
  for (let i = 0; i < 20; i++) {
    await other.send('turn');
    await other.next();
  }
  client.socket.resume();
  for (let i = 0; i < count; i++) {
    const { text } = await client.next();
    assert.equal(text.length, size);
    assert.equal(Number(text.slice(0, 8)), i);
  }
  await sent;
  other.close(1000);
  await other.closed;
}

// min_size keeps the echoes uncompressed.
test('small frames that inflate to far more than the queue may hold are all echoed', async (t) => {
  const weir = await startWeir(t, (at) => route(at, '{max_queue_size: 256KiB, compression: {min_size: 16MiB}}'));
  const client = await connect(weir.ws('/ws'), { perMessageDeflate: true });
  assert.match(client.extensions, /permessage-deflate/);
  await burst(weir, client, 300, 200 * 1024);
  client.close(1000);
  await client.closed;
});

test('more messages in one read than a small queue may hold are all echoed', async (t) => {
  const weir = await startWeir(t, (at) => route(at, '{max_queue_size: 4KiB}'));
  const client = await connect(weir.ws('/ws'), { perMessageDeflate: false });
  await burst(weir, client, 20000, 64);
  client.close(1000);
  await client.closed;
});
