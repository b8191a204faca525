#!/usr/bin/env node
// Stands between a worker and the real app-server, and can lose their connection:
//
//   CODEXCP_REAL_CODEX=/path/codex proxy.mjs app-server --listen unix://app.sock
//
// SIGUSR2 closes all connections, both ways, in the middle of whatever they carry. It ends with app-server, and app-server
// with it.

import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { existsSync } from 'node:fs';

const REAL = 'real.sock';
const LOOK_MS = 10;

const args = process.argv.slice(2);
const at = args.indexOf('--listen');
const name = args[at + 1].replace('unix://', '');
args[at + 1] = `unix://${REAL}`;

const child = spawn(process.env.CODEXCP_REAL_CODEX, args, { stdio: ['ignore', 'inherit', 'inherit'] });
const open = new Set();

function join(one, other) {
  open.add(one);
  one.on('error', () => {});
  one.on('close', () => { open.delete(one); other.destroy(); });
  one.pipe(other);
}

const server = createServer((client) => {
  const upstream = connect(REAL);
  join(client, upstream);
  join(upstream, client);
});

process.on('SIGUSR2', () => open.forEach((socket) => socket.destroy()));
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code) => process.exit(code ?? 1));
process.umask(0o177);
const look = setInterval(() => {
  if (!existsSync(REAL)) return;
  clearInterval(look);
  server.listen(name);
}, LOOK_MS);
