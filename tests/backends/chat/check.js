// Opens sessions with the chat through the gateway, and prints the names of the servers that answered, one a
// line. Fails when a session cannot be opened or misses what is said in the room that all of them are in.
// scripts/check-compose.sh runs it inside a chat container, where its one module, ws, is:
//
//   docker exec -i CONTAINER node - HOST:PORT COUNT <tests/backends/chat/check.js
//
// It speaks Engine.IO by itself, in one WebSocket or by polling in turn; socket.io's own client is what
// tests/e2e/socketio.test.js has.
'use strict';

const WebSocket = require('ws');

const [authority, count] = process.argv.slice(2);
const DEADLINE_MS = 15000;
const SEPARATOR = '\x1e'; // between packets in a polled body
const room = `check-${process.pid}-${Date.now()}`;

// What both transports have in common: packets come in, and somebody waits for one that starts with some text.
class Session {
  constructor() {
    this.packets = [];
    this.waiting = null;
  }

  take(packet) {
    if (packet === '2') {
      this.send('3'); // a ping
      return;
    }
    this.packets.push(packet);
    this.wake();
  }

  wake() {
    const at = this.waiting ? this.packets.findIndex((packet) => packet.startsWith(this.waiting.start)) : -1;
    if (at >= 0) {
      const { resolve, start } = this.waiting;
      this.waiting = null;
      resolve(JSON.parse(this.packets.splice(at, 1)[0].slice(start.length) || 'null'));
    }
  }

  // Resolves with what follows `start`, parsed.
  next(start) {
    return new Promise((resolve) => {
      this.waiting = { start, resolve };
      this.wake();
    });
  }

  async enter() {
    this.send('40');
    await this.next('40');
    const [, { server }] = await this.next('42');
    this.server = server;
    this.send(`421${JSON.stringify(['join', room])}`);
    await this.next('431');
  }
}

class SocketSession extends Session {
  open() {
    this.socket = new WebSocket(`ws://${authority}/socket.io/?EIO=4&transport=websocket`);
    this.socket.on('message', (data) => this.take(data.toString()));
    this.socket.on('error', fail);
    return this.next('0');
  }

  send(packet) {
    this.socket.send(packet);
  }

  close() {
    this.socket.terminate();
  }
}

class PolledSession extends Session {
  async request(options) {
    const id = this.sid ? `&sid=${this.sid}` : '';
    const response = await fetch(`http://${authority}/socket.io/?EIO=4&transport=polling${id}`, options);
    const body = await response.text();
    if (!response.ok) {
      throw new Error(`a poll was answered with ${response.status} ${body}`);
    }
    return body;
  }

  async open() {
    this.sid = JSON.parse((await this.request()).slice(1)).sid;
    this.poll().catch((error) => this.closed || fail(error));
  }

  async poll() {
    while (!this.closed) {
      (await this.request()).split(SEPARATOR).forEach((packet) => this.take(packet));
    }
  }

  send(body) {
    this.request({ method: 'POST', body }).catch((error) => this.closed || fail(error));
  }

  close() {
    this.closed = true;
  }
}

function fail(error) {
  console.error(error.cause || error);
  process.exit(1);
}

async function main() {
  setTimeout(() => fail(new Error('not all sessions were answered in time')), DEADLINE_MS).unref();
  const sessions = Array.from({ length: Number(count) }, (_, i) => new (i % 2 ? PolledSession : SocketSession)());
  for (const session of sessions) {
    await session.open();
    await session.enter();
  }
  sessions[0].send(`42${JSON.stringify(['say', { room, from: 'check', text: 'is anybody there' }])}`);
  for (const session of sessions) {
    const [, said] = await session.next('42');
    if (said.text !== 'is anybody there') {
      throw new Error(`a session got ${JSON.stringify(said)}`);
    }
  }
  sessions.forEach((session) => session.close());
  console.log([...new Set(sessions.map((session) => session.server))].sort().join('\n'));
  process.exit(0);
}

main().catch(fail);
