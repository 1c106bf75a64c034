// The echo page of www/ in a real Chromium, against the gateway.
'use strict';

const assert = require('node:assert/strict');
const { test, before, after } = require('node:test');
const { startWeir, waitFor } = require('./lib/weir');
const { startBrowser, browserPath, faintTexts } = require('./lib/browser');

// Echoes, and does as it is told by two words.
const PLUGIN = `
return {
    on_message = function(conn, data, kind)
        if data == "close me" then
            conn:close(4002, "as you asked")
        elseif data == "send bytes" then
            conn:send("\\1\\2\\255", "binary")
        else
            conn:send(data, kind)
        end
    end,
}
`;

const config = ({ address, root }) => `
workers: 1
listen:
  - address: ${address}
plugin_path: [plugins]
routes:
  - path: /ws
    websocket:
      subprotocols: [echo.v1]
    handler: {lua: page_echo}
  - path: /
    handler: {static: ${root}/www}
`;

const needsBrowser = { skip: !browserPath() && !process.env.WEIR_NEED_BROWSER && 'no Chromium on this machine' };

// Hooks of the whole file; each keeps what must be undone at the end.
let weir;
let browser;
const undo = [];

before(async () => {
  if (needsBrowser.skip) {
    return;
  }
  const whole = { after: (fn) => undo.unshift(fn) };
  weir = await startWeir(whole, config, { files: { 'plugins/page_echo.lua': PLUGIN } });
  browser = await startBrowser(whole);
});

after(async () => {
  for (const fn of undo) {
    await fn();
  }
});

async function openPage(t, options) {
  const page = await browser.newPage(weir.http('/'), options);
  t.after(() => page.close());
  return page;
}

// Polls from outside: playwright's own waitForFunction needs eval in the page, which a strict policy forbids.
const until = (page, condition, argument) => waitFor(() => page.evaluate(condition, argument), { what: String(condition) });

const statusIs = (page, text) => until(page, (wanted) => document.getElementById('status-text').textContent === wanted, text);

async function openConnection(t, options) {
  const page = await openPage(t, options);
  await page.click('#connect');
  await statusIs(page, 'Open');
  return page;
}

// The log as objects, once it has at least `count` rows.
async function logRows(page, count) {
  await until(page, (least) => document.getElementById('log').rows.length >= least, count);
  return page.$$eval('#log tr', (rows) =>
    rows.map((row) => Object.fromEntries([...row.cells].map((cell) => [cell.className, cell.innerText]))),
  );
}

const enabled = (page) => page.$$eval('button:enabled', (buttons) => buttons.map((button) => button.textContent));
const focused = (page) => page.evaluate(() => document.activeElement.id);

test('starts ready to connect, with the address of its own host', needsBrowser, async (t) => {
  const page = await openPage(t);
  assert.equal(await page.textContent('#status-text'), 'Ready to connect');
  assert.equal(await page.inputValue('#url'), weir.ws('/ws'));
  assert.deepEqual(await enabled(page), ['Connect']);
  const box = await page.locator('#status').boundingBox();
  assert.ok(box.x < 60 && box.y < 60, 'the status is in the upper left');
  assert.deepEqual(page.problems, []);
});

test('enables each button exactly when it can work', needsBrowser, async (t) => {
  const page = await openConnection(t);
  assert.deepEqual(await enabled(page), ['Close Socket', 'Send', 'Clear']);
  await page.click('#close');
  await statusIs(page, 'Closed');
  assert.deepEqual(await enabled(page), ['Connect', 'Clear']);
  await page.click('#clear');
  await page.waitForSelector('#clear:disabled');
  await page.fill('#url', 'http://example.com/');
  assert.deepEqual(await enabled(page), []);
  assert.match(await page.textContent('#url-hint'), /ws:\/\//);
});

test('logs connect, open, send, receive and close with direction, kind, size and round trip', needsBrowser, async (t) => {
  const page = await openConnection(t);
  await page.fill('#message', 'Grüße');
  await page.click('#send');
  await logRows(page, 4);
  await page.click('#close');
  const rows = await logRows(page, 6);
  assert.deepEqual(
    rows.map(({ direction, kind, size, content }) => [direction, kind, size, content]),
    [
      ['event', 'connect', '', weir.ws('/ws')],
      ['event', 'open', '', 'Connected'],
      ['client → server', 'text', '7 B', 'Grüße'],
      ['server → client', 'text', '7 B', 'Grüße'],
      ['client → server', 'close', '', 'Code 1000'],
      ['event', 'close', '', 'Code 1000 (normal closure), clean'],
    ],
  );
  assert.deepEqual(
    rows.map(({ trip }) => /^\d+(\.\d)? m?s$/.test(trip)),
    [false, true, false, true, false, true],
  );
  assert.ok(rows.every(({ time }) => /^\d\d:\d\d:\d\d\.\d{3}$/.test(time)));
  assert.deepEqual(page.problems, []);
});

test('needs no inline script or style, nor anything from elsewhere', needsBrowser, async (t) => {
  const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src *";
  const page = await openConnection(t, { policy });
  await page.fill('#message', 'x'.repeat(1000));
  await page.click('#send');
  await logRows(page, 4);
  assert.deepEqual(page.problems, []);
});

test('sends binary from hex digits and from text, and refuses half a byte', needsBrowser, async (t) => {
  const page = await openConnection(t);
  await page.check('input[value=hex]');
  await page.fill('#message', '00 ff 7');
  assert.ok(await page.isDisabled('#send'));
  assert.match(await page.textContent('#message-hint'), /two digits/);
  await page.fill('#message', '00 FF 7e');
  await page.click('#send');
  await page.check('input[value=utf8]');
  await page.fill('#message', 'é');
  await page.click('#send');
  const rows = (await logRows(page, 6)).filter(({ direction }) => direction === 'server → client');
  assert.deepEqual(rows.map(({ kind, size, content }) => [kind, size, content]), [
    ['binary', '3 B', '00 ff 7e'],
    ['binary', '2 B', 'c3 a9'],
  ]);
});

test('gives no round trip to a message that is no echo', needsBrowser, async (t) => {
  const page = await openConnection(t);
  await page.fill('#message', 'send bytes');
  await page.click('#send');
  const last = (await logRows(page, 4)).pop();
  assert.deepEqual([last.kind, last.content, last.trip], ['binary', '01 02 ff', '']);
});

test('shows code and reason of a close by the server', needsBrowser, async (t) => {
  const page = await openConnection(t);
  await page.fill('#message', 'close me');
  await page.click('#send');
  await statusIs(page, 'Closed');
  const last = (await logRows(page, 4)).pop();
  assert.equal(last.content, 'Code 4002 (private code), reason “as you asked”, clean');
});

test('sends the chosen close code and reason, and refuses codes that a page may not send', needsBrowser, async (t) => {
  const page = await openConnection(t);
  await page.fill('#close-code', '1001');
  assert.ok(await page.isDisabled('#close'));
  await page.fill('#close-code', '3999');
  await page.fill('#close-reason', 'é'.repeat(62));
  assert.match(await page.textContent('#close-hint'), /124 bytes/);
  await page.fill('#close-reason', 'enough');
  await page.click('#close');
  await statusIs(page, 'Closed');
  const last = (await logRows(page, 4)).pop();
  assert.equal(last.content, 'Code 3999 (registered code), reason “enough”, clean');
});

test('reports an address where nobody answers, and can connect again', needsBrowser, async (t) => {
  const page = await openPage(t);
  const good = await page.inputValue('#url');
  await page.fill('#url', weir.ws('/style.css'));
  await page.keyboard.press('Enter');
  await statusIs(page, 'Closed');
  const rows = await logRows(page, 3);
  assert.deepEqual(rows.map(({ kind }) => kind), ['connect', 'error', 'close']);
  assert.match(rows[2].content, /^Code 1006 .* not clean$/);
  await page.fill('#url', good);
  await page.click('#connect');
  await statusIs(page, 'Open');
});

test('offers subprotocols and shows the one that was chosen', needsBrowser, async (t) => {
  const page = await openPage(t);
  await page.fill('#protocols', 'other, echo.v1');
  await page.click('#connect');
  await statusIs(page, 'Open');
  assert.match((await logRows(page, 2))[1].content, /subprotocol echo\.v1/);
});

test('works by keyboard alone', needsBrowser, async (t) => {
  const page = await openPage(t);
  assert.equal(await focused(page), 'connect');
  await page.keyboard.press('Enter');
  await statusIs(page, 'Open');
  assert.equal(await focused(page), 'message', 'the focus moves to the message box');
  await page.keyboard.type('one');
  await page.keyboard.press('Control+Enter');
  await page.keyboard.type('two');
  await page.keyboard.press('Enter');
  assert.equal((await logRows(page, 4))[3].content, 'one\ntwo');
  await page.keyboard.press('Enter');
  await logRows(page, 6);
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(page), 'close');
  await page.keyboard.press('Enter');
  await statusIs(page, 'Closed');
  assert.equal(await focused(page), 'connect', 'the focus returns to what can be pressed next');
});

test('names everything for screen readers and tells them what happens', needsBrowser, async (t) => {
  const page = await openConnection(t);
  const names = ['WebSocket URL', 'Subprotocols to offer', 'Close code', 'Close reason', 'Message'];
  for (const name of names) {
    assert.equal(await page.getByRole('textbox', { name, exact: true }).count(), 1, name);
  }
  for (const name of ['Connect', 'Send', 'Close Socket', 'Clear']) {
    assert.equal(await page.getByRole('button', { name, exact: true }).count(), 1, name);
  }
  assert.equal((await page.getByRole('status').innerText()).replace(/\s+/g, ' '), 'Connection status: Open');
  await page.fill('#message', 'can you hear this');
  await page.click('#send');
  await until(page, () => /Received text: can you hear this/.test(document.getElementById('announcer').textContent));
  assert.equal(await page.locator('#announcer').getAttribute('aria-live'), 'polite');
  assert.equal(await page.getByRole('table', { name: 'Communication log' }).getByRole('row').count(), 5);
});

test('keeps the last thousand entries and says so', needsBrowser, async (t) => {
  const page = await openConnection(t);
  await page.evaluate(() => {
    for (let i = 0; i < 600; i++) {
      document.getElementById('message').value = `message ${i}`;
      document.getElementById('send').click();
    }
  });
  await until(page, () => /1,202/.test(document.getElementById('log-count').textContent));
  const rows = await logRows(page, 1000);
  assert.equal(rows.length, 1000);
  assert.equal(rows[999].content, 'message 599');
  assert.equal(await page.textContent('#log-count'), 'last 1,000 of 1,202 entries');
});

test('folds a long message, and shows content as text, never as markup', needsBrowser, async (t) => {
  const page = await openConnection(t);
  await page.fill('#message', `<img src=x onerror="document.title='broken'">${'x'.repeat(70000)}`);
  await page.click('#send');
  await logRows(page, 4);
  assert.equal(await page.locator('#log img').count(), 0);
  assert.equal(await page.locator('#log details').count(), 2);
  assert.ok((await page.locator('#log tr').nth(3).innerText()).length < 500);
});

for (const colorScheme of ['light', 'dark']) {
  for (const width of [360, 800, 1280]) {
    test(`is readable at ${width} pixels in ${colorScheme} mode`, needsBrowser, async (t) => {
      const page = await openConnection(t, { width, colorScheme });
      await page.fill('#message', 'close me');
      await page.click('#send');
      await statusIs(page, 'Closed');
      await logRows(page, 4);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
      assert.deepEqual(await page.evaluate(faintTexts), []);
    });
  }
}
