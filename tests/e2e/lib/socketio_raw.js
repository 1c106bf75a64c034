// Engine.IO's polling by hand, one request at a time, where a test wants to see the status of each.
//
//   const { sid, cookie } = await handshake(base, { cookie });
//   const { status, text } = await post(base, sid, { cookie });   // enters the namespace `/`
'use strict';

const target = (base, sid) => `${base}/socket.io/?EIO=4&transport=polling${sid ? `&sid=${sid}` : ''}`;

async function request(url, { cookie, ...options }) {
  const headers = { connection: 'close', ...(cookie ? { cookie } : {}), ...options.headers };
  const response = await fetch(url, { ...options, headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

// Begins a session. `cookie` is what a browser would send from now on.
async function handshake(base, options = {}) {
  const answer = await request(target(base), options);
  const set = answer.headers.get('set-cookie');
  const { sid } = JSON.parse(answer.text.slice(1));
  return { ...answer, sid, cookie: set ? set.split(';')[0] : options.cookie };
}

// Sends the packet that enters the main namespace.
function post(base, sid, options = {}) {
  return request(target(base, sid), { ...options, method: 'POST', body: '40', headers: { 'content-type': 'text/plain' } });
}

// Waits for what the server says next.
function poll(base, sid, options = {}) {
  return request(target(base, sid), options);
}

module.exports = { handshake, post, poll, target };
