// The echo page: a WebSocket and a log of all that happens on it. The pieces, in order: the elements,
// the fields and what is wrong with them, the log, the announcer for screen readers, the socket.
'use strict';

const MAX_ROWS = 1000; // the log forgets its oldest rows beyond this
const MAX_AWAITING = 1000; // sent messages whose echo may still come
const PREVIEW_CHARACTERS = 200; // of a long message, before it is unfolded
const SHOWN_CHARACTERS = 20000; // of a long message, after that
const SHOWN_BYTES = 4096; // of a binary message
const MAX_REASON_BYTES = 123; // a control frame carries 125, two of them the code (RFC 6455, section 5.5)

const CLOSE_CODES = {
  1000: 'normal closure',
  1001: 'going away',
  1002: 'protocol error',
  1003: 'unsupported data',
  1005: 'no code given',
  1006: 'no close frame, the connection was lost',
  1007: 'invalid data',
  1008: 'policy violation',
  1009: 'message too big',
  1010: 'extension missing',
  1011: 'internal error',
  1012: 'service restart',
  1013: 'try again later',
  1014: 'bad gateway',
  1015: 'TLS failure',
};

const $ = (id) => document.getElementById(id);
const status = $('status');
const statusText = $('status-text');
const connectForm = $('connect-form');
const url = $('url');
const protocols = $('protocols');
const connectButton = $('connect');
const messageForm = $('message-form');
const message = $('message');
const sendButton = $('send');
const options = $('options');
const closeCode = $('close-code');
const closeReason = $('close-reason');
const closeButton = $('close');
const logScroll = $('log-scroll');
const logRows = $('log');
const logEmpty = $('log-empty');
const logCount = $('log-count');
const clearButton = $('clear');
const announcer = $('announcer');

const encoder = new TextEncoder();

// --- the fields: each check returns what is wrong with the field, or an empty string ------------------------

function urlProblem() {
  let parsed;
  try {
    parsed = new URL(url.value.trim());
  } catch {
    return 'Give a full URL, such as ws://localhost:5000/ws.';
  }
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:') {
    return 'A WebSocket URL starts with ws:// or wss://.';
  }
  return parsed.hash || parsed.href.endsWith('#') ? 'A WebSocket URL has no # part.' : '';
}

function protocolList() {
  return protocols.value.split(/[\s,]+/).filter((name) => name !== '');
}

// A subprotocol is a token of RFC 9110, section 5.6.2, and none may be given twice.
function protocolsProblem() {
  const names = protocolList();
  const wrong = names.find((name) => !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name));
  if (wrong !== undefined) {
    return `“${wrong}” cannot be a subprotocol's name.`;
  }
  return new Set(names).size < names.length ? 'A subprotocol may be named once only.' : '';
}

function messageKind() {
  return messageForm.elements.kind.value;
}

function messageProblem() {
  if (messageKind() !== 'hex') {
    return '';
  }
  const digits = message.value.replace(/[\s:,]|0x/gi, '');
  const wrong = digits.match(/[^0-9a-f]/i);
  if (wrong) {
    return `“${wrong[0]}” is not a hexadecimal digit.`;
  }
  return digits.length % 2 ? 'A byte has two digits; one is missing.' : '';
}

// What a page may send: 1000 or 3000 to 4999, or no code at all.
function closeProblem() {
  const code = closeCode.value.trim();
  const number = Number(code);
  if (code !== '' && !(/^\d{4}$/.test(code) && (number === 1000 || (number >= 3000 && number <= 4999)))) {
    return 'A page may close with 1000 or with 3000 to 4999.';
  }
  if (code === '' && closeReason.value !== '') {
    return 'A reason needs a code.';
  }
  const size = encoder.encode(closeReason.value).length;
  return size > MAX_REASON_BYTES ? `The reason has ${size} bytes; ${MAX_REASON_BYTES} fit.` : '';
}

function showProblem(fields, hint, problem) {
  if (hint.textContent !== problem) {
    hint.textContent = problem;
  }
  for (const field of fields) {
    field.setAttribute('aria-invalid', String(problem !== ''));
  }
  return problem === '';
}

// --- the log --------------------------------------------------------------------------------------------------

let entries = 0; // since the log was last cleared
const newRows = document.createDocumentFragment(); // they join the table once per painted frame
let painting = false;

function formatTime(date) {
  const two = (number) => String(number).padStart(2, '0');
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

function formatSize(bytes) {
  if (bytes < 1024) {
    return `${bytes} B`;
  }
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function formatTrip(ms) {
  if (ms >= 10000) {
    return `${(ms / 1000).toFixed(1)} s`;
  }
  return `${ms.toFixed(ms < 100 ? 1 : 0)} ms`;
}

function formatCount(count, one, many) {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

// The bytes as pairs of digits.
function formatBytes(bytes) {
  const shown = bytes.subarray(0, SHOWN_BYTES);
  const hex = Array.from(shown, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const more = bytes.length > shown.length ? ` … and ${formatCount(bytes.length - shown.length, 'byte', 'bytes')} more` : '';
  return hex + more;
}

function fillContent(cell, text) {
  cell.dir = 'auto';
  if (text.length <= PREVIEW_CHARACTERS) {
    cell.textContent = text;
    return;
  }
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  const preview = document.createElement('span');
  preview.className = 'preview';
  preview.textContent = `${text.slice(0, PREVIEW_CHARACTERS)}… `;
  const more = document.createElement('span');
  more.className = 'more';
  more.textContent = formatCount(text.length, 'character', 'characters');
  summary.append(preview, more);
  details.append(summary);
  const cut = text.length > SHOWN_CHARACTERS ? `\n… and ${(text.length - SHOWN_CHARACTERS).toLocaleString('en')} more` : '';
  details.append(text.slice(0, SHOWN_CHARACTERS) + cut);
  cell.append(details);
}

const DIRECTIONS = { sent: 'client → server', received: 'server → client', event: 'event' };

// entry: { direction, kind, size, trip, content }; size (bytes) and trip (ms) may be absent.
function makeRow(entry) {
  const row = document.createElement('tr');
  row.setAttribute('role', 'row');
  row.dataset.direction = entry.direction;
  row.dataset.kind = entry.kind;
  const cell = (name, text) => {
    const td = document.createElement('td');
    td.setAttribute('role', 'cell');
    td.className = name;
    td.textContent = text;
    row.append(td);
    return td;
  };
  cell('time', formatTime(new Date()));
  cell('direction', DIRECTIONS[entry.direction]);
  cell('kind', entry.kind);
  const size = cell('size', entry.size === undefined ? '' : formatSize(entry.size));
  if (entry.size !== undefined) {
    size.title = formatCount(entry.size, 'byte', 'bytes');
  }
  cell('trip', entry.trip === undefined ? '' : formatTrip(entry.trip));
  fillContent(cell('content', ''), entry.content);
  return row;
}

function paintLog() {
  painting = false;
  const atEnd = logScroll.scrollTop + logScroll.clientHeight >= logScroll.scrollHeight - 32;
  logRows.append(newRows);
  while (logRows.rows.length > MAX_ROWS) {
    logRows.deleteRow(0);
  }
  logEmpty.hidden = entries > 0;
  clearButton.disabled = entries === 0;
  const kept = logRows.rows.length < entries ? `last ${MAX_ROWS.toLocaleString('en')} of ` : '';
  logCount.textContent = entries === 0 ? 'No entries' : kept + formatCount(entries, 'entry', 'entries');
  if (atEnd) {
    logScroll.scrollTop = logScroll.scrollHeight;
  }
}

function paintSoon() {
  if (!painting) {
    painting = true;
    requestAnimationFrame(paintLog);
  }
}

function log(entry) {
  entries++;
  newRows.append(makeRow(entry));
  if (newRows.childElementCount > MAX_ROWS) {
    newRows.firstChild.remove(); // a hidden page is not painted, but goes on receiving
  }
  paintSoon();
}

function clearLog() {
  entries = 0;
  newRows.replaceChildren();
  logRows.replaceChildren();
  paintSoon();
  announce('Log cleared');
  message.focus();
}

// --- the announcer: what happened, for screen readers, at most once a second -------------------------------

let announcements = []; // the last two
let announcementCount = 0;
let announcing = null;

function speak() {
  announcing = null;
  if (announcementCount === 0) {
    return;
  }
  const last = announcements[announcements.length - 1];
  announcer.textContent = announcementCount < 3 ? announcements.join('. ') : `${announcementCount} log entries, the last: ${last}`;
  announcements = [];
  announcementCount = 0;
  announcing = setTimeout(speak, 1000);
}

function announce(text) {
  announcements = [...announcements.slice(-1), text];
  announcementCount++;
  if (announcing === null) {
    announcing = setTimeout(speak, 50);
  }
}

// --- the socket ---------------------------------------------------------------------------------------------

let socket = null;
let startedAt = 0; // when connecting began
let closingAt = null; // when this side asked to close, or null
let opened = false;
let awaiting = []; // sent messages, { kind, content, at }, whose echo has not come

const STATES = ['connecting', 'open', 'closing', 'closed'];
const STATE_TEXTS = { ready: 'Ready to connect', connecting: 'Connecting', open: 'Open', closing: 'Closing', closed: 'Closed' };

function state() {
  return socket === null ? 'ready' : STATES[socket.readyState];
}

// Shows the state, and lets each button be pressed exactly when it can do something.
function refresh() {
  const now = state();
  if (status.dataset.state !== now) {
    status.dataset.state = now;
    statusText.textContent = STATE_TEXTS[now];
    document.title = `${STATE_TEXTS[now]} · Weir echo`;
  }
  const idle = now === 'ready' || now === 'closed';
  const urlGood = showProblem([url], $('url-hint'), urlProblem());
  const protocolsGood = showProblem([protocols], $('protocols-hint'), protocolsProblem());
  const messageGood = showProblem([message], $('message-hint'), messageProblem());
  const closeGood = showProblem([closeCode, closeReason], $('close-hint'), closeProblem());
  if (!protocolsGood || !closeGood) {
    options.open = true; // nobody should wonder why a button cannot be pressed
  }
  url.readOnly = !idle;
  protocols.readOnly = !idle;
  connectButton.disabled = !idle || !urlGood || !protocolsGood;
  sendButton.disabled = now !== 'open' || !messageGood;
  closeButton.disabled = (now !== 'open' && now !== 'connecting') || !closeGood;
}

// Moves the focus unless the user has meanwhile gone elsewhere: a button that was pressed and is now
// disabled would otherwise leave the keyboard nowhere.
function moveFocus(to, from) {
  const active = document.activeElement;
  if (active === null || active === document.body || active.disabled || from.includes(active)) {
    to.focus();
  }
}

function connect() {
  startedAt = performance.now();
  closingAt = null;
  opened = false;
  awaiting = [];
  const address = url.value.trim();
  try {
    const names = protocolList();
    socket = names.length > 0 ? new WebSocket(address, names) : new WebSocket(address);
  } catch (error) {
    socket = null;
    log({ direction: 'event', kind: 'error', content: error.message });
    announce(`Error: ${error.message}`);
    return;
  }
  log({ direction: 'event', kind: 'connect', content: address });
  socket.binaryType = 'arraybuffer';
  socket.onopen = onOpen;
  socket.onmessage = onMessage;
  socket.onerror = onError;
  socket.onclose = onClose;
}

function onOpen() {
  opened = true;
  const chosen = socket.protocol ? `, subprotocol ${socket.protocol}` : '';
  const extensions = socket.extensions ? `, ${socket.extensions}` : '';
  log({ direction: 'event', kind: 'open', trip: performance.now() - startedAt, content: `Connected${chosen}${extensions}` });
  refresh();
  moveFocus(message, [url, protocols, connectButton]);
  if (document.activeElement === message) {
    message.select();
  }
}

// The time since the oldest sent message that this one repeats; undefined if it is no echo.
function takeTrip(kind, content, arrivedAt) {
  const at = awaiting.findIndex((sent) => sent.kind === kind && sent.content === content);
  if (at < 0) {
    return undefined;
  }
  const [sent] = awaiting.splice(at, 1);
  return arrivedAt - sent.at;
}

function onMessage(event) {
  const arrivedAt = performance.now();
  const binary = typeof event.data !== 'string';
  const kind = binary ? 'binary' : 'text';
  const bytes = binary ? new Uint8Array(event.data) : null;
  const content = binary ? formatBytes(bytes) : event.data;
  const size = binary ? bytes.length : encoder.encode(content).length;
  const trip = takeTrip(kind, content, arrivedAt);
  log({ direction: 'received', kind, size, trip, content });
  announce(`Received ${kind}: ${content.slice(0, PREVIEW_CHARACTERS)}`);
}

function onError() {
  // A page is not told more than this, lest it explore the network; the close event that follows has a code.
  const content = opened ? 'The connection failed.' : 'The connection could not be made.';
  log({ direction: 'event', kind: 'error', content });
  announce(`Error: ${content}`);
}

function onClose(event) {
  const meaning = CLOSE_CODES[event.code] || (event.code >= 4000 ? 'private code' : 'registered code');
  const reason = event.reason ? `, reason “${event.reason}”` : '';
  const content = `Code ${event.code} (${meaning})${reason}, ${event.wasClean ? 'clean' : 'not clean'}`;
  const trip = closingAt === null ? undefined : performance.now() - closingAt;
  closingAt = null;
  awaiting = [];
  log({ direction: 'event', kind: 'close', trip, content });
  announce(content);
  refresh();
  moveFocus(connectButton, [closeButton, sendButton]);
}

function parseHex(text) {
  const pairs = text.replace(/[\s:,]|0x/gi, '').match(/../g) || [];
  return Uint8Array.from(pairs, (pair) => parseInt(pair, 16));
}

function send() {
  const chosen = messageKind();
  const kind = chosen === 'text' ? 'text' : 'binary';
  const text = message.value;
  const data = chosen === 'text' ? text : chosen === 'hex' ? parseHex(text) : encoder.encode(text);
  const content = kind === 'text' ? text : formatBytes(data);
  const size = kind === 'text' ? encoder.encode(text).length : data.length;
  awaiting.push({ kind, content, at: performance.now() });
  if (awaiting.length > MAX_AWAITING) {
    awaiting.shift();
  }
  socket.send(data);
  log({ direction: 'sent', kind, size, content });
}

function close() {
  const code = closeCode.value.trim();
  const reason = closeReason.value;
  closingAt = performance.now();
  if (state() === 'connecting') {
    log({ direction: 'event', kind: 'cancel', content: 'Gave up connecting' });
  } else {
    const said = code === '' ? 'No code' : `Code ${code}${reason ? `, reason “${reason}”` : ''}`;
    log({ direction: 'sent', kind: 'close', content: said });
  }
  if (code === '') {
    socket.close();
  } else {
    socket.close(Number(code), reason);
  }
}

// --- what the user does -------------------------------------------------------------------------------------

connectForm.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!connectButton.disabled) {
    connect();
    refresh();
  }
});

messageForm.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!sendButton.disabled) {
    send();
    refresh();
  }
});

closeButton.addEventListener('click', () => {
  close();
  refresh();
});

message.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.isComposing || event.shiftKey) {
    return; // Shift+Enter makes a new line by itself
  }
  event.preventDefault();
  if (event.ctrlKey || event.metaKey) {
    message.setRangeText('\n', message.selectionStart, message.selectionEnd, 'end');
    refresh();
  } else if (!sendButton.disabled) {
    send();
    message.select(); // the next Enter repeats it, typing replaces it
  }
});

for (const form of [connectForm, messageForm]) {
  form.addEventListener('input', refresh);
}
clearButton.addEventListener('click', clearLog);

// A page opened from a file has no host to talk to; it is then the gateway's default address.
url.value = location.host ? `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws` : 'ws://localhost:5000/ws';
options.open = matchMedia('(min-width: 64rem)').matches; // where there is room
refresh();
connectButton.focus();
