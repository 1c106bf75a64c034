// The rooms page: one WebSocket to plugins/chat.lua, which is in one room for as long as it is open. The pieces, in
// order: the elements, the log, who is here and who types, the messages that come, the session.
'use strict';

const MAX_ROWS = 500; // the log forgets its oldest rows beyond this
const TYPING_MS = 4000; // without a key, one has stopped
const RETRY_MS = 1000;
const NAMES = ['Ada', 'Barbara', 'Dennis', 'Edsger', 'Grace', 'Ken', 'Radia', 'Tony'];

const $ = (id) => document.getElementById(id);
const status = $('status');
const statusText = $('status-text');
const roomForm = $('room-form');
const nameField = $('name');
const roomField = $('room');
const enterButton = $('enter');
const leaveButton = $('leave');
const peopleList = $('people');
const peopleCount = $('people-count');
const roomName = $('room-name');
const saidScroll = $('said-scroll');
const saidRows = $('said');
const typingLine = $('typing');
const sayForm = $('say-form');
const text = $('text');
const sendButton = $('send');

// --- the log ------------------------------------------------------------------------------------------------

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

function show(mine, ...parts) {
  const atEnd = saidScroll.scrollTop + saidScroll.clientHeight >= saidScroll.scrollHeight - 32;
  const row = document.createElement('li');
  row.classList.toggle('mine', mine);
  row.append(...parts);
  saidRows.append(row);
  while (saidRows.childElementCount > MAX_ROWS) {
    saidRows.firstElementChild.remove();
  }
  if (atEnd) {
    saidScroll.scrollTop = saidScroll.scrollHeight;
  }
}

function showEvent(words) {
  show(false, span('time', formatTime(Date.now())), span('words event', words));
}

// --- who is here, and who types -------------------------------------------------------------------------------

let me = null; // { id, name, room } of the session, once the room has welcomed it
const people = new Map(); // id -> { name, typing }

function forget() {
  people.clear();
  me = null;
}

function showPeople() {
  const items = [...people].sort(([, a], [, b]) => a.name.localeCompare(b.name));
  peopleList.replaceChildren(
    ...items.map(([id, { name, typing }]) => {
      const item = document.createElement('li');
      item.dir = 'auto';
      item.textContent = name;
      item.classList.toggle('me', me !== null && id === me.id);
      item.classList.toggle('is-typing', typing);
      return item;
    }),
  );
  const count = people.size;
  peopleCount.textContent = count === 0 ? 'Nobody yet' : count === 1 ? 'One person' : `${count} people`;
  const busy = items.filter(([, { typing }]) => typing).map(([, { name }]) => name);
  const verb = busy.length === 1 ? 'is' : 'are';
  typingLine.textContent = busy.length === 0 ? '' : `${busy.slice(0, 3).join(', ')} ${verb} typing`;
}

// --- the messages that come -------------------------------------------------------------------------------------

const handle = {
  welcome({ id, name, room, people: all }) {
    me = { id, name, room };
    people.clear();
    all.forEach((person) => people.set(person.id, { name: person.name, typing: false }));
    showEvent(`You are in room ${room} as ${name}`);
    refresh('open', 'Connected');
  },
  joined({ id, name }) {
    if (!people.has(id)) {
      people.set(id, { name, typing: false });
      showEvent(`${name} has come`);
    }
  },
  left({ id, name }) {
    if (people.delete(id)) {
      showEvent(`${name} has left`);
    }
  },
  typing({ id, on }) {
    if (people.has(id)) {
      people.get(id).typing = on;
    }
  },
  said({ id, name, text: words, at }) {
    if (people.has(id)) {
      people.get(id).typing = false;
    }
    show(me !== null && id === me.id, span('time', formatTime(at)), span('from', name), span('words', words));
  },
  error({ why }) {
    showEvent(`The room says: ${why}`);
  },
};

// --- the session ------------------------------------------------------------------------------------------------

let socket = null;
let retry = null; // the timer of the next attempt
let isTyping = null; // the timer that ends it

// Shows the state, and lets each button be pressed exactly when it can do something.
function refresh(state, words) {
  if (state !== undefined) {
    status.dataset.state = state;
    statusText.textContent = words;
    document.title = `${words} · Weir rooms`;
  }
  const wanted = [roomField.value.trim(), nameField.value.trim()];
  const isThere = socket !== null && socket.wanted[0] === wanted[0] && socket.wanted[1] === wanted[1];
  roomName.textContent = me === null ? 'In no room yet' : `In room ${me.room}`;
  enterButton.disabled = wanted.includes('') || isThere;
  leaveButton.disabled = socket === null && retry === null;
  sendButton.disabled = me === null || text.value.trim() === '';
  showPeople();
}

function tell(message) {
  if (me !== null) {
    socket.send(JSON.stringify(message));
  }
}

function stopTyping(quietly) {
  if (isTyping !== null) {
    clearTimeout(isTyping);
    isTyping = null;
    if (!quietly) {
      tell({ type: 'typing', on: false });
    }
  }
}

function noteTyping() {
  if (text.value.trim() === '') {
    stopTyping(false);
    return;
  }
  if (isTyping === null) {
    tell({ type: 'typing', on: true });
  }
  clearTimeout(isTyping);
  isTyping = setTimeout(() => stopTyping(false), TYPING_MS);
}

function onClose(event) {
  const { wanted } = this;
  const refused = me === null; // it was closed before the room welcomed it
  socket = null;
  stopTyping(true);
  forget();
  showEvent(`The connection was lost (${event.code}${event.reason ? `, ${event.reason}` : ''})`);
  if (event.code >= 4000 || (refused && event.code === 1013)) {
    refresh('closed', 'Not let in');
    return;
  }
  retry = setTimeout(() => enter(...wanted), RETRY_MS);
  refresh('closed', 'Lost, connecting again');
}

function leave() {
  clearTimeout(retry);
  retry = null;
  stopTyping(true);
  if (socket !== null) {
    socket.onclose = socket.onmessage = null;
    socket.close(1000);
    socket = null;
  }
  forget();
  refresh('ready', 'In no room');
}

function enter(room, name) {
  leave();
  const url = new URL('ws', window.location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  url.search = new URLSearchParams({ room, name });
  socket = new WebSocket(url);
  socket.wanted = [room, name];
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (Object.hasOwn(handle, message.type)) {
      handle[message.type](message);
      showPeople();
    }
  };
  socket.onclose = onClose;
  refresh('connecting', 'Connecting');
}

roomForm.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!enterButton.disabled) {
    enter(roomField.value.trim(), nameField.value.trim());
  }
});
leaveButton.addEventListener('click', leave);
for (const field of [roomField, nameField]) {
  field.addEventListener('input', () => refresh());
}

sayForm.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!sendButton.disabled) {
    tell({ type: 'say', text: text.value });
    text.value = '';
    stopTyping(true); // the message says so
    refresh();
  }
});
text.addEventListener('input', () => {
  noteTyping();
  refresh();
});

nameField.value = NAMES[Math.floor(Math.random() * NAMES.length)];
refresh();
