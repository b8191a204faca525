// The real program, as a client that starts it sees it: lines in, lines out, an exit status.
//
//   const server = Server.start();
//   server.send({ id: 1, method: 'ping' });
//   await server.answer(1);
//   await server.close();            // { code, signal, ms }
//
// Every server has a home and a state directory of its own and executes nothing. What it says is kept in `lines`; a line
// that is not JSON fails whoever waits.

import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { makeTempDir, removeDir, testsDir } from '../support/codex_env.mjs';

export const program = resolve(process.env.CCP_SERVER ?? join(testsDir, '..', 'build', 'server', 'codex-control-plane-mcp'));

const TIMEOUT_MS = 20000;

export const MODERN = '2026-07-28';
export const LEGACY = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];

export const modernMeta = (version = MODERN) => ({
  'io.modelcontextprotocol/protocolVersion': version,
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
});

export const initialize = (version, id = 'init') => ({
  jsonrpc: '2.0',
  id,
  method: 'initialize',
  params: { protocolVersion: version, capabilities: {}, clientInfo: { name: 'test', version: '1' } },
});

// What the program sees of the environment, everything below dir.
export function serverEnv(dir, extra = {}) {
  const env = {
    PATH: process.env.PATH,
    HOME: dir,
    CODEX_HOME: join(dir, 'codex'),
    CODEX_MCP_STATE_DB: join(dir, 'state', 'state.sqlite3'),
    CODEX_PROJECTS_ROOT: dir,
    CODEX_MCP_EXECUTION_MODE: 'client',
  };
  for (const name of ['TMPDIR', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS']) {
    if (process.env[name]) env[name] = process.env[name];
  }
  return { ...env, ...extra };
}

export function withTimeout(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out: ${what()}`)), TIMEOUT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const running = new Set();

// For afterEach(): ends what a failed test has left.
export const endServers = () => Promise.all([...running].map((server) => server.kill()));

export class Server {
  // `stdin` and `stdout` may be a descriptor instead of a pipe.
  static start({ args = [], env = {}, stdin = 'pipe', stdout = 'pipe' } = {}) {
    const server = new Server();
    server.dir = makeTempDir('codexcp-mcp');
    server.lines = [];
    server.stderr = '';
    server.rest = '';
    server.watchers = new Set();
    running.add(server);
    server.child = spawn(program, args, {
      cwd: server.dir,
      env: serverEnv(server.dir, env),
      stdio: [stdin, stdout, 'pipe'],
    });
    server.child.stdin?.on('error', () => {});
    server.child.stdout?.setEncoding('utf8').on('data', (text) => server.receive(text));
    server.child.stderr.setEncoding('utf8').on('data', (text) => { server.stderr += text; });
    // `close` comes after the output was read to its end.
    server.ended = new Promise((done) => {
      server.child.once('error', (error) => done({ error }));
      server.child.once('close', (code, signal) => done({ code, signal }));
    });
    server.ended.then((how) => {
      server.how = how;
      server.watchers.forEach((check) => check());
    });
    return server;
  }

  receive(text) {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop();
    this.lines.push(...lines);
    this.watchers.forEach((check) => check());
  }

  get messages() {
    return this.lines.map((line) => JSON.parse(line));
  }

  // A message, or a line as it stands.
  send(...messages) {
    const text = messages.map((m) => `${typeof m === 'string' ? m : JSON.stringify(m)}\n`).join('');
    this.child.stdin.write(text);
  }

  // What `find` returns as soon as it returns something.
  waitUntil(find) {
    let check;
    const found = new Promise((done, failed) => {
      check = () => {
        try {
          const value = find();
          if (value) done(value);
          else if (this.how) failed(new Error(`the server has ended (${Object.values(this.how)}): ${this.stderr}`));
        } catch (error) {
          failed(error);
        }
      };
      this.watchers.add(check);
      check();
    });
    return withTimeout(found, () => `${find}; seen: ${this.lines.join('\n')}; ${this.stderr}`)
      .finally(() => this.watchers.delete(check));
  }

  // The first message that the predicate accepts.
  waitFor(predicate) {
    return this.waitUntil(() => this.messages.find(predicate));
  }

  waitForLine(pattern) {
    return this.waitUntil(() => this.lines.find((line) => pattern.test(line)));
  }

  answer(id) {
    return this.waitFor((m) => m.id === id && m.method === undefined);
  }

  async request(id, method, params) {
    this.send({ jsonrpc: '2.0', id, method, params });
    return this.answer(id);
  }

  async initialize(version) {
    this.send(initialize(version));
    const message = await this.answer('init');
    this.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return message;
  }

  async exit() {
    const begin = performance.now();
    try {
      const how = await withTimeout(this.ended, () => `the end of the server; ${this.lines.join('\n')}`);
      return { ...how, ms: performance.now() - begin };
    } finally {
      await this.kill();
    }
  }

  async kill() {
    this.child.kill('SIGKILL');
    await this.ended;
    removeDir(this.dir);
    running.delete(this);
  }

  // Ends the input, as a client that closes does.
  close() {
    this.child.stdin?.end();
    return this.exit();
  }
}

// Runs the test with a server that is gone afterwards, whatever happened.
export async function withServer(options, test) {
  const server = Server.start(options);
  try {
    await test(server);
  } finally {
    await server.close();
  }
}

// The id of an operation that nobody will ever execute.
export async function submitOperation(server, id = 'submit') {
  const { result } = await server.request(id, 'tools/call', {
    name: 'codex_submit_task',
    arguments: { operation_type: 'start_chat', message: `Wait for ever (${id}).`, cwd: server.dir },
  });
  const payload = JSON.parse(result.content[0].text);
  if (!payload.ok) throw new Error(`no operation: ${result.content[0].text}`);
  return payload.operationId ?? payload.operation_id ?? payload.operation?.operationId;
}

export const waitCall = (id, operationId, meta) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'codex_wait', arguments: { operation_id: operationId, timeout_seconds: 30 }, _meta: meta },
});
