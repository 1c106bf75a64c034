// The chat page: one socket.io session by way of the gateway, the room it is in, and which server had what
// part in it. The pieces, in order: the elements, the servers, the log, the room, the session.
'use strict';

const MAX_ROWS = 500; // the log forgets its oldest rows beyond this
const TONES = 5; // colours for servers, see chat.css
const ANSWER_TIMEOUT_MS = 5000;
const NAMES = ['Ada', 'Barbara', 'Dennis', 'Edsger', 'Grace', 'Ken', 'Radia', 'Tony'];

const $ = (id) => document.getElementById(id);
const status = $('status');
const statusText = $('status-text');
const server = $('server');
const transport = $('transport');
const servers = $('servers');
const roomForm = $('room-form');
const from = $('from');
const roomField = $('room');
const joinButton = $('join');
const roomName = $('room-name');
const saidScroll = $('said-scroll');
const saidRows = $('said');
const sayForm = $('say-form');
const text = $('text');
const sendButton = $('send');

// --- the servers: each keeps the colour that it was first seen with ------------------------------------------

const known = new Map(); // name -> number

function serverTag(name) {
  const tag = document.createElement('span');
  tag.className = 'server';
  tag.textContent = name;
  if (!known.has(name)) {
    known.set(name, known.size);
    const item = document.createElement('li');
    item.append(serverTag(name));
    servers.append(item);
  }
  tag.dataset.tone = known.get(name) % TONES;
  return tag;
}

// --- the log ----------------------------------------------------------------------------------------------

function formatTime(at) {
  return new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

function span(name, content) {
  const element = document.createElement('span');
  element.className = name;
  element.dir = 'auto';
  element.textContent = content;
  return element;
}

function show(...parts) {
  const atEnd = saidScroll.scrollTop + saidScroll.clientHeight >= saidScroll.scrollHeight - 32;
  const row = document.createElement('li');
  row.append(...parts);
  saidRows.append(row);
  while (saidRows.childElementCount > MAX_ROWS) {
    saidRows.firstElementChild.remove();
  }
  if (atEnd) {
    saidScroll.scrollTop = saidScroll.scrollHeight;
  }
}

function showEvent(what, name) {
  const parts = [span('time', formatTime(Date.now())), span('words event', what)];
  show(...parts, ...(name === undefined ? [] : [serverTag(name)]));
}

function showSaid(said) {
  const parts = [span('time', formatTime(said.at)), span('from', said.from), span('words', said.text)];
  show(...parts, serverTag(said.server));
}

// --- the room ---------------------------------------------------------------------------------------------

let socket = null;
let room = null;

// Shows the state, and lets each button be pressed exactly when it can do something.
function refresh(state, words) {
  if (state !== undefined) {
    status.dataset.state = state;
    statusText.textContent = words;
    document.title = `${words} · Weir chat`;
  }
  const connected = socket !== null && socket.connected;
  roomName.textContent = room === null ? 'In no room yet' : `In room ${room}`;
  joinButton.disabled = !connected || roomField.value.trim() === '' || roomField.value.trim() === room;
  sendButton.disabled = !connected || room === null || text.value.trim() === '';
}

function ask(...args) {
  return socket.timeout(ANSWER_TIMEOUT_MS).emitWithAck(...args);
}

async function enter(wanted) {
  const session = socket.id;
  try {
    if (room !== null && room !== wanted) {
      await ask('leave', room);
    }
    const joined = await ask('join', wanted);
    if (socket.id !== session) {
      return; // another session has begun meanwhile, and enters by itself
    }
    room = joined.room;
    showEvent(`You are in room ${room}`, joined.server);
  } catch {
    if (socket.id === session) {
      showEvent(`No answer about room ${wanted}`);
    }
  }
  refresh();
}

// --- the session ------------------------------------------------------------------------------------------

function onConnect() {
  refresh('open', 'Connected');
  transport.textContent = socket.io.engine.transport.name;
  socket.io.engine.on('upgrade', (to) => (transport.textContent = to.name));
  if (!socket.recovered) {
    const wanted = room || roomField.value.trim() || 'lobby';
    room = null; // a new session is in no room
    enter(wanted);
  }
}

function onWelcome(about) {
  const before = server.textContent;
  server.replaceChildren(serverTag(about.server));
  if (known.size > 1 && before !== about.server) {
    showEvent('You are with another server now', about.server);
  }
}

function onDisconnect(reason) {
  refresh('closed', 'Lost, connecting again');
  transport.textContent = 'none';
  showEvent(`The connection was lost (${reason})`);
}

function start() {
  from.value = NAMES[Math.floor(Math.random() * NAMES.length)];
  if (window.io === undefined) {
    $('missing').hidden = false;
    refresh('closed', 'No chat server');
    return;
  }
  socket = window.io(); // to where the page came from
  socket.on('connect', onConnect);
  socket.on('welcome', onWelcome);
  socket.on('said', showSaid);
  socket.on('disconnect', onDisconnect);
  refresh('connecting', 'Connecting');
}

roomForm.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!joinButton.disabled) {
    enter(roomField.value.trim());
  }
});
roomField.addEventListener('input', () => refresh());

sayForm.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!sendButton.disabled) {
    socket.emit('say', { room, from: from.value, text: text.value });
    text.value = '';
    refresh();
  }
});
text.addEventListener('input', () => refresh());

start();
