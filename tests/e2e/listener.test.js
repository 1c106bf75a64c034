// Listening sockets of the running gateway: every kind of address, several workers, what is in the way, and running
// out of descriptors.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { test, after } = require('node:test');
const { rawConnect, rawRequest } = require('./lib/raw');
const { runWeir, freePort, waitFor } = require('./lib/weir');
const { startProbe, get, wholeFile } = require('./lib/probe');

const whole = wholeFile(after);
const PLAIN = (addresses) => `
listen: ${JSON.stringify(addresses.map((address) => ({ address })))}
routes:
  - path: /
    handler: {static: .}
`;

// Containers often have none.
const hasIpv6 = Object.values(os.networkInterfaces()).flat().some(({ address }) => address === '::1');
const needsIpv6 = { skip: !hasIpv6 && 'no ::1 on this machine' };

async function ask(where, target = '/hello') {
  const { response, connection } = await rawRequest(where, get(target, { headers: { Connection: 'close' } }));
  connection.destroy();
  return response;
}

function cpuTicks(weir) {
  const fields = fs.readFileSync(`/proc/${weir.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

test('IPv4, IPv6 and unix sockets at once', needsIpv6, async (t) => {
  const weir = await startProbe(t, {
    portCount: 3,
    listen: ({ ports }) => [
      { address: `127.0.0.1:${ports[0]}` },
      { address: `[::1]:${ports[1]}` },
      { address: `localhost:${ports[2]}` },
      { address: 'unix:weir.sock' },
    ],
  });
  assert.match((await ask(weir.ports[0])).headers['x-remote'], /^127\.0\.0\.1 \d+$/);
  assert.match((await ask({ host: '::1', port: weir.ports[1] })).headers['x-remote'], /^::1 \d+$/);
  const named = await Promise.any(['127.0.0.1', '::1'].map((host) => ask({ host, port: weir.ports[2] })));
  assert.equal(named.status, 200);
  const local = await ask({ path: path.join(weir.dir, 'weir.sock') });
  assert.equal(local.body.toString(), 'GET /hello');
  for (const address of [`127.0.0.1:${weir.ports[0]}`, `[::1]:${weir.ports[1]}`, `localhost:${weir.ports[2]}`, 'unix:weir.sock']) {
    assert.ok(weir.log.includes(`listening on ${address}`), weir.log);
  }
});

test('all of IPv4 and all of IPv6 with the same port, and one address of it besides', needsIpv6, async (t) => {
  const weir = await startProbe(t, {
    workers: 2,
    listen: ({ ports }) => [{ address: `0.0.0.0:${ports[0]}` }, { address: `[::]:${ports[0]}` }, { address: `127.0.0.1:${ports[0]}` }],
  });
  assert.equal((await ask(weir.port)).status, 200);
  assert.equal((await ask({ host: '127.0.0.2', port: weir.port })).status, 200);
  assert.equal((await ask({ host: '::1', port: weir.port })).status, 200);
});

test('every worker accepts, on TCP and on a unix socket', async (t) => {
  const weir = await startProbe(t, { workers: 3, listen: ({ address }) => [{ address }, { address: 'unix:weir.sock' }] });
  for (const where of [weir.port, { path: path.join(weir.dir, 'weir.sock') }]) {
    const workers = new Set();
    const open = [];
    // Connections that stay open, so that a worker that is quick does not get them all.
    await waitFor(
      async () => {
        const opened = await Promise.all(Array.from({ length: 20 }, () => rawRequest(where, get('/?sleep=0.01'))));
        for (const { response, connection } of opened) {
          workers.add(response.headers['x-worker']);
          open.push(connection);
        }
        return workers.size === 3;
      },
      { what: 'all workers to have answered' },
    );
    open.forEach((connection) => connection.destroy());
  }
});

test('the unix socket file goes when the gateway stops, and one left by a crash is replaced', async (t) => {
  const dir = fs.mkdtempSync('/tmp/weir-sock-');
  t.after(() => fs.rmSync(dir, { recursive: true }));
  const file = path.join(dir, 'weir.sock');
  const listen = ({ address }) => [{ address }, { address: `unix:${file}` }];
  const first = await startProbe(null, { listen });
  assert.equal((await ask({ path: file })).status, 200);
  await first.stop();
  assert.ok(!fs.existsSync(file));

  const crashed = await startProbe(null, { listen });
  crashed.signal('SIGKILL');
  await crashed.exited;
  fs.rmSync(crashed.dir, { recursive: true });
  assert.ok(fs.existsSync(file));
  const third = await startProbe(t, { listen });
  assert.equal((await ask({ path: file })).status, 200);

  // While it lives, nobody else gets it.
  const { code, stderr } = await runWeir(['-c', 'w.yaml'], { files: { 'w.yaml': PLAIN([`unix:${file}`]) } });
  assert.equal(code, 1);
  assert.ok(stderr.includes(`${file}: cannot listen: Address already in use`), stderr);
  assert.equal((await ask({ path: file })).status, 200);
  assert.ok(!third.exit);
});

test('an address in use: exit 1, and the address is named', async (t) => {
  const other = net.createServer();
  await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.after(() => other.close());
  const taken = `127.0.0.1:${other.address().port}`;
  const free = `127.0.0.1:${await freePort()}`;
  for (const addresses of [[taken], [free, taken]]) {
    const { code, stderr } = await runWeir(['-c', 'w.yaml'], { files: { 'w.yaml': PLAIN(addresses) } });
    assert.equal(code, 1);
    assert.ok(stderr.includes(`${taken}: cannot listen: Address already in use`), stderr);
    assert.ok(!stderr.includes('serving'));
  }
});

test('a second gateway does not take a part of the first one\'s clients', async () => {
  const weir = await startProbe(whole, { workers: 2 });
  const { code, stderr } = await runWeir(['-c', 'w.yaml'], { files: { 'w.yaml': PLAIN([`127.0.0.1:${weir.port}`]) } });
  assert.equal(code, 1);
  assert.match(stderr, /Address already in use/);
  for (let i = 0; i < 10; i++) {
    assert.equal((await ask(weir.port)).body.toString(), 'GET /hello');
  }
});

test('a port is free again at once when the gateway has stopped', async () => {
  const first = await startProbe(null);
  const { port } = first;
  const { connection } = await rawRequest(port, get('/'));
  await first.stop(); // the gateway closes first, so the connection stays in TIME_WAIT
  connection.destroy();
  const second = await startProbe(null, { listen: () => [{ address: `127.0.0.1:${port}` }], ready: (weir) => /serving/.test(weir.log) });
  assert.equal((await ask(port)).status, 200);
  await second.stop();
});

test('addresses that cannot be had: exit 1', async () => {
  const cases = [
    [`192.0.2.1:${await freePort()}`, /192\.0\.2\.1:\d+: cannot listen: Cannot assign requested address/],
    ['unix:no/such/folder/weir.sock', /no\/such\/folder\/weir\.sock: cannot listen: No such file or directory/],
    ['not-a-host.invalid:5000', /not-a-host\.invalid:5000: /],
  ];
  for (const [address, words] of cases) {
    const { code, stderr } = await runWeir(['-c', 'w.yaml'], { files: { 'w.yaml': PLAIN([address]) } });
    assert.equal(code, 1, stderr);
    assert.match(stderr, words);
  }
});

test('the soft limit of descriptors is raised to the hard one', async (t) => {
  const weir = await startProbe(t);
  const [, soft, hard] = fs.readFileSync(`/proc/${weir.pid}/limits`, 'utf8').match(/Max open files +(\S+) +(\S+)/);
  assert.equal(soft, hard);
});

test('out of descriptors: accepting pauses without spinning, and goes on', async (t) => {
  const weir = await startProbe(t);
  const hard = fs.readFileSync(`/proc/${weir.pid}/limits`, 'utf8').match(/Max open files +\S+ +(\S+)/)[1];
  const first = await rawConnect(weir.port);
  first.send(get('/first'));
  await first.readResponse();
  const used = new Set(fs.readdirSync(`/proc/${weir.pid}/fd`));
  let limit = 0;
  while (used.has(String(limit))) {
    limit++;
  }
  execFileSync('prlimit', [`--pid=${weir.pid}`, `--nofile=${limit}:${hard}`]); // not one more can be opened

  const waiting = await Promise.all(Array.from({ length: 5 }, () => rawConnect(weir.port)));
  waiting.forEach((c) => c.send(get('/waited')));
  await weir.waitForLog(/cannot accept: Too many open files/);
  const before = cpuTicks(weir);
  const said = weir.log.length;
  for (let i = 0; i < 20; i++) {
    first.send(get('/busy?sleep=0.05')); // those that are connected are served meanwhile
    assert.equal((await first.readResponse()).body.toString(), 'GET /busy');
  }
  assert.ok(cpuTicks(weir) - before < 40, `${cpuTicks(weir) - before} ticks in a second of waiting`);
  assert.equal(weir.log.length, said, 'it complains once');
  assert.ok(waiting.every((c) => c.received.length === 0));

  execFileSync('prlimit', [`--pid=${weir.pid}`, `--nofile=${hard}:${hard}`]);
  for (const c of waiting) {
    assert.equal((await c.readResponse()).body.toString(), 'GET /waited');
    c.destroy();
  }
  first.destroy();
});
