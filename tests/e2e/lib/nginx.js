// Debian's nginx as a plain streaming reverse proxy, to compare with: buffers nothing, changes nothing that it
// can be told to leave alone.
//
//   const nginx = await startNginx(t, 'http://127.0.0.1:8001');
//   nginx.port
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { freePort, waitFor } = require('./weir');
const { rawConnect } = require('./raw');

// The program's path, or null. $NGINX overrides the usual places.
function nginxPath() {
  return [process.env.NGINX, '/usr/sbin/nginx', '/usr/local/sbin/nginx'].find((file) => file && fs.existsSync(file)) || null;
}

const config = (dir, port, backend) => `
daemon off;
master_process off;
pid ${dir}/pid;
error_log stderr error;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  client_max_body_size 0;
  underscores_in_headers on;
  merge_slashes off;
  upstream backend {
    server ${backend} max_fails=0;
    keepalive 8;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_next_upstream off;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_pass_header Server;
      proxy_pass_header Date;
    }
  }
}
`;

function canConnect(port) {
  return rawConnect(port).then(
    (c) => {
      c.destroy();
      return true;
    },
    () => false,
  );
}

// `backend`: ADDRESS:PORT. Stopped when `t` ends.
async function startNginx(t, backend) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-nginx-'));
  const port = await freePort();
  fs.writeFileSync(path.join(dir, 'nginx.conf'), config(dir, port, backend));
  const child = spawn(nginxPath(), ['-p', dir, '-e', 'stderr', '-c', path.join(dir, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
  const nginx = { port, log: '' };
  child.stderr.setEncoding('utf8').on('data', (text) => (nginx.log += text));
  const exited = new Promise((resolve) => child.once('exit', resolve));
  t.after(async () => {
    child.kill('SIGTERM');
    await exited;
    fs.rmSync(dir, { recursive: true, force: true });
  });
  await waitFor(() => canConnect(port), { what: `nginx to listen; it said:\n${nginx.log}` });
  return nginx;
}

module.exports = { startNginx, nginxPath };
