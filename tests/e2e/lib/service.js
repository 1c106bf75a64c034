// An HTTP service that plugins ask: it remembers what it was asked, and answers what a test says.
//
//   const service = await startService(t, async (asked, n) => ({ status: 200, headers: {...}, body: '...' }));
//   service.url; service.asked[0]   // { method, url, headers, body (Buffer), json, aborted }
//
// An answer of `null` hangs up without one; a promise that never resolves is a service that hangs.
'use strict';

const http = require('node:http');

async function startService(t, answer) {
  const service = { asked: [], connections: 0, atOnce: 0, mostAtOnce: 0 };
  const server = http.createServer(async (request, response) => {
    const parts = [];
    const asked = { method: request.method, url: request.url, headers: request.headers, aborted: false };
    response.on('close', () => (asked.aborted = !response.writableFinished));
    for await (const part of request) {
      parts.push(part);
    }
    asked.body = Buffer.concat(parts);
    try {
      asked.json = JSON.parse(asked.body);
    } catch {
      asked.json = null;
    }
    service.asked.push(asked);
    service.atOnce++;
    service.mostAtOnce = Math.max(service.mostAtOnce, service.atOnce);
    const said = await answer(asked, service.asked.length - 1);
    service.atOnce--;
    if (said === null) {
      request.socket.destroy();
      return;
    }
    response.writeHead(said.status || 200, said.headers);
    response.end(said.body);
  });
  server.on('connection', () => service.connections++);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  service.url = `http://127.0.0.1:${server.address().port}/hook`;
  service.stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections?.();
    });
  t.after(service.stop);
  return service;
}

// What a request is answered with that is never answered.
const never = () => new Promise(() => {});

module.exports = { startService, never };
