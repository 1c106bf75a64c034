// A name server on loopback, over UDP, that answers what the test says.
//
//   const dns = await startDns(t);
//   dns.set('app.test', ['127.0.0.2', '127.0.0.3', '::1']);   // A and AAAA records; [] is a name without any
//   dns.mode = 'refused';         // or 'failed' (SERVFAIL), 'silent'; 'well' again later
//   dns.address                   // 127.0.0.1:PORT, for `resolver.nameservers`
//   await dns.asked(2);           // until two more questions for A records have come from now on
//
// A name that was never set does not exist (NXDOMAIN).
'use strict';

const dgram = require('node:dgram');
const net = require('node:net');
const { waitFor } = require('./weir');

const A = 1;
const AAAA = 28;
const IN = 1;
const RCODES = { well: 0, failed: 2, missing: 3, refused: 5 };
const RESPONSE = 0x8580; // QR, AA, RD, RA (RFC 1035, section 4.1.1)

// The question as it came, since resolvers write names in mixed case and want the same back.
function questionOf(packet) {
  const labels = [];
  let at = 12;
  for (let size = packet[at]; size > 0; size = packet[at]) {
    labels.push(packet.toString('latin1', at + 1, at + 1 + size));
    at += 1 + size;
  }
  const end = at + 5;
  return { name: labels.join('.').toLowerCase(), type: packet.readUInt16BE(at + 1), bytes: packet.subarray(12, end) };
}

function addressBytes(address) {
  if (net.isIPv4(address)) {
    return Buffer.from(address.split('.').map(Number));
  }
  const [before, after = ''] = address.split('::');
  const words = (text) => text.split(':').filter(Boolean);
  const zeros = Array(8 - words(before).length - words(after).length).fill('0');
  const all = [...words(before), ...(address.includes('::') ? zeros : []), ...words(after)];
  return Buffer.concat(all.map((word) => Buffer.from([parseInt(word, 16) >> 8, parseInt(word, 16) & 255])));
}

function record(type, address) {
  const data = addressBytes(address);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // the question's name
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(IN, 4);
  head.writeUInt16BE(data.length, 10); // the four bytes before it are a TTL of 0
  return Buffer.concat([head, data]);
}

function answerTo(packet, question, rcode, addresses) {
  const head = Buffer.from(packet.subarray(0, 12));
  head.writeUInt16BE(RESPONSE | rcode, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt32BE(0, 8);
  return Buffer.concat([head, question.bytes, ...addresses.map((address) => record(question.type, address))]);
}

class Dns {
  constructor(socket) {
    this.socket = socket;
    this.names = new Map();
    this.mode = 'well';
    this.questions = [];
    socket.on('message', (packet, from) => this.#answer(packet, from));
  }

  get address() {
    return `127.0.0.1:${this.socket.address().port}`;
  }

  set(name, addresses) {
    this.names.set(name, addresses);
  }

  // How often the IPv4 addresses of any name have been asked for.
  get count() {
    return this.questions.filter(({ type }) => type === A).length;
  }

  asked(more) {
    const enough = this.count + more;
    return waitFor(() => this.count >= enough, { what: `${more} more questions` });
  }

  #answer(packet, from) {
    const question = questionOf(packet);
    this.questions.push({ name: question.name, type: question.type });
    if (this.mode === 'silent') {
      return;
    }
    const addresses = this.names.get(question.name);
    const mode = this.mode === 'well' && !addresses ? 'missing' : this.mode;
    const family = question.type === A ? net.isIPv4 : question.type === AAAA ? net.isIPv6 : () => false;
    const chosen = mode === 'well' ? addresses.filter((address) => family(address)) : [];
    this.socket.send(answerTo(packet, question, RCODES[mode], chosen), from.port, from.address);
  }
}

async function startDns(t) {
  const socket = dgram.createSocket('udp4');
  await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.after(() => new Promise((resolve) => socket.close(resolve)));
  return new Dns(socket);
}

module.exports = { startDns };
