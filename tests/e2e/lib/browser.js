// A real Chromium for page tests, driven by playwright-core; nothing is downloaded.
//
//   const browser = await startBrowser(t);      // null where there is no Chromium: skip the test
//   const page = await browser.newPage(url, { width: 360, colorScheme: 'dark' });
//   page.problems                               // what the page wrote to its console as errors, or threw
//   await page.evaluate(faintTexts)             // texts that are hard to read, of which there should be none
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/google-chrome', '/snap/bin/chromium'];

// The browser's path, or null. $CHROMIUM overrides the usual places.
function browserPath() {
  return [process.env.CHROMIUM, ...CANDIDATES].find((file) => file && fs.existsSync(file)) || null;
}

// Starts the browser with a profile of its own; both go when `t` ends.
async function startBrowser(t) {
  const { chromium } = require('playwright-core');
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-browser-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: browserPath(),
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-features=LocalNetworkAccessChecks', // a page whose headers we rewrote counts as from elsewhere
    ],
  });
  t.after(async () => {
    await context.close();
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  return { newPage: (url, options) => newPage(context, url, options) };
}

// `policy` is a Content-Security-Policy to add to every response.
async function newPage(context, url, { width = 1280, height = 860, colorScheme = 'light', policy } = {}) {
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (line) => line.type() === 'error' && page.problems.push(line.text()));
  page.setDefaultTimeout(15000);
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme });
  if (policy) {
    await page.route('**/*', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, headers: { ...response.headers(), 'content-security-policy': policy } });
    });
  }
  await page.goto(url);
  return page;
}

// Runs in the page: texts whose contrast to their background is below 4.5 to 1 (WCAG 2.2, 1.4.3); disabled
// buttons are exempt there.
function faintTexts() {
  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const channel = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const background = (element) => {
    const color = parse(getComputedStyle(element).backgroundColor);
    return color.length < 4 || color[3] === 1 ? color : background(element.parentElement);
  };
  const faint = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim() !== '');
    if (text.length === 0 || element.disabled || element.closest('noscript, [hidden]')) {
      continue;
    }
    const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(background(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) {
      faint.push(`${element.tagName} "${text[0].data.trim()}" ${contrast.toFixed(2)}`);
    }
  }
  return faint;
}

module.exports = { startBrowser, browserPath, faintTexts };
