// The papers say what the tree says: links lead somewhere, and what gateway/README.md and the decisions name (files,
// functions, structs, constants, sizes, rooms) is there.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { root } = require('./lib/weir');

const read = (name) => fs.readFileSync(path.join(root, name), 'utf8');
const exists = (name) => fs.existsSync(path.join(root, name));

// All files below a folder whose names end with one of `ends`, relative to the root.
function filesBelow(folder, ends) {
  const found = [];
  for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const name = path.posix.join(folder, entry.name);
    if (entry.isDirectory() && !['.git', 'build', 'node_modules'].includes(entry.name)) {
      found.push(...filesBelow(name, ends));
    } else if (entry.isFile() && ends.some((end) => name.endsWith(end))) {
      found.push(name);
    }
  }
  return found;
}

const papers = filesBelow('.', ['.md']).sort();
const inner = ['gateway/README.md', ...papers.filter((name) => name.startsWith('docs/decisions/'))];
const sources = filesBelow('gateway', ['.c', '.h', '.tbl']);
const code = sources.map(read).join('\n');
const words = new Set(code.match(/\w+/g));

function withoutBlocks(text) {
  return text.replace(/^```.*?^```$/gms, '');
}

// GitHub's anchor of a heading.
function anchorOf(heading) {
  const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
  return plain.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
}

function anchorsOf(name) {
  return new Set([...withoutBlocks(read(name)).matchAll(/^#+ +(.*?) *$/gm)].map((match) => anchorOf(match[1])));
}

function codeSpans(name) {
  return [...withoutBlocks(read(name)).matchAll(/`([^`\n]+)`/g)].map((match) => match[1]);
}

test('every link between the papers resolves, anchors too', () => {
  let checked = 0;
  for (const name of papers) {
    const text = withoutBlocks(read(name)).replace(/`[^`\n]*`/g, 'x');
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^\w+:/.test(target)) {
        continue;
      }
      const [file, anchor] = target.split('#');
      const to = file === '' ? name : path.posix.join(path.posix.dirname(name), file);
      assert.ok(exists(to), `${name}: ${target} leads nowhere`);
      if (anchor) {
        assert.ok(anchorsOf(to).has(anchor), `${name}: ${to} has no heading #${anchor}`);
      }
      checked++;
    }
  }
  assert.ok(checked > 40, `only ${checked} links found`);
});

test('the index lists every page and every decision, and their titles agree', () => {
  const index = read('docs/README.md');
  for (const name of papers.filter((paper) => paper.startsWith('docs/') && paper !== 'docs/README.md')) {
    assert.ok(index.includes(`(${path.posix.relative('docs', name)})`), `docs/README.md does not list ${name}`);
  }
  for (const name of papers.filter((paper) => paper.startsWith('docs/decisions/'))) {
    const number = path.basename(name).slice(0, 3);
    const [, title] = read(name).match(/^# (.*)\n/);
    assert.ok(title.startsWith(`${number}: `), `${name} is headed "${title}"`);
    assert.ok(index.includes(`| ${title.slice(5)} |`), `docs/README.md gives ${name} another title`);
  }
});

test('every file that the papers name exists', () => {
  const created = new Set(['plugins/greet.lua', 'conf/greet.yaml', 'conf/backend.yaml']); // the reader writes these
  const place = /^(?:scripts|conf|plugins|docs|gateway|tests|www)\/[\w./-]*\w$/;
  for (const name of papers.filter((paper) => !paper.startsWith('tests/'))) {
    for (const span of codeSpans(name).filter((one) => place.test(one) && !created.has(one))) {
      assert.ok(exists(span), `${name}: there is no ${span}`);
    }
  }
});

test('the diagrams name functions that are in those files', () => {
  const diagrams = [...read('gateway/README.md').matchAll(/^```text\n(.*?)^```$/gms)].map((match) => match[1]);
  assert.equal(diagrams.length, 2);
  const lines = diagrams.join('').split('\n').filter((line) => /\.(c|lua) /.test(line));
  assert.ok(lines.length > 60);
  for (const line of lines) {
    const [, file, names] = line.match(/(\S+\.(?:c|lua)) +(.*)$/);
    const text = read(file.startsWith('plugins/') ? file : `gateway/${file}`);
    for (const name of names.split(', ')) {
      // A definition: the name, its parameters, and what opens the body; not a call or a prototype.
      const defined = new RegExp(`(^[\\w *]*\\b${name}\\([^;{}]*\\)\\n\\{)|(^function \\w+\\.${name}\\()`, 'm');
      assert.match(text, defined, `${file} does not define ${name}`);
    }
  }
});

test('the sources have every file, function and struct that the papers on the inside name', () => {
  const keys = new Set(read('docs/configuration.md').match(/\w+/g));
  const lua = new Set(read('docs/lua-api.md').match(/\w+/g));
  let checked = 0;
  for (const name of inner) {
    for (const span of codeSpans(name)) {
      const file = span.match(/^<?((?:[a-z0-9]+\/)*[\w-]+(?:\.test)?\.(?:c|h|tbl|sh|lua|js))>?$/);
      if (file) {
        const standard = ['lua.h', 'stdint.h', 'stddef.h'].includes(file[1]);
        const places = ['', 'gateway/', 'gateway/include/'].map((folder) => folder + file[1]);
        assert.ok(standard || places.some(exists), `${name}: there is no ${span}`);
      } else if (/^struct \w+$/.test(span)) {
        const libevent = span === 'struct event';
        assert.ok(libevent || code.includes(`${span} {`), `${name}: there is no ${span}`);
      } else if (/^[A-Za-z]\w*_\w+$/.test(span)) {
        assert.ok(words.has(span) || keys.has(span) || lua.has(span), `${name}: nothing is called ${span}`);
      } else {
        continue;
      }
      checked++;
    }
  }
  assert.ok(checked > 100, `only ${checked} names found`);
});

test('the table of rooms is the one that is enforced', () => {
  const [, list] = read('scripts/check-layers.sh').match(/^rooms='\n(.*?)^'$/ms);
  const enforced = new Map();
  for (const line of list.trim().split('\n')) {
    const [room, others] = line.split(':');
    enforced.set(room, others.trim().split(/ +/).filter(Boolean));
  }
  const there = (room) => exists(room === 'weir' ? 'gateway/include/weir' : `gateway/${room}`);
  const [, table] = read('gateway/README.md').match(/^\| room \|.*\n\|.*\n((?:\|.*\n)+)/m);
  const told = new Map();
  for (const row of table.trim().split('\n')) {
    const [, room, , others] = row.split('|').map((cell) => cell.trim());
    const name = room.replace(/`/g, '').replace(/^include\//, '').replace(/\/$/, '');
    told.set(name, others.split(/ +/).filter(Boolean));
  }
  assert.deepEqual([...told.keys()].sort(), [...enforced.keys()].filter(there).sort());
  for (const [room, others] of told) {
    assert.deepEqual(others.sort(), enforced.get(room).filter(there).sort(), `what ${room} may include`);
  }
});

test('the sizes of structs are the compiler’s', (t) => {
  if (process.arch !== 'x64') {
    t.skip('the table is for x86-64');
    return;
  }
  const text = read('gateway/README.md');
  const told = [...text.matchAll(/^\| `(struct \w+)` \| (\d+) \|/gm)].map((match) => [match[1], Number(match[2])]);
  assert.equal(told.length, 9);
  const [, event] = text.match(/of which (\d+) are libevent's/);
  told.push(['struct event', Number(event)]);
  for (const [, decoder] of text.matchAll(/of which (\d+) are the (?:second )?decoder's/g)) {
    told.push(['struct ws_decoder', Number(decoder)]);
  }
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-sizes-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  // A tunnel is known to its own file alone, so nothing is linked: the sizes are read out of the object file.
  const files = ['lua/api_conn.h', 'session/session_internal.h', 'handlers/proxy/exchange_internal.h',
    'handlers/proxy/bridge_internal.h', 'handlers/proxy/tunnel.c'];
  const includes = files.map((name) => `#include "${name}"`).join('\n');
  const lines = told.map(([name], i) => `char size_of_${i}[sizeof(${name})] = {1};`).join('\n');
  fs.writeFileSync(path.join(dir, 'sizes.c'), `${includes}\n${lines}\n`);
  const flags = execFileSync('pkg-config', ['--cflags', 'libevent', 'lua5.4', 'openssl', 'zlib']).toString().trim();
  const own = ['-c', '-std=c11', '-D_GNU_SOURCE', `-I${root}/gateway`, `-I${root}/gateway/include`];
  execFileSync('cc', [...own, ...flags.split(/\s+/).filter(Boolean), 'sizes.c', '-o', 'sizes.o'], { cwd: dir });
  const symbols = execFileSync('nm', ['-S', 'sizes.o'], { cwd: dir }).toString();
  const sizes = told.map((_, i) => parseInt(symbols.match(new RegExp(`^\\w+ (\\w+) \\w size_of_${i}$`, 'm'))[1], 16));
  assert.deepEqual(told, told.map(([name], i) => [name, sizes[i]]));
});

// The strings of a luaL_Reg table or of a list of names in C.
function namesIn(file, start) {
  const text = read(file);
  const at = text.indexOf(start);
  assert.ok(at >= 0, `${file} has no ${start}`);
  return [...text.slice(at, text.indexOf(';', at)).matchAll(/"(\w+)"/g)].map((match) => match[1]);
}

test('the page on Lua has every callback, method and field of the code, and no others', () => {
  const page = read('docs/lua-api.md');
  const callbacks = namesIn('gateway/lua/instance.c', 'instance_callback_names[').filter((name) => !['timer', 'spawn'].includes(name));
  assert.ok(callbacks.length >= 8);
  const headed = [...page.matchAll(/^##+ `(on_\w+|serve|init|exit)\b/gm)].map((match) => match[1]);
  assert.deepEqual(headed.sort(), callbacks.sort());
  const methods = namesIn('gateway/lua/api_conn.c', 'luaL_Reg methods[]');
  const described = [...page.matchAll(/^### (`conn:.*)/gm)].flatMap(([, heads]) => [...heads.matchAll(/conn:(\w+)/g)].map((match) => match[1]));
  assert.deepEqual(described.sort(), methods.sort());
  const fields = namesIn('gateway/lua/api_conn.c', 'char *const fields[]');
  const conn = page.slice(page.indexOf('\n## `conn`\n'), page.indexOf('\n### `conn:send'));
  const rows = [...conn.matchAll(/^\| (`conn.*?) \|/gm)].flatMap((match) => [...match[1].matchAll(/conn\.(\w+)/g)]);
  assert.deepEqual(rows.map((match) => match[1]).sort(), fields.sort());
});

test('the man page has the options of the program', () => {
  const own = [...read('gateway/main.c').matchAll(/^ +\{"(\w+)", \w+_argument/gm)].map((match) => match[1]);
  assert.ok(own.length >= 6);
  const commands = sources.filter((name) => name.startsWith('gateway/tool/')).map(read).join('\n');
  const ofCommands = [...commands.matchAll(/strcmp\([^,]*, "--(\w+)"\)/g)].map((match) => match[1]);
  assert.ok(ofCommands.length >= 2);
  const options = [...new Set([...own, ...ofCommands])];
  const page = read('docs/weir.8').replace(/\\-/g, '-').replace(/\\f[BR]/g, ' ');
  const told = [...new Set(page.match(/(?<![\w-])--[a-z]+/g))].map((option) => option.slice(2));
  assert.deepEqual(told.sort(), options.sort());
});
