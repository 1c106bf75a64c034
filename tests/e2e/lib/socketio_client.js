// The real socket.io-client, with what a browser has and Node has not: cookies that outlive a connection.
//
//   const client = await openClient(t, weir.http('/'), { transports: UPGRADED, jar: new CookieJar() });
//   client.socket; await client.ask('whoami'); client.disconnects; await client.close();
//
// Each of its requests has a TCP connection of its own, so that they reach all workers of the gateway.
'use strict';

const { Manager } = require('socket.io-client');
const { NodeXHR, NodeWebSocket } = require('engine.io-client');
const { waitFor } = require('./weir');

const POLLING = ['polling'];
const WEBSOCKET = ['websocket'];
const UPGRADED = ['polling', 'websocket'];

const ACK_TIMEOUT_MS = 10000;
const CONNECT_TIMEOUT_MS = 10000;

// The cookies of one browser. engine.io-client has such a jar for each of its connections; here
// they share one, and WebSocket handshakes bring cookies too, as they do in a browser.
class CookieJar {
  constructor() {
    this.cookies = new Map();
    this.lines = []; // every Set-Cookie field that came
  }

  parseCookies(lines) {
    for (const line of lines || []) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      this.cookies.set(name, { value });
      this.lines.push(line);
    }
  }

  addCookies(xhr) {
    if (this.cookies.size > 0) {
      xhr.setDisableHeaderCheck(true);
      xhr.setRequestHeader('cookie', [...this.cookies].map(([name, { value }]) => `${name}=${value}`).join('; '));
    }
  }
}

// The client's own two transports, with `jar` in place of their jar for one connection.
function transportsWith(jar, names) {
  class Xhr extends NodeXHR {
    constructor(options) {
      options.socket._cookieJar = jar;
      super(options);
    }
  }
  class Ws extends NodeWebSocket {
    createSocket(...args) {
      this.socket._cookieJar = jar;
      const ws = super.createSocket(...args);
      ws.on('upgrade', (response) => jar.parseCookies(response.headers['set-cookie']));
      return ws;
    }
  }
  return names.map((name) => ({ polling: Xhr, websocket: Ws })[name]);
}

class Client {
  constructor(url, { transports, jar = new CookieJar(), path = '/socket.io/' }) {
    this.jar = jar;
    this.wants = transports.at(-1);
    this.manager = new Manager(url, {
      path,
      agent: false,
      transports: transportsWith(jar, transports),
      autoConnect: false,
      reconnectionDelay: 50,
      reconnectionDelayMax: 300,
    });
    this.disconnects = [];
    this.connects = 0;
    this.said = [];
    this.server = null; // the name of the server that it is with
    this.socket = this.manager.socket('/');
    this.socket.on('connect', () => this.connects++);
    this.socket.on('disconnect', (reason) => {
      this.disconnects.push(reason);
      this.server = null;
    });
    this.socket.on('connect_error', (error) => (this.lastError = error));
    this.socket.on('welcome', ({ server }) => (this.server = server));
    this.socket.on('said', (message) => this.said.push(message));
    this.socket.on('question', (question, reply) => reply({ answer: question }));
  }

  get transport() {
    return this.manager.engine?.transport.name;
  }

  // Connected, welcomed, and with the transport that it wants.
  get isSettled() {
    return this.socket.connected && this.server !== null && this.transport === this.wants;
  }

  async settle(timeoutMs = CONNECT_TIMEOUT_MS) {
    try {
      await waitFor(() => this.isSettled, { timeoutMs, what: `a session over ${this.wants}` });
    } catch (error) {
      error.message += `; it has ${this.transport}, the last error was ${this.lastError?.message}`;
      throw error;
    }
  }

  // Emits and resolves with the acknowledgement; rejects when none comes.
  ask(event, ...args) {
    return this.socket.timeout(ACK_TIMEOUT_MS).emitWithAck(event, ...args);
  }

  heard(text) {
    return this.said.filter((message) => message.text === text).length;
  }

  close() {
    this.socket.disconnect();
    this.manager._close();
  }
}

// A client that is connected; it is closed when `t` ends at the latest.
async function openClient(t, url, options) {
  const client = new Client(url, options);
  t.after(() => client.close());
  client.socket.connect();
  await client.settle(options.timeoutMs);
  return client;
}

module.exports = { openClient, CookieJar, POLLING, WEBSOCKET, UPGRADED };
