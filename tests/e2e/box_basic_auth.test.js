// The plugin basic_auth: who gets in, what others are told, what the backend sees, files of users, and settings.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { connect, refused } = require('./lib/client');
const { startBackend, answer } = require('./lib/backend');
const { startBox, complaint, ask } = require('./lib/box');

// As docs/basic-auth.md says.
const sha512 = (password) => execFileSync('openssl', ['passwd', '-6', password], { encoding: 'utf8' }).trim();
const bcrypt = '$2y$05$GKuODqR1IIYmskChPocAuujjDD5pyN1nJw4YxjFziniMGkFw5XjRy'; // of "correct horse"

const basic = (user, password) => ({ Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` });
const plugin = (config, more = '') => `{lua: basic_auth${more}, config: ${JSON.stringify(config)}}`;
const users = { ada: bcrypt, bob: sha512('b:ö') };

test('users get in with their passwords, again and again, and others get 401 with a challenge', async (t) => {
  const weir = await startBox(t, plugin({ users, realm: 'the office' }));
  const url = weir.http('/static/hello.txt');
  for (let i = 0; i < 3; i++) {
    for (const [user, password] of [['ada', 'correct horse'], ['bob', 'b:ö']]) {
      assert.equal((await ask(url, { headers: basic(user, password) })).body, 'hello');
    }
    for (const [user, password] of [['ada', 'b:ö'], ['bob', 'correct horse'], ['ada', ''], ['ada', 'correct horse\0'], ['eve', 'correct horse'], ['', ''], ['Ada', 'correct horse']]) {
      const { status, headers } = await ask(url, { headers: basic(user, password) });
      assert.equal(status, 401, `${user}:${password}`);
      assert.equal(headers['www-authenticate'], 'Basic realm="the office", charset="UTF-8"');
    }
  }
  const right = basic('ada', 'correct horse').Authorization.slice(6);
  assert.equal((await ask(url, { headers: { Authorization: `bASIC ${right}` } })).status, 200);
  for (const wrong of [`Bearer ${right}`, `Basic${right}`, right, `Basic ${right}=`, `Basic ${right} x`, `Basic ${right}, Basic ${right}`, 'Basic', 'Basic !!!!', `Basic ${Buffer.from('ada').toString('base64')}`]) {
    assert.equal((await ask(url, { headers: { Authorization: wrong } })).status, 401, wrong);
  }
  assert.equal((await ask(url)).status, 401);
});

test('sessions need a password too, behind a proxy as well', async (t) => {
  const weir = await startBox(t, plugin({ users }));
  for (const path of ['/echo', '/outer/echo']) {
    const client = await connect(weir.ws(path), { headers: basic('ada', 'correct horse') });
    await client.send('hello');
    assert.equal((await client.next()).text, 'hello');
    client.close();
    const { status, headers } = await refused(weir.ws(path), { headers: basic('ada', 'wrong') });
    assert.equal(status, 401);
    assert.match(headers['www-authenticate'], /^Basic realm="weir"/);
  }
});

test('the backend is told who it is, by nobody else, and not the password where it is not to be', async (t) => {
  const backend = await startBackend(t, (request, socket) => answer(socket, 200, {}, 'ok'));
  const weir = await startBox(t, plugin({ users, user_header: 'X-User', forward: false }), { backend });
  const headers = { ...basic('ada', 'correct horse'), 'X-User': 'root', X_User: 'root' };
  assert.equal((await ask(weir.http('/proxy'), { headers })).body, 'ok');
  assert.equal((await ask(weir.http('/proxy'), { headers: { 'X-User': 'root' } })).status, 401);
  assert.equal(backend.requests.length, 1);
  assert.equal(backend.requests[0].header('X-User'), 'ada');
  assert.equal(backend.requests[0].header('X_User'), undefined);
  assert.equal(backend.requests[0].header('Authorization'), undefined);
});

test('without settings for it the backend gets the request as it came', async (t) => {
  const backend = await startBackend(t, (request, socket) => answer(socket, 200, {}, 'ok'));
  const weir = await startBox(t, plugin({ users }), { backend });
  const headers = basic('ada', 'correct horse');
  assert.equal((await ask(weir.http('/proxy'), { headers })).body, 'ok');
  assert.equal(backend.requests[0].header('Authorization'), headers.Authorization);
});

test('users in a file as htpasswd writes it', async (t) => {
  const files = { users: `# people\n\nada:${bcrypt}\nbob:${users.bob}\r\n` };
  const weir = await startBox(t, plugin({ file: 'users', users: { carl: bcrypt } }, ', trusted: on'), { files });
  for (const [user, password] of [['ada', 'correct horse'], ['bob', 'b:ö'], ['carl', 'correct horse']]) {
    assert.equal((await ask(weir.http('/static/hello.txt'), { headers: basic(user, password) })).status, 200, user);
  }
  assert.equal((await ask(weir.http('/static/hello.txt'), { headers: basic('# people', '') })).status, 401);
});

test('settings and files that are wrong are configuration errors', async () => {
  const said = (config, options, more) => complaint(plugin(config, more), options);
  const file = (text) => said({ file: 'users' }, { files: { users: text } }, ', trusted: on');
  assert.match(await complaint('basic_auth'), /config.users or config.file must give a user/);
  assert.match(await said({ user: {} }), /config.user is not known/);
  assert.match(await said({ users: {} }), /must give a user/);
  assert.match(await said({ users: ['ada'] }), /config.users must be a mapping/);
  assert.match(await said({ users: { ada: 'secret' } }), /config.users: the user "ada" has no password hash that can be checked; make one with `htpasswd -nbB/);
  assert.match(await said({ users: { ada: '$apr1$a$b' } }), /no password hash/);
  assert.match(await said({ users: { 'a:b': bcrypt } }), /without a colon, not "a:b"/);
  assert.match(await said({ users, realm: 'a"b' }), /config.realm must be plain ASCII/);
  assert.match(await said({ users, user_header: 'a b' }), /config.user_header must be a header's name, not "a b"/);
  assert.match(await said({ file: 'users' }), /config.file needs `trusted: on`/);
  assert.match(await said({ file: 'nowhere' }, {}, ', trusted: on'), /config.file: nowhere: No such file/);
  assert.match(await file(`ada:${bcrypt}\nbob\n`), /users:2: a line must be NAME:HASH/);
  assert.match(await file(`ada:${bcrypt}\nada:${bcrypt}\n`), /users:2: the user "ada" is there twice/);
  assert.match(await file('ada:secret\n'), /users:1: the user "ada" has no password hash/);
});
