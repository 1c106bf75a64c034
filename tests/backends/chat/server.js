// A socket.io chat server that runs several times behind Weir: in docker-compose.yml for people, in
// tests/e2e/socketio*.test.js for the tests. Each server tells its own name, so that one sees who answers. The page
// to chat with is www/chat/.
//
//   PORT            where to listen (3000); with 0 the system picks a port
//   HOST            the address to listen on (all)
//   SERVER_NAME     what this server calls itself (the host's name)
//   REDIS_URL       redis://HOST:PORT, which joins the rooms of all servers; without it each has its own
//   REDIS_ADAPTER   pubsub (the default), or streams, with which a session recovers on any server
//   ALLOWED_ORIGIN  a site whose pages may talk to this server from elsewhere (CORS), with cookies; none
//   PING_INTERVAL, PING_TIMEOUT   of socket.io, in milliseconds (25000, 20000)
//
// It says "NAME listens on port N" when it serves, and ends in order on SIGTERM and SIGINT.
'use strict';

const http = require('node:http');
const os = require('node:os');
const { Server } = require('socket.io');

const env = process.env;
const name = env.SERVER_NAME || os.hostname();
const ASK_TIMEOUT_MS = 10000;
const MAX_NAME = 40; // characters of a room's or a person's name
const MAX_TEXT = 2000; // characters of what somebody says

// --- HTTP: whether it is well, and who answers ----------------------------------------------------

function answer(request, response) {
  const { pathname } = new URL(request.url, 'http://chat');
  const fields = { 'X-Server': name, 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' };
  const known = pathname === '/healthz' || pathname === '/whoami';
  if (!known || !['GET', 'HEAD'].includes(request.method)) {
    response.writeHead(known ? 405 : 404, fields).end();
    return;
  }
  const body = `${JSON.stringify({ server: name })}\n`;
  response.writeHead(200, { ...fields, 'Content-Length': body.length });
  response.end(request.method === 'HEAD' ? undefined : body);
}

// --- socket.io: rooms, and what the tests ask for ------------------------------------------------

// A text without what surrounds it, or null where it is none or too long.
function short(text, limit) {
  const trimmed = typeof text === 'string' ? text.trim() : '';
  return trimmed !== '' && trimmed.length <= limit ? trimmed : null;
}

// Acknowledgements are optional to clients, and what comes in the place of one need not be a function.
function replier(reply) {
  return typeof reply === 'function' ? reply : () => {};
}

function about(socket) {
  return { server: name, id: socket.id, transport: socket.conn.transport.name, recovered: socket.recovered };
}

function onConnection(io, socket) {
  socket.emit('welcome', about(socket));

  socket.on('whoami', (reply) => replier(reply)(about(socket)));

  socket.on('join', async (room, reply) => {
    const wanted = short(room, MAX_NAME);
    if (wanted) {
      await socket.join(wanted);
    }
    replier(reply)({ server: name, room: wanted });
  });

  socket.on('leave', async (room, reply) => {
    const left = short(room, MAX_NAME);
    if (left && left !== socket.id) {
      await socket.leave(left);
    }
    replier(reply)({ server: name, room: left });
  });

  // How many are in the room, on all servers.
  socket.on('count', async (room, reply) => {
    const wanted = short(room, MAX_NAME);
    try {
      const sockets = wanted ? await io.in(wanted).fetchSockets() : [];
      replier(reply)({ server: name, count: sockets.length });
    } catch (error) {
      replier(reply)({ server: name, error: error.message });
    }
  });

  // To all in the room, on whichever server they are, the one who says it included.
  socket.on('say', (message, reply) => {
    const { room, from, text } = message || {};
    const said = { room: short(room, MAX_NAME), from: short(from, MAX_NAME) || 'somebody', text: short(text, MAX_TEXT) };
    const heard = said.text !== null && said.room !== null && socket.rooms.has(said.room);
    if (heard) {
      io.to(said.room).emit('said', { ...said, server: name, at: Date.now() });
    }
    replier(reply)({ server: name, heard });
  });

  // What came goes back, bytes as bytes.
  socket.on('echo', (...args) => replier(args.pop())(...args));

  // Asks the client, and passes on what it answered.
  socket.on('ask', async (question, reply) => {
    try {
      const told = await socket.timeout(ASK_TIMEOUT_MS).emitWithAck('question', question);
      replier(reply)({ server: name, told });
    } catch (error) {
      replier(reply)({ server: name, error: error.message });
    }
  });
}

// --- Redis: rooms across servers -----------------------------------------------------------------

// The first attempt may come before Redis listens; the client goes on trying, and then it is ready.
function connected(link) {
  return new Promise((resolve) => {
    link.once('ready', resolve);
    link.connect().catch(() => {});
  });
}

// Waits for the links, since what is published before would be lost. Later they come back by themselves.
async function connectRedis(url) {
  const Redis = require('ioredis');
  const first = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: null });
  const links = [first, first.duplicate()];
  for (const link of links) {
    link.on('error', (error) => console.error(`${name}: redis: ${error.message}`));
  }
  await Promise.all(links.map(connected));
  return links;
}

function adapterOver(links) {
  if (env.REDIS_ADAPTER === 'streams') {
    return require('@socket.io/redis-streams-adapter').createAdapter(links[0]);
  }
  return require('@socket.io/redis-adapter').createAdapter(...links);
}

// --- the start and the end -----------------------------------------------------------------------

async function main() {
  const links = env.REDIS_URL ? await connectRedis(env.REDIS_URL) : [];
  const server = http.createServer(answer);
  const io = new Server(server, {
    adapter: links.length > 0 ? adapterOver(links) : undefined,
    cors: env.ALLOWED_ORIGIN ? { origin: env.ALLOWED_ORIGIN, credentials: true } : undefined,
    connectionStateRecovery: { maxDisconnectionDuration: 120000 },
    pingInterval: Number(env.PING_INTERVAL || 25000),
    pingTimeout: Number(env.PING_TIMEOUT || 20000),
  });
  io.on('connection', (socket) => onConnection(io, socket));
  server.listen({ port: Number(env.PORT || 3000), host: env.HOST }, () => {
    console.log(`${name} listens on port ${server.address().port}`);
  });
  server.on('error', (error) => {
    console.error(`${name}: ${error.message}`);
    process.exit(1);
  });
  let ending = false;
  const end = async () => {
    if (!ending) {
      ending = true;
      await io.close();
      links.forEach((link) => link.disconnect());
    }
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}

main();
