// A gateway whose handler says what it was asked, for tests of what lies below the plugins.
//
//   const weir = await startProbe(t, { http: { header_timeout: '300ms' }, listen: [{ address, tls: {...} }] });
//   c.send(get('/some/path'));  (await c.readResponse()).body   // `GET /some/path`
//
// Every response has the headers x-remote, x-scheme and x-subject as the plugin saw them. The plugin's query
// parameters: `sleep=0.1` waits before it answers (seconds), `size=1000` answers with that many bytes,
// `status=204` with that status. /ws is an echo.
'use strict';

const { startWeir } = require('./weir');

const PROBE = `
return {
    on_request = function(req)
        local query = req.query
        if query.sleep then
            weir.sleep(tonumber(query.sleep))
        end
        local body = req.method .. " " .. req.path
        if query.size then
            body = string.rep("x", tonumber(query.size))
        end
        return req:reply(tonumber(query.status or "200"), {
            ["Content-Type"] = "text/plain",
            ["X-Remote"] = req.remote .. " " .. req.remote_port,
            ["X-Scheme"] = req.scheme,
            ["X-Subject"] = req.client_subject or "",
            ["X-Worker"] = tostring(weir.worker.id),
        }, body)
    end,
}
`;

// `http`: the keys of `http:`. `listen`: function from what startWeir gives to a list of listeners, by default
// one on the reserved port. `workers`; `top`: further lines of YAML. `options` are those of startWeir.
async function startProbe(t, { http = {}, listen, workers = 1, top = '', websocket = {}, ...options } = {}) {
  const listeners = listen || (({ address }) => [{ address }]);
  const weir = await startWeir(
    t,
    (given) => `
workers: ${workers}
listen: ${JSON.stringify(listeners(given))}
plugin_path: [${given.root}/plugins, plugins]
http: ${JSON.stringify(http)}
${top}
routes:
  - path: /ws
    websocket: ${JSON.stringify(websocket)}
    handler: {lua: echo}
  - path: /files/
    handler: {static: files}
  - path: /refused/
    handler: {static: files}
  - path: /
    handler: {lua: probe}
`,
    { ...options, files: { 'plugins/probe.lua': PROBE, 'files/small.txt': 'small\n', ...options.files } },
  );
  await weir.waitForLog(/serving with/); // the first address answers before the last is bound
  return weir;
}

// A request without a body. `headers`: an object; Host is added.
function get(target = '/', { method = 'GET', version = '1.1', headers = {} } = {}) {
  const lines = Object.entries({ Host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/${version}\r\n${lines.join('')}\r\n`;
}

// How many responses are in what came, and with which status: [200, 400].
function statuses(bytes) {
  return [...bytes.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
}

// Keeps what many tests of one file share alive until its end: const whole = wholeFile(); whole.after(fn).
function wholeFile(after) {
  const undo = [];
  after(async () => {
    for (const fn of undo) {
      await fn();
    }
  });
  return { after: (fn) => undo.unshift(fn) };
}

module.exports = { startProbe, get, statuses, wholeFile, PROBE };
