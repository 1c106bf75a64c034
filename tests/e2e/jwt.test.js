// JSON Web Tokens in front of a route: tokens made by node:crypto, looked for in each place, refused for each reason.
'use strict';

const { test } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { WebSocketServer } = require('ws');
const { startWeir, runWeir } = require('./lib/weir');
const { connect, refused } = require('./lib/client');

const SECRET = '0123456789abcdef0123456789abcdef';
const base64url = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

const signers = {
  HS256: (text, key) => crypto.createHmac('sha256', key).update(text).digest(),
  RS256: (text, key) => crypto.sign('sha256', text, key),
  ES256: (text, key) => crypto.sign('sha256', text, { key, dsaEncoding: 'ieee-p1363' }),
};

function makeToken(claims, key, header = {}) {
  const full = { alg: 'HS256', typ: 'JWT', ...header };
  const text = `${base64url(full)}.${base64url(claims)}`;
  return `${text}.${signers[full.alg](Buffer.from(text), key).toString('base64url')}`;
}

const now = () => Math.floor(Date.now() / 1000);
const good = (more = {}) => ({ sub: 'ada', exp: now() + 60, ...more });
const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });

const rsa = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsa2 = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = (pair) => pair.publicKey.export({ type: 'spki', format: 'pem' });
const jwk = (pair, more) => ({ ...pair.publicKey.export({ format: 'jwk' }), ...more });

const config = (jwt, websocket = '{}') => ({ address, root }) => `
workers: 1
listen: [{address: "${address}"}]
plugin_path: [${root}/plugins]
routes:
  - path: /
    websocket: ${websocket}
    plugins:
      - access_log
      - ${jwt}
    handler: {lua: echo}
`;

const withSecret = (more = '') => `{jwt: secret, secret: "\${JWT_SECRET}", leeway: 0${more}}`;
const start = (t, jwt, { files = {}, websocket } = {}) =>
  startWeir(t, config(jwt, websocket), { files, env: { JWT_SECRET: SECRET } });

async function expectEcho(client) {
  await client.send('hello');
  assert.equal((await client.next()).text, 'hello');
  await client.close(1000);
}

async function expectRefusal(weir, options, status, error, description) {
  const answer = await refused(weir.ws('/'), options);
  assert.equal(answer.status, status, answer.body);
  const challenge = answer.headers['www-authenticate'];
  assert.match(challenge, /^Bearer realm="weir"/);
  if (error === null) {
    assert.doesNotMatch(challenge, /error/);
  } else {
    assert.ok(challenge.includes(`error="${error}", error_description="${description}"`), challenge);
  }
}

test('HS256: a good token passes, and each kind of bad one is told why', async (t) => {
  const weir = await start(t, withSecret(', issuer: us, audience: [chat, mail], require: [exp, sub], claims: {role: member}'));
  const claims = (more = {}) => good({ iss: 'us', aud: 'chat', role: 'member', ...more });
  const hs = (more, header) => bearer(makeToken(claims(more), SECRET, header));
  await expectEcho(await connect(weir.ws('/'), hs()));
  await expectEcho(await connect(weir.ws('/'), hs({ aud: ['other', 'mail'], role: ['guest', 'member'] })));
  await expectEcho(await connect(weir.ws('/'), hs({ nbf: now() - 5 }, { kid: 'any' })));

  await expectRefusal(weir, {}, 401, null);
  await expectRefusal(weir, { headers: { authorization: 'Basic YTpi' } }, 401, null);
  const invalid = (options, why) => expectRefusal(weir, options, 401, 'invalid_token', why);
  await invalid(bearer('nonsense'), 'the token is malformed');
  await invalid(bearer('eyJ9.eyJ9.'), 'the header is malformed');
  await invalid(hs({ exp: now() - 1 }), 'the token has expired');
  await invalid(hs({ exp: undefined }), 'a required claim is missing');
  await invalid(hs({ exp: 'tomorrow' }), 'a date is malformed');
  await invalid(hs({ nbf: now() + 60 }), 'the token is not valid yet');
  await invalid(hs({ sub: undefined }), 'a required claim is missing');
  await invalid(hs({ iss: 'them' }), 'the issuer is another');
  await invalid(hs({ aud: ['other'] }), 'the token is for another audience');
  await invalid(bearer(makeToken(claims(), `${SECRET}!`)), 'the signature is wrong');
  await invalid(hs({}, { crit: ['b64'] }), 'the token has a critical extension');
  await expectRefusal(weir, hs({ role: 'guest' }), 403, 'insufficient_scope', 'a claim is not what it must be');
});

test('`none` and a token whose claims were changed are refused', async (t) => {
  const weir = await start(t, withSecret());
  const none = `${base64url({ alg: 'none' })}.${base64url(good())}.`;
  await expectRefusal(weir, bearer(none), 401, 'invalid_token', 'the algorithm is not accepted');
  const [header, , signature] = makeToken(good(), SECRET).split('.');
  const changed = `${header}.${base64url(good({ sub: 'root' }))}.${signature}`;
  await expectRefusal(weir, bearer(changed), 401, 'invalid_token', 'the signature is wrong');
});

test('a public key is no secret: HS256 signed with it is refused', async (t) => {
  const weir = await start(t, '{jwt: key.pem}', { files: { 'key.pem': pem(rsa) } });
  await expectEcho(await connect(weir.ws('/'), bearer(makeToken(good(), rsa.privateKey, { alg: 'RS256' }))));
  for (const key of [pem(rsa), pem(rsa).trim(), rsa.publicKey.export({ type: 'spki', format: 'der' })]) {
    await expectRefusal(weir, bearer(makeToken(good(), key)), 401, 'invalid_token', 'there is no key for this token');
  }
  const other = makeToken(good(), rsa2.privateKey, { alg: 'RS256' });
  await expectRefusal(weir, bearer(other), 401, 'invalid_token', 'the signature is wrong');
});

test('ES256 by a key in PEM', async (t) => {
  const weir = await start(t, '{jwt: key.pem, algorithms: [ES256]}', { files: { 'key.pem': pem(ec) } });
  await expectEcho(await connect(weir.ws('/'), bearer(makeToken(good(), ec.privateKey, { alg: 'ES256' }))));
  // As OpenSSL writes it, a DER sequence: not what JWS has.
  const text = `${base64url({ alg: 'ES256' })}.${base64url(good())}`;
  const der = `${text}.${crypto.sign('sha256', Buffer.from(text), ec.privateKey).toString('base64url')}`;
  await expectRefusal(weir, bearer(der), 401, 'invalid_token', 'the signature is wrong');
});

test('a set of keys: the one of the token’s kid', async (t) => {
  const keys = {
    keys: [
      jwk(rsa, { kid: 'one', use: 'sig', alg: 'RS256' }),
      jwk(rsa2, { kid: 'two' }),
      jwk(ec, { kid: 'three', key_ops: ['verify'] }),
      jwk(crypto.generateKeyPairSync('ed25519'), { kid: 'four' }),
      jwk(rsa, { kid: 'five', use: 'enc' }),
    ],
  };
  const weir = await start(t, '{jwt: keys.json}', { files: { 'keys.json': JSON.stringify(keys) } });
  const rs = (pair, kid) => bearer(makeToken(good(), pair.privateKey, { alg: 'RS256', kid }));
  await expectEcho(await connect(weir.ws('/'), rs(rsa, 'one')));
  await expectEcho(await connect(weir.ws('/'), rs(rsa2, 'two')));
  await expectEcho(await connect(weir.ws('/'), rs(rsa2, undefined)));
  await expectEcho(await connect(weir.ws('/'), bearer(makeToken(good(), ec.privateKey, { alg: 'ES256', kid: 'three' }))));
  const invalid = (options, why) => expectRefusal(weir, options, 401, 'invalid_token', why);
  await invalid(rs(rsa, 'two'), 'the signature is wrong');
  await invalid(rs(rsa, 'three'), 'there is no key for this token');
  await invalid(rs(rsa, 'five'), 'there is no key for this token');
  await invalid(rs(rsa, 'six'), 'there is no key for this token');
});

test('the token may come in the query or as a subprotocol, where the route says so', async (t) => {
  const weir = await start(t, withSecret(', from: [header, query access_token, subprotocol]'));
  const token = makeToken(good(), SECRET);
  await expectEcho(await connect(weir.ws(`/?a=b&access_token=${token}`)));
  await expectEcho(await connect(weir.ws('/'), bearer(token)));

  // Browsers give up when none of their offers is agreed; the token is only where there is no other.
  const offers = async (...protocols) => {
    const client = await connect(weir.ws('/'), { protocols });
    await expectEcho(client);
    return client.protocol;
  };
  assert.equal(await offers(token, 'chat.v1', 'chat.v2'), 'chat.v1');
  assert.equal(await offers('chat.v1', token), 'chat.v1');
  assert.equal(await offers(token), token);

  await expectRefusal(weir, { protocols: ['chat.v1'] }, 401, null);
  const twice = await refused(weir.ws(`/?access_token=${token}&access_token=${token}`));
  assert.equal(twice.status, 400);
  assert.match(twice.headers['www-authenticate'], /error="invalid_request"/);
  await expectRefusal(weir, { protocols: [token, makeToken(good({ sub: 'bob' }), SECRET)] }, 400, 'invalid_request', 'there is more than one token');
});

test('the route’s own subprotocols go before', async (t) => {
  const weir = await start(t, withSecret(', from: subprotocol'), { websocket: '{subprotocols: [chat.v2]}' });
  const token = makeToken(good(), SECRET);
  const client = await connect(weir.ws('/'), { protocols: [token, 'chat.v1', 'chat.v2'] });
  assert.equal(client.protocol, 'chat.v2');
  await client.close(1000);
  await expectRefusal(weir, bearer(token), 401, null); // not a place that is looked at
});

test('behind the plugin a backend chooses the subprotocol, and its session ends with the token', async (t) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: (offers) => offers.has('chat.v2') && 'chat.v2' });
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => server.close());
  const closed = new Promise((resolve) => {
    server.on('connection', (socket) => {
      socket.on('message', (data) => socket.send(String(data)));
      socket.on('close', resolve);
    });
  });
  const weir = await startWeir(t, ({ address }) => `
workers: 1
listen: [{address: "${address}"}]
upstreams: {chat: {servers: ["127.0.0.1:${server.address().port}"]}}
routes:
  - path: /
    websocket: on
    plugins: [{jwt: secret, secret: ${SECRET}, leeway: 0, from: subprotocol}]
    handler: {proxy: chat}
`);
  const token = makeToken(good({ exp: now() + 3 }), SECRET);
  const client = await connect(weir.ws('/'), { protocols: [token, 'chat.v1', 'chat.v2'] });
  assert.equal(client.protocol, 'chat.v2');
  await client.send('hello');
  assert.equal((await client.next()).text, 'hello');
  assert.deepEqual(await client.closed, { code: 4001, reason: 'the token has expired' });
  assert.equal(await closed, 4001);
  await expectRefusal(weir, { protocols: ['chat.v2'] }, 401, null);
});

test('a session is closed when its token expires', async (t) => {
  const weir = await start(t, withSecret());
  const client = await connect(weir.ws('/'), bearer(makeToken(good({ exp: now() + 3 }), SECRET)));
  await client.send('hello');
  assert.equal((await client.next()).text, 'hello');
  assert.deepEqual(await client.closed, { code: 4001, reason: 'the token has expired' });
  await weir.waitForLog(/"code":4001,"reason":"the token has expired","closed_by":"gateway"/);
  await weir.waitForLog(/"kind":"session".*"user":"ada"/);
});

test('the close code and the leeway are the route’s', async (t) => {
  const weir = await start(t, `{jwt: secret, secret: "${SECRET}", leeway: 2s, close_code: 3456}`);
  const expired = makeToken(good({ exp: Date.now() / 1000 - 0.5 }), SECRET); // a fraction, and past
  const before = Date.now();
  const client = await connect(weir.ws('/'), bearer(expired));
  assert.equal((await client.closed).code, 3456);
  const took = Date.now() - before;
  assert.ok(took > 500, `closed after ${took} ms`);
});

test('sessions that end before their token leave nothing behind', async (t) => {
  const weir = await start(t, withSecret());
  const token = makeToken(good({ exp: now() + 2 }), SECRET);
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(weir.ws('/'), bearer(token))));
  await Promise.all(clients.map((client, i) => (i % 2 ? client.close(1000) : client.terminate())));
  const last = await connect(weir.ws('/'), bearer(makeToken(good({ exp: now() + 3 }), SECRET)));
  assert.equal((await last.closed).code, 4001); // by then the others' time has passed too
});

test('plain requests need a token as well', async (t) => {
  const weir = await start(t, withSecret());
  const without = await fetch(weir.http('/'));
  assert.equal(without.status, 401);
  assert.equal(without.headers.get('www-authenticate'), 'Bearer realm="weir"');
  assert.equal(await without.text(), 'this needs a token\n');
  const withToken = await fetch(weir.http('/'), bearer(makeToken(good(), SECRET)));
  assert.equal(withToken.status, 426); // echo wants an upgrade
  await withToken.text();
});

test('a token may be as long as the limit, and no longer', async (t) => {
  const weir = await start(t, withSecret(', max_token_size: 1000'));
  const ofSize = (size) => {
    for (let fill = 0; ; fill++) {
      const token = makeToken(good({ x: 'x'.repeat(fill) }), SECRET);
      if (token.length >= size) {
        return token;
      }
    }
  };
  const fits = ofSize(999);
  assert.ok(fits.length <= 1000, `${fits.length}`);
  await expectEcho(await connect(weir.ws('/'), bearer(fits)));
  await expectRefusal(weir, bearer(ofSize(1001)), 401, 'invalid_token', 'the token is too long');
});

test('what cannot work is said before anything is served', async () => {
  const check = async (jwt, pattern, files = {}) => {
    const yaml = config(jwt)({ address: '127.0.0.1:1', root: require('./lib/weir').root });
    const { code, stderr } = await runWeir(['-t', '-c', 'weir.yaml'], { files: { 'weir.yaml': yaml, ...files } });
    assert.notEqual(code, 0, stderr);
    assert.match(stderr, pattern);
    assert.ok(!stderr.includes('too short a'), stderr); // no message repeats a secret
  };
  await check('{jwt: secret}', /needs the key `secret`/);
  await check('{jwt: secret, secret: too short a secret}', /shorter than 32 bytes/);
  await check('{jwt: nowhere.pem}', /nowhere\.pem/);
  await check(`{jwt: key.pem, secret: "${SECRET}"}`, /no effect without/, { 'key.pem': pem(rsa) });
  await check('{jwt: key.pem}', /no public key or certificate/, { 'key.pem': 'nothing' });
  await check('{jwt: key.pem}', /private key/, { 'key.pem': ec.privateKey.export({ type: 'pkcs8', format: 'pem' }) });
  await check('{jwt: key.pem, algorithms: [HS256]}', /no key for `algorithms`/, { 'key.pem': pem(rsa) });
  await check('{jwt: key.pem, algorithms: [none]}', /none of HS256/, { 'key.pem': pem(rsa) });
  await check('{jwt: key.pem, from: cookie}', /none of `header`/, { 'key.pem': pem(rsa) });
  await check('{jwt: keys.json}', /no key for HS256/, { 'keys.json': '{"keys": []}' });
  await check('{jwt: keys.json}', /key 1 is a private key/, {
    'keys.json': JSON.stringify({ keys: [ec.privateKey.export({ format: 'jwk' })] }),
  });
});
