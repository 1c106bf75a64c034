// The plugin message_filter: by kind, size and pattern, in both directions, dropping or closing.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { connect } = require('./lib/client');
const { wsBackend } = require('./lib/forward');
const { startBox, complaint } = require('./lib/box');

const filter = (config) => `{lua: message_filter, config: ${config}}`;

// Each message on a session of its own; what came of it.
async function outcome(weir, message, path = '/echo') {
  const client = await connect(weir.ws(path));
  await client.send(message);
  const result = await client.next().then(
    ({ data }) => data.toString(),
    () => client.closeInfo,
  );
  client.terminate();
  return result;
}

test('kinds that are not listed close the session with 1003', async (t) => {
  const weir = await startBox(t, filter('{kinds: [text]}'));
  for (const path of ['/echo', '/outer/echo']) {
    assert.equal(await outcome(weir, 'text', path), 'text');
    assert.deepEqual(await outcome(weir, Buffer.from('x'), path), { code: 1003, reason: 'binary messages are not accepted here' });
  }
});

test('both sides of each size', async (t) => {
  const weir = await startBox(t, filter('{min_size: 2, max_size: 5}'));
  assert.equal((await outcome(weir, 'a')).code, 1008);
  assert.equal(await outcome(weir, 'ab'), 'ab');
  assert.equal(await outcome(weir, 'abcde'), 'abcde');
  assert.deepEqual(await outcome(weir, 'abcdef'), { code: 1009, reason: 'the message is too large' });
});

test('a message must match one pattern of allow and none of deny', async (t) => {
  const weir = await startBox(t, filter(`{allow: ["^hello", "^%d+$"], deny: ["secret", "[<>]"], max_size: 100}`));
  for (const good of ['hello there', '123', '0']) {
    assert.equal(await outcome(weir, good), good);
  }
  for (const bad of ['say hello', '12a', '', 'hello secret', 'hello <b>']) {
    assert.deepEqual(await outcome(weir, bad), { code: 1008, reason: 'the message is not allowed' });
  }
});

test('drop swallows the message and the session goes on; the backend sees only the others', async (t) => {
  const backend = await wsBackend(t);
  const weir = await startBox(t, filter('{deny: ["bad"], action: drop}'), { backend });
  const client = await connect(weir.ws('/proxy'));
  const session = await backend.next();
  for (const text of ['one', 'a bad one', 'two', 'bad', 'three']) {
    await client.send(text);
  }
  for (const text of ['one', 'two', 'three']) {
    assert.equal((await session.next()).text, text);
  }
  await session.send('a bad answer'); // the other direction is not filtered
  assert.equal((await client.next()).text, 'a bad answer');
  client.close();
  await client.closed;
});

test('outwards, what the backend sends is filtered', async (t) => {
  const backend = await wsBackend(t);
  const weir = await startBox(t, filter('{deny: ["bad"], action: drop, direction: out}'), { backend });
  const client = await connect(weir.ws('/proxy'));
  const session = await backend.next();
  await client.send('bad');
  assert.equal((await session.next()).text, 'bad');
  await session.send('a bad answer');
  await session.send('a good answer');
  assert.equal((await client.next()).text, 'a good answer');
  client.close();
  await client.closed;
});

test('both directions, with a code and reason of one’s own', async (t) => {
  const backend = await wsBackend(t);
  const weir = await startBox(t, filter('{max_size: 3, direction: both, code: 4009, reason: no essays}'), { backend });
  const client = await connect(weir.ws('/proxy'));
  const session = await backend.next();
  await session.send('four');
  assert.deepEqual(await client.closed, { code: 4009, reason: 'no essays' });
  assert.equal((await session.closed).code, 4009);
  assert.deepEqual(await outcome(weir, 'four'), { code: 4009, reason: 'no essays' });
});

test('patterns meet messages that came in fragments or with NUL as whole', async (t) => {
  const weir = await startBox(t, filter('{deny: ["bad"]}'));
  const client = await connect(weir.ws('/echo'));
  await client.send('b', { fin: false });
  await client.send('ad', { fin: true });
  assert.equal((await client.closed).code, 1008);
  assert.equal((await outcome(weir, Buffer.from('x\0bad'))).code, 1008);
});

test('settings that are wrong are configuration errors', async () => {
  const said = (config) => complaint(filter(config));
  assert.match(await said('{kind: [text]}'), /config.kind is not known/);
  assert.match(await said('{kinds: [txt]}'), /config.kinds\[0\] must be text or binary, not "txt"/);
  assert.match(await said('{max_size: -1}'), /config.max_size must be a whole number of bytes/);
  assert.match(await said('{min_size: 2, max_size: 1}'), /nothing would pass/);
  assert.match(await said('{allow: bad}'), /config.allow must be a list of strings/);
  assert.match(await said('{action: drop, code: 4000}'), /are for `action: close`/);
  assert.match(await said('{code: 1008}'), /config.code must be a whole number from 3000/);
  assert.match(await said(`{reason: ${'x'.repeat(124)}}`), /at most 123 bytes/);
  const wrong = { 'a%': 'it ends with %', 'a[b': 'a [ is not closed', '[]': 'a [ is not closed', '[^]': 'a [ is not closed', '[%]': 'a [ is not closed', '(a': 'a ( is not closed', 'a)': 'a ) closes nothing', 'a%b(': '%b needs two', '%fx': '%f needs a', '%1': 'no capture', '(a%1)': 'no capture' };
  for (const [pattern, words] of Object.entries(wrong)) {
    assert.ok((await said(`{deny: ['${pattern}']}`)).includes(words), pattern);
  }
  for (const slow of ['a*', '^a.-b.-c', '.+x']) {
    assert.match(await said(`{deny: ['${slow}']}`), /may take long with long messages: give config.max_size too/);
    assert.equal(await said(`{deny: ['${slow}'], max_size: 1000}`), '');
  }
  for (const good of ['[]]', '[^]]', '[%]]', '%bxy', '%f[%w]%w', '(a)%1', '^%d*$', '%%', '%(']) {
    assert.equal(await said(`{deny: ['${good}']}`), '', good);
  }
});
