// WebSocket frames as bytes (RFC 6455, section 5.2), with every field open to abuse. It checks nothing.
//
//   c.send(frame({ opcode: TEXT, payload: 'hi' }));             // masked, final
//   c.send(frame({ opcode: BINARY, rsv: 4, mask: null }));      // RSV1 set, unmasked
//   c.send(frame({ opcode: TEXT, payload: '', length: 2n ** 63n, lengthBytes: 8 }));
'use strict';

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

// rsv: three bits, 4 is RSV1. mask: four bytes, or null for an unmasked frame. length: the length to claim, by
// default the payload's; lengthBytes: 0 (7 bits), 2 or 8, by default the shortest that fits.
function frame({ fin = true, rsv = 0, opcode = TEXT, payload = '', mask = Buffer.from([1, 2, 3, 4]), length, lengthBytes } = {}) {
  const data = Buffer.from(payload);
  const claimed = BigInt(length === undefined ? data.length : length);
  const width = lengthBytes === undefined ? (claimed < 126n ? 0 : claimed < 65536n ? 2 : 8) : lengthBytes;
  const head = Buffer.alloc(2 + width);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (mask ? 0x80 : 0) | (width === 0 ? Number(claimed) : width === 2 ? 126 : 127);
  if (width === 2) {
    head.writeUInt16BE(Number(claimed), 2);
  } else if (width === 8) {
    head.writeBigUInt64BE(claimed, 2);
  }
  if (!mask) {
    return Buffer.concat([head, data]);
  }
  return Buffer.concat([head, mask, data.map((byte, at) => byte ^ mask[at % 4])]);
}

function closeFrame(code, reason = '', options = {}) {
  const payload = code === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
  return frame({ opcode: CLOSE, payload, ...options });
}

// Where the payload of the first frame of `bytes` starts and how long it is, or null when that is not known yet.
function takeHead(bytes) {
  if (bytes.length < 2) {
    return null;
  }
  const short = bytes[1] & 0x7f;
  const width = short === 126 ? 2 : short === 127 ? 8 : 0;
  const masked = (bytes[1] & 0x80) !== 0;
  const start = 2 + width + (masked ? 4 : 0);
  if (bytes.length < start) {
    return null;
  }
  const length = width === 0 ? short : width === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return { masked, start, length };
}

// How many bytes the first frame of `bytes` has on the wire, as far as is known yet: never too many.
function frameSize(bytes) {
  const head = takeHead(bytes);
  return head ? head.start + head.length : bytes.length + 1;
}

// The first frame of `bytes` and its size on the wire, or null when it is not all there.
function takeFrame(bytes) {
  const head = takeHead(bytes);
  if (!head || bytes.length < head.start + head.length) {
    return null;
  }
  const { masked, start, length } = head;
  let payload = Buffer.from(bytes.subarray(start, start + length));
  if (masked) {
    const mask = bytes.subarray(start - 4, start);
    payload = payload.map((byte, at) => byte ^ mask[at % 4]);
  }
  const flags = bytes[0];
  return {
    frame: { fin: (flags & 0x80) !== 0, rsv: (flags >> 4) & 7, opcode: flags & 15, masked, payload },
    size: start + length,
  };
}

// { code, reason } of a close frame; code 1005 where it has none (RFC 6455, section 7.1.5).
function closeOf({ payload }) {
  return payload.length < 2 ? { code: 1005, reason: '' } : { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) };
}

module.exports = { frame, closeFrame, takeFrame, frameSize, closeOf, CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG };
