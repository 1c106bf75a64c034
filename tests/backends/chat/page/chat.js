// The chat: one socket.io session, the room it is in, and which server has what part in it.
'use strict';

const MAX_LINES = 500; // the page forgets older ones

const $ = (id) => document.getElementById(id);
const socket = window.io(); // to where the page came from: Weir
let room = null;

function show(line, note) {
  const item = document.createElement('li');
  const small = document.createElement('small');
  small.textContent = ` ${note}`;
  item.append(line, small);
  $('said').append(item);
  while ($('said').childElementCount > MAX_LINES) {
    $('said').firstElementChild.remove();
  }
  item.scrollIntoView({ block: 'nearest' });
}

async function join() {
  const wanted = $('room').value.trim();
  if (room !== null && room !== wanted) {
    await socket.emitWithAck('leave', room);
  }
  const joined = await socket.emitWithAck('join', wanted);
  room = joined.room;
  show(`You are in ${room}`, `at ${joined.server}`);
}

socket.on('connect', () => {
  $('status').textContent = socket.recovered ? 'Connected again, nothing missed' : 'Connected';
  $('send').disabled = false;
  $('transport').textContent = socket.io.engine.transport.name;
  socket.io.engine.on('upgrade', (transport) => ($('transport').textContent = transport.name));
  if (!socket.recovered) {
    room = null; // a new session is in no room
    join();
  }
});

socket.on('disconnect', (reason) => {
  $('status').textContent = `Lost (${reason}), connecting again …`;
  $('send').disabled = true;
  $('transport').textContent = '…';
});

socket.on('welcome', ({ server }) => ($('server').textContent = server));
socket.on('said', ({ from, text, server }) => show(`${from}: ${text}`, `by way of ${server}`));
socket.on('question', (question, reply) => reply(question));

$('room-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (socket.connected) {
    join();
  }
});

$('say-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (socket.connected) {
    socket.emit('say', { room, from: $('from').value, text: $('text').value });
    $('text').value = '';
  }
});

fetch('whoami', { cache: 'no-store' })
  .then((response) => response.json())
  .then(({ server }) => ($('page-server').textContent = server))
  .catch(() => ($('page-server').textContent = 'nobody'));
