// A real Codex on a scripted model, for tests: where the programs are, temporary homes, and a small client of
// `codex app-server`.
//
//   const dir = makeTempDir();
//   const model = await Model.start();
//   const home = makeCodexHome(dir, model.port);
//   const codex = await AppServer.start({ home });
//   ...
//   await codex.stop(); await model.stop(); removeDir(dir);

import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const supportDir = dirname(fileURLToPath(import.meta.url));
export const testsDir = dirname(supportDir);
const modulesDir = join(testsDir, 'node_modules');

const DEFAULT_TIMEOUT_MS = 30000;

// The native program in an installed package, of whatever version; null when there is none. The launcher script beside it
// would be one more process between us and Codex.
export function programIn(directory) {
  const vendor = join(directory, 'vendor', `${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-unknown-linux-musl`);
  const places = ['bin', 'codex'].map((place) => join(vendor, place, 'codex'));
  return places.find((path) => existsSync(path)) ?? null;
}

export const newestCodex = () => programIn(join(modulesDir, '@openai', `codex-linux-${process.arch}`));

// The Codex under test: CODEX_BIN, or the newest of those that the tests install.
export const findCodex = () => process.env.CODEX_BIN || newestCodex();

function versionOf(codex) {
  const { stdout } = codex ? spawnSync(codex, ['--version'], { encoding: 'utf8' }) : {};
  return /\d+\.\d+\.\d+/.exec(stdout ?? '')?.[0] ?? null;
}

// "0.169.0"; null without a Codex.
export const CODEX_VERSION = versionOf(findCodex());

// Whether the Codex under test is 0.MINOR or newer.
export const isSince = (minor) => Number(CODEX_VERSION?.split('.')[1]) >= minor;

// How an operation ends whose turn was cut with its app-server: before 0.115 the history does not tell.
export const CUT = isSince(115) ? ['interrupted', 'app_server_exit'] : ['unknown_after_app_server_exit', 'no_evidence'];

// Why a test that needs 0.MINOR cannot run, or false.
export const lacks = (minor, what) => (isSince(minor) ? false : `Codex ${CODEX_VERSION} has no ${what}; 0.${minor} has`);

// Node 22: the one that came with the packages, else the running one.
export function findNode() {
  const path = join(modulesDir, `node-linux-${process.arch}`, 'bin', 'node');
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return process.execPath;
  }
}

// A file of an installed package, for example resolvePackage('@modelcontextprotocol/inspector/package.json').
export const resolvePackage = (name) => createRequire(join(testsDir, 'package.json')).resolve(name);

export const makeTempDir = (name = 'codexcp') => mkdtempSync(join(tmpdir(), `${name}-`));

export const removeDir = (path) => rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });

// A CODEX_HOME below dir whose only model is the one on the port. Returns its path. `top` is TOML for the top level,
// `tables` TOML tables (MCP servers, hooks, ...).
export function makeCodexHome(dir, port, { top = '', tables = '', retries = 1, features = {} } = {}) {
  const home = join(dir, 'codex-home');
  // Nothing here may reach for the network.
  const flags = { plugins: false, apps: false, remote_plugin: false, remote_models: false, ...features };
  mkdirSync(home, { recursive: true, mode: 0o700 });
  writeFileSync(join(home, 'config.toml'), `model = "mock-model"
model_provider = "mock"
check_for_update_on_startup = false
web_search = "disabled"
${top}
[analytics]
enabled = false

[features]
${Object.entries(flags).map(([key, value]) => `${key} = ${value}`).join('\n')}

[model_providers.mock]
name = "mock"
base_url = "http://127.0.0.1:${port}/v1"
wire_api = "responses"
request_max_retries = ${retries}
stream_max_retries = ${retries}

${tables}
`);
  return home;
}

// What a Codex under test sees of the environment.
export function codexEnv(home, extra = {}) {
  const env = { PATH: process.env.PATH, LANG: 'C.UTF-8', HOME: home, CODEX_HOME: home, RUST_LOG: 'error' };
  if (process.env.TMPDIR) env.TMPDIR = process.env.TMPDIR;
  return { ...env, ...extra };
}

function exited(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', resolve));
}

function withTimeout(promise, timeoutMs, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out after ${timeoutMs} ms: ${what()}`)), timeoutMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// A running model_server.mjs.
export class Model {
  static async start({ args = [] } = {}) {
    const model = new Model();
    const command = [join(supportDir, 'model_server.mjs'), ...args];
    model.child = spawn(findNode(), command, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: model.child.stdout });
    const first = new Promise((resolve, reject) => {
      lines.once('line', resolve);
      model.child.once('error', reject);
      model.child.once('exit', () => reject(new Error('the model server did not start')));
    });
    model.port = JSON.parse(await withTimeout(first, DEFAULT_TIMEOUT_MS, () => 'model server')).port;
    return model;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async get(path) {
    return (await fetch(this.url + path)).json();
  }

  async post(path) {
    return (await fetch(this.url + path, { method: 'POST' })).json();
  }

  // { count, peak, requests }, of all model requests or of those whose newest user text contains `contains`.
  requests({ contains, min = 0, timeoutMs = 0 } = {}) {
    const query = new URLSearchParams({ min, timeout: timeoutMs });
    if (contains) query.set('contains', contains);
    return this.get(`/requests?${query}`);
  }

  // Waits until a turn stands at "HOLD name".
  async held(name, timeoutMs = DEFAULT_TIMEOUT_MS) {
    const { held } = await this.get(`/held?name=${encodeURIComponent(name)}&timeout=${timeoutMs}`);
    if (!held.includes(name)) throw new Error(`nothing is held as ${name}`);
  }

  release(name) {
    return this.post(`/release?name=${encodeURIComponent(name)}`);
  }

  reset() {
    return this.post('/reset');
  }

  async stop() {
    this.child.kill('SIGTERM');
    await exited(this.child);
  }
}

// A client of `codex app-server` on its standard streams.
//
// Every line that came or went is kept in `lines` ({ dir: 'in' | 'out', message }), what came without being a response in
// `inbox`. waitFor() looks through the inbox from the start, so nothing is missed between two awaits; give a predicate
// that names the turn, or take a mark() first.
export class AppServer {
  static async start({ home, cwd = home, env = {}, codex = findCodex(), initialize = true, experimental = true } = {}) {
    const server = new AppServer();
    server.child = spawn(codex, ['app-server'], { cwd, env: codexEnv(home, env), stdio: ['pipe', 'pipe', 'pipe'] });
    server.lines = [];
    server.inbox = [];
    server.stderr = '';
    server.pending = new Map();
    server.watchers = new Set();
    server.nextId = 1;
    server.child.stdin.on('error', () => {});
    server.child.stderr.on('data', (data) => { server.stderr = (server.stderr + data).slice(-65536); });
    server.child.on('error', (error) => server.ended(error));
    server.child.on('exit', (code, signal) => {
      server.ended(new Error(`app-server ended (${signal ?? code}): ${server.stderr}`));
    });
    createInterface({ input: server.child.stdout }).on('line', (line) => server.receive(JSON.parse(line)));
    if (!initialize) return server;
    await server.initialize(experimental).catch(async (error) => {
      await server.kill();
      throw error;
    });
    return server;
  }

  async initialize(experimentalApi = true) {
    this.initialized = await this.request('initialize', {
      clientInfo: { name: 'codexcp-tests', title: 'tests', version: '1' },
      capabilities: { experimentalApi },
    });
    this.notify('initialized');
    return this.initialized;
  }

  ended(error) {
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
  }

  receive(message) {
    this.lines.push({ dir: 'in', message });
    if (message.method === undefined) {
      const { resolve, reject } = this.pending.get(message.id) ?? {};
      this.pending.delete(message.id);
      if (message.error) reject?.(Object.assign(new Error(message.error.message), { code: message.error.code }));
      else resolve?.(message.result);
      return;
    }
    this.inbox.push(message);
    this.watchers.forEach((check) => check());
  }

  send(message) {
    this.lines.push({ dir: 'out', message });
    this.child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  notify(method, params) {
    this.send({ method, params });
  }

  respond(request, result) {
    this.send({ id: request.id, result });
  }

  request(method, params = {}, timeoutMs = DEFAULT_TIMEOUT_MS) {
    const id = this.nextId++;
    const answer = new Promise((resolve, reject) => this.pending.set(id, { resolve, reject }));
    this.send({ id, method, params });
    return withTimeout(answer, timeoutMs, () => `${method}; ${this.stderr}`);
  }

  mark() {
    return this.inbox.length;
  }

  // The first message (notification or server request) from `from` on that the predicate accepts; a string is a method.
  waitFor(predicate, timeoutMs = DEFAULT_TIMEOUT_MS, from = 0) {
    const accepts = typeof predicate === 'string' ? (message) => message.method === predicate : predicate;
    let check;
    const found = new Promise((resolve) => {
      check = () => {
        const message = this.inbox.slice(from).find(accepts);
        if (message) resolve(message);
      };
      this.watchers.add(check);
      check();
    });
    const methods = () => this.inbox.slice(from).map((message) => message.method).join(' ');
    const seen = () => `${predicate}; seen: ${methods()}; ${this.stderr}`;
    return withTimeout(found, timeoutMs, seen).finally(() => this.watchers.delete(check));
  }

  // Of a turn from startTurn(). Old versions number the turns of each thread anew.
  turnCompleted({ id, threadId }, timeoutMs = DEFAULT_TIMEOUT_MS) {
    return this.waitFor(({ method, params }) => method === 'turn/completed' && params.threadId === threadId && params.turn.id === id, timeoutMs);
  }

  async startThread(params) {
    return (await this.request('thread/start', params)).thread;
  }

  async startTurn(threadId, text, params = {}) {
    const input = [{ type: 'text', text }];
    return { ...(await this.request('turn/start', { threadId, input, ...params })).turn, threadId };
  }

  // A turn to its end: { turn, completed, items }.
  async runTurn(threadId, text, params = {}, timeoutMs = DEFAULT_TIMEOUT_MS) {
    const turn = await this.startTurn(threadId, text, params);
    const { params: end } = await this.turnCompleted(turn, timeoutMs);
    const done = this.inbox.filter((m) => m.method === 'item/completed' && m.params.threadId === threadId && m.params.turnId === turn.id);
    return { turn, completed: end.turn, items: done.map((m) => m.params.item) };
  }

  // Ends it as a closing client does: end of file.
  async stop() {
    this.child.stdin.end();
    const gone = exited(this.child);
    await withTimeout(gone, 5000, () => 'app-server to exit').catch(() => this.child.kill('SIGKILL'));
    await gone;
  }

  async kill(signal = 'SIGKILL') {
    this.child.kill(signal);
    await exited(this.child);
  }
}
