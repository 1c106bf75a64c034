// The page of www/rooms/ in a real Chromium, served by conf/chat.yaml itself with two workers: two windows that talk,
// see each other come, type and go.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test, before, after } = require('node:test');
const { startBrowser, browserPath, faintTexts } = require('./lib/browser');
const { startWeir, waitFor, root } = require('./lib/weir');

const needsBrowser = { skip: !browserPath() && !process.env.WEIR_NEED_BROWSER && 'no Chromium on this machine' };

let weir;
let browser;
const undo = [];
const whole = { after: (fn) => undo.unshift(fn) };

function replaceOnce(text, what, by) {
  assert.equal(text.split(what).length, 2, `${what} is not once in:\n${text}`);
  return text.replace(what, by);
}

// As it is shipped, but for where it listens and where its files are.
function shipped({ address }) {
  let yaml = fs.readFileSync(path.join(root, 'conf/chat.yaml'), 'utf8');
  yaml = replaceOnce(yaml, '0.0.0.0:5000', address);
  yaml = replaceOnce(yaml, 'static: www', `static: ${root}/www`);
  yaml = replaceOnce(yaml, 'plugin_path: [plugins]', `plugin_path: [${root}/plugins]`);
  return `workers: 2\n${yaml}`;
}

before(async () => {
  if (!needsBrowser.skip) {
    weir = await startWeir(whole, shipped);
    browser = await startBrowser(whole);
  }
});

after(async () => {
  for (const fn of undo) {
    await fn();
  }
});

async function openPage(t, options) {
  const page = await browser.newPage(weir.http('/rooms/'), options);
  t.after(() => page.close());
  return page;
}

const until = (page, condition, argument) => waitFor(() => page.evaluate(condition, argument), { what: String(condition) });

const textIs = (page, id, text) =>
  until(page, ([element, wanted]) => document.getElementById(element).textContent === wanted, [id, text]);

// Each test has a room of its own.
async function enter(page, room, name) {
  await page.fill('#name', name);
  await page.fill('#room', room);
  await page.click('#enter');
  await textIs(page, 'room-name', `In room ${room}`);
  await textIs(page, 'status-text', 'Connected');
}

async function openRoom(t, room, name, options) {
  const page = await openPage(t, options);
  await enter(page, room, name);
  return page;
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

const events = (page) => page.$$eval('#said .event', (items) => items.map((item) => item.textContent));
const peopleOf = (page) => page.$$eval('#people li', (items) => items.map((item) => item.textContent));
const peopleAre = (page, names) =>
  waitFor(async () => JSON.stringify(await peopleOf(page)) === JSON.stringify(names), { what: `people ${names}` });

// What was said, as objects by the classes of its parts, once there are so many.
function said(page, count) {
  return waitFor(
    async () => {
      const all = await page.$$eval('#said li:has(.from)', (items) =>
        items.map((item) => Object.fromEntries([...item.children].map((part) => [part.className, part.textContent]))),
      );
      return all.length >= count && all.map(({ from, words }) => [from, words]);
    },
    { what: `${count} messages` },
  );
}

test('two windows see each other come and go, and hear each other in one order', needsBrowser, async (t) => {
  const ada = await openRoom(t, 'garden', 'Ada');
  await peopleAre(ada, ['Ada']);
  const grace = await openRoom(t, 'garden', 'Grace');
  await peopleAre(ada, ['Ada', 'Grace']);
  await peopleAre(grace, ['Ada', 'Grace']);
  await say(ada, 'Is anybody there?');
  await said(grace, 1);
  await say(grace, 'I am!');
  const wanted = [['Ada', 'Is anybody there?'], ['Grace', 'I am!']];
  assert.deepEqual(await said(ada, 2), wanted);
  assert.deepEqual(await said(grace, 2), wanted);
  await grace.click('#leave');
  await peopleAre(ada, ['Ada']);
  assert.deepEqual(await events(ada), ['You are in room garden as Ada', 'Grace has come', 'Grace has left']);
  assert.ok(await grace.isDisabled('#leave'));
  assert.deepEqual([...ada.problems, ...grace.problems], []);
});

test('shows who types until it is said or given up', needsBrowser, async (t) => {
  const ada = await openRoom(t, 'typing', 'Ada');
  const grace = await openRoom(t, 'typing', 'Grace');
  await grace.type('#text', 'He');
  await textIs(ada, 'typing', 'Grace is typing');
  await grace.press('#text', 'Enter');
  await said(ada, 1);
  await textIs(ada, 'typing', '');
  await grace.type('#text', 'x');
  await textIs(ada, 'typing', 'Grace is typing');
  await grace.press('#text', 'Backspace');
  await textIs(ada, 'typing', '');
  assert.equal(await grace.textContent('#typing'), '', 'one does not see oneself type');
});

test('what is said in a room stays in it', needsBrowser, async (t) => {
  const one = await openRoom(t, 'one', 'Ada');
  const other = await openRoom(t, 'other', 'Grace');
  await say(one, 'only for one');
  await said(one, 1);
  await enter(other, 'one', 'Grace');
  await say(one, 'for both');
  assert.deepEqual(await said(other, 1), [['Ada', 'for both']]);
});

test('a name that is taken gets a number, and is free again afterwards', needsBrowser, async (t) => {
  const one = await openRoom(t, 'names', 'Ada');
  const other = await openRoom(t, 'names', 'Ada');
  await peopleAre(one, ['Ada', 'Ada 2']);
  await one.click('#leave');
  await peopleAre(other, ['Ada 2']);
  await enter(one, 'names', 'Ada');
  await peopleAre(other, ['Ada', 'Ada 2']);
});

test('comes back by itself when the gateway does', needsBrowser, async (t) => {
  const own = await startWeir(null, shipped);
  const yaml = fs.readFileSync(path.join(own.dir, 'weir.yaml'), 'utf8');
  t.after(() => own.stop());
  const page = await browser.newPage(own.http('/rooms/'));
  t.after(() => page.close());
  await enter(page, 'again', 'Ada');
  await own.stop();
  await textIs(page, 'status-text', 'Lost, connecting again');
  const next = await startWeir(t, () => yaml, { ready: ({ log }) => log.includes('serving with') }); // at the same address
  await textIs(page, 'status-text', 'Connected');
  await peopleAre(page, ['Ada']);
  assert.ok(!next.exit);
});

test('needs no inline script or style, nor anything from elsewhere', needsBrowser, async (t) => {
  const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'";
  const page = await openRoom(t, 'policy', 'Ada', { policy });
  await say(page, 'within the policy');
  await said(page, 1);
  assert.deepEqual(page.problems, []);
});

test('shows names and messages as text, never as markup', needsBrowser, async (t) => {
  const page = await openRoom(t, 'markup', '<b>Ada</b>');
  const markup = `<img src=x onerror="document.title='broken'">`;
  await say(page, markup);
  assert.deepEqual(await said(page, 1), [['<b>Ada</b>', markup]]);
  assert.equal(await page.locator('#said img, #said b, #people b').count(), 0);
});

test('lets each button be pressed exactly when it can work, and names everything', needsBrowser, async (t) => {
  const page = await openPage(t);
  assert.ok(await page.isDisabled('#leave'));
  assert.ok(await page.isDisabled('#send'));
  await page.fill('#room', ' ');
  assert.ok(await page.isDisabled('#enter'));
  await enter(page, 'buttons', 'Ada');
  assert.ok(await page.isDisabled('#enter'), 'it is there already');
  assert.ok(await page.isDisabled('#send'), 'nothing to send yet');
  await page.fill('#text', 'x');
  assert.ok(await page.isEnabled('#send'));
  await page.fill('#name', 'Grace');
  assert.ok(await page.isEnabled('#enter'), 'under another name');
  for (const name of ['Name', 'Room', 'Message']) {
    assert.equal(await page.getByRole('textbox', { name, exact: true }).count(), 1, name);
  }
  assert.equal(await page.getByRole('log', { name: 'What is said' }).count(), 1);
  assert.equal(await page.getByRole('list', { name: 'Who is here' }).count(), 1);
});

for (const colorScheme of ['light', 'dark']) {
  for (const width of [360, 1280]) {
    test(`is readable at ${width} pixels in ${colorScheme} mode`, needsBrowser, async (t) => {
      const page = await openRoom(t, `${colorScheme}-${width}`, 'Ada', { width, colorScheme });
      await say(page, 'x'.repeat(500));
      await said(page, 1);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
      assert.deepEqual(await page.evaluate(faintTexts), []);
    });
  }
}
