// A TCP relay between client and gateway whose cable can be pulled: all its connections are reset at once.
//
//   const relay = await startRelay(t, weir.port);
//   relay.pull(); ... relay.plug();         // pulled, it accepts nothing
'use strict';

const net = require('node:net');

class Relay {
  constructor(targetPort) {
    this.pairs = new Set();
    this.pulled = false;
    this.server = net.createServer({ allowHalfOpen: true }, (client) => this.#join(client, targetPort));
  }

  get url() {
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  #join(client, targetPort) {
    if (this.pulled) {
      client.resetAndDestroy();
      return;
    }
    const gateway = net.connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true });
    const pair = [client, gateway];
    this.pairs.add(pair);
    for (const [from, to] of [pair, [gateway, client]]) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => this.pairs.delete(pair));
    }
  }

  pull() {
    this.pulled = true;
    for (const socket of [...this.pairs].flat()) {
      socket.resetAndDestroy();
    }
  }

  plug() {
    this.pulled = false;
  }
}

async function startRelay(t, targetPort) {
  const relay = new Relay(targetPort);
  await new Promise((resolve) => relay.server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    relay.pull();
    relay.server.close();
  });
  return relay;
}

module.exports = { startRelay };
