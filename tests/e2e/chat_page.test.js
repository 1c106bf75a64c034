// The chat page of www/chat/ in a real Chromium, served by conf/compose.yaml itself: real socket.io servers that the
// name `chat` stands for, on addresses of their own, and a real redis-server between them.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test, before, after } = require('node:test');
const { startBrowser, browserPath, faintTexts } = require('./lib/browser');
const { startDns } = require('./lib/dns');
const { startRedis } = require('./lib/redis');
const { startServers } = require('./lib/socketio_servers');
const { startWeir, freePort, waitFor, root } = require('./lib/weir');

const needsBrowser = { skip: !browserPath() && !process.env.WEIR_NEED_BROWSER && 'no Chromium on this machine' };
const NAME = 'chat.test';

// Hooks of the whole file; each keeps what must be undone at the end.
let weir;
let browser;
let dns;
let ash; // the two chat servers
let birch;
let shared; // the environment that they have in common
const undo = [];
const whole = { after: (fn) => undo.unshift(fn) };

function replaceOnce(text, what, by) {
  assert.equal(text.split(what).length, 2, `${what} is not once in:\n${text}`);
  return text.replace(what, by);
}

// As it is shipped, but for where it listens, whom it asks for names, and where its files are.
function shipped({ address }) {
  let yaml = fs.readFileSync(path.join(root, 'conf/compose.yaml'), 'utf8');
  yaml = replaceOnce(yaml, '0.0.0.0:5000', address);
  yaml = replaceOnce(yaml, 'chat:3000', `${NAME}:${shared.PORT}`);
  yaml = replaceOnce(yaml, 'static: www', `static: ${root}/www`);
  return `${yaml}\nplugin_path: [${root}/plugins]\nresolver: {nameservers: ["${dns.address}"]}\n`;
}

// All on one port, each on a loopback address of its own, as containers are.
async function startChat(t, name, host) {
  const [server] = await startServers(t, [name], { ...shared, HOST: host });
  return server;
}

before(async () => {
  if (needsBrowser.skip) {
    return;
  }
  const redis = await startRedis(whole);
  assert.ok(redis, 'there is no redis-server');
  shared = { REDIS_URL: redis.url, PORT: String(await freePort()) };
  ash = await startChat(whole, 'ash', '127.0.0.2');
  birch = await startChat(whole, 'birch', '127.0.0.3');
  dns = await startDns(whole);
  dns.set(NAME, [ash.host, birch.host]);
  weir = await startWeir(whole, shipped);
  browser = await startBrowser(whole);
});

after(async () => {
  for (const fn of undo) {
    await fn();
  }
});

async function openPage(t, options) {
  const page = await browser.newPage(weir.http('/chat/'), options);
  t.after(() => page.close());
  return page;
}

// Polls from outside: playwright's own waitForFunction needs eval in the page, which a strict policy forbids.
const until = (page, condition, argument) => waitFor(() => page.evaluate(condition, argument), { what: String(condition) });

const textIs = (page, id, text) =>
  until(page, ([element, wanted]) => document.getElementById(element).textContent === wanted, [id, text]);

const serverOf = (page) => page.textContent('#server');

async function openChat(t, options) {
  const page = await openPage(t, options);
  await textIs(page, 'room-name', 'In room lobby');
  return page;
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

// The row of what was said, as objects by the classes of its parts.
async function heard(page, text) {
  const rows = await waitFor(
    async () => {
      const all = await page.$$eval('#said li', (items) =>
        items.map((item) => Object.fromEntries([...item.children].map((part) => [part.className, part.textContent]))),
      );
      const found = all.filter(({ words }) => words === text);
      return found.length > 0 && found;
    },
    { what: `"${text}"` },
  );
  assert.equal(rows.length, 1, 'it is heard once');
  return rows[0];
}

test('two windows are with two servers, and each hears the other and sees by whom it came', needsBrowser, async (t) => {
  const one = await openChat(t);
  const other = await openChat(t);
  assert.deepEqual([await serverOf(one), await serverOf(other)].sort(), ['ash', 'birch']);
  await one.fill('#from', 'Ada');
  await other.fill('#from', 'Grace');
  await say(one, 'Is anybody there?');
  await say(other, 'I am!');
  for (const page of [one, other]) {
    const question = await heard(page, 'Is anybody there?');
    assert.deepEqual([question.from, question.server], ['Ada', await serverOf(one)]);
    const reply = await heard(page, 'I am!');
    assert.deepEqual([reply.from, reply.server], ['Grace', await serverOf(other)]);
    const known = await page.$$eval('#servers li', (items) => items.map((item) => item.textContent).sort());
    assert.deepEqual(known, ['ash', 'birch']);
    await textIs(page, 'transport', 'websocket');
    assert.deepEqual(page.problems, []);
  }
});

test('what is said in a room stays in it', needsBrowser, async (t) => {
  const [one, other] = [await openChat(t), await openChat(t)];
  await other.fill('#room', 'garden');
  await other.click('#join');
  await textIs(other, 'room-name', 'In room garden');
  assert.ok(await other.isDisabled('#join'), 'nobody joins twice');
  await say(one, 'only for the lobby');
  await heard(one, 'only for the lobby');
  await other.fill('#room', 'lobby');
  await other.click('#join');
  await textIs(other, 'room-name', 'In room lobby');
  await say(one, 'for both');
  await heard(other, 'for both');
  assert.equal(await other.getByText('only for the lobby').count(), 0);
});

test('people of a server that dies are with the other one a moment later, in their room', needsBrowser, async (t) => {
  const pages = [await openChat(t), await openChat(t)];
  const with_ = Object.fromEntries(await Promise.all(pages.map(async (page) => [await serverOf(page), page])));
  await ash.kill();
  t.after(() => ash.start());
  await textIs(with_.ash, 'server', 'birch');
  await textIs(with_.ash, 'room-name', 'In room lobby');
  await textIs(with_.ash, 'status-text', 'Connected');
  await say(with_.ash, 'here again');
  assert.equal((await heard(with_.birch, 'here again')).server, 'birch');
  assert.equal(await with_.birch.getByText('The connection was lost').count(), 0, 'the other has noticed nothing');
  assert.equal(await with_.ash.getByText('You are with another server now').count(), 1);
});

test('a server that joins the name gets people without a restart', needsBrowser, async (t) => {
  const cedar = await startChat(t, 'cedar', '127.0.0.4');
  dns.set(NAME, [ash.host, birch.host, cedar.host]);
  t.after(() => dns.set(NAME, [ash.host, birch.host]));
  await weir.waitForLog(/server 127\.0\.0\.4:\d+ has joined/);
  const names = [];
  for (let i = 0; i < 3; i++) {
    names.push(await serverOf(await openChat(t)));
  }
  assert.ok(names.includes('cedar'), `three windows are with ${names}`);
});

test('needs no inline script or style, nor anything from elsewhere', needsBrowser, async (t) => {
  const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'";
  const page = await openChat(t, { policy });
  await say(page, 'within the policy');
  await heard(page, 'within the policy');
  assert.deepEqual(page.problems, []);
});

test('shows names and messages as text, never as markup', needsBrowser, async (t) => {
  const page = await openChat(t);
  const markup = `<img src=x onerror="document.title='broken'">`;
  await page.fill('#from', '<b>Ada</b>');
  await say(page, markup);
  assert.equal((await heard(page, markup)).from, '<b>Ada</b>');
  assert.equal(await page.locator('#said img, #said b').count(), 0);
});

test('lets each button be pressed exactly when it can work, and names everything', needsBrowser, async (t) => {
  const page = await openChat(t);
  assert.ok(await page.isDisabled('#send'), 'nothing to send yet');
  await page.fill('#text', '  ');
  assert.ok(await page.isDisabled('#send'));
  await page.fill('#text', 'x');
  assert.ok(await page.isEnabled('#send'));
  await page.fill('#room', ' ');
  assert.ok(await page.isDisabled('#join'));
  for (const name of ['Name', 'Room', 'Message']) {
    assert.equal(await page.getByRole('textbox', { name, exact: true }).count(), 1, name);
  }
  assert.equal((await page.getByRole('status').innerText()).replace(/\s+/g, ' '), 'Connection status: Connected');
  assert.equal(await page.getByRole('log', { name: 'What is said' }).count(), 1);
});

test('says so where there are no chat servers', needsBrowser, async (t) => {
  const bare = ({ address }) => `
listen:
  - address: ${address}
routes:
  - path: /
    handler: {static: ${root}/www}
`;
  const alone = await startWeir(t, bare);
  const page = await browser.newPage(alone.http('/chat/'));
  t.after(() => page.close());
  await textIs(page, 'status-text', 'No chat server');
  assert.ok(await page.isVisible('#missing'));
  assert.ok(await page.isDisabled('#send'));
});

for (const colorScheme of ['light', 'dark']) {
  for (const width of [360, 1280]) {
    test(`is readable at ${width} pixels in ${colorScheme} mode`, needsBrowser, async (t) => {
      const page = await openChat(t, { width, colorScheme });
      await say(page, 'x'.repeat(500));
      await heard(page, 'x'.repeat(500));
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
      assert.deepEqual(await page.evaluate(faintTexts), []);
    });
  }
}
