// Everything that a live test needs, of its own: a scripted model, a Codex home on it, a project, a state directory, and
// MCP clients (the official SDK) on the real program.
//
//   const env = await LiveEnv.start();
//   const client = await env.client();
//   const ack = await client.submit('SAY hello');
//   const done = await client.wait(ack.operationId);
//   await env.stop();                                  // clients, worker, app-server, model, files
//
// Every answer is held against the tool's own outputSchema; an answer that does not fit fails the call.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findCodex, makeCodexHome, makeTempDir, Model, removeDir, resolvePackage, testsDir } from './codex_env.mjs';
import { killAndSee, parentOf, processesWith, until } from './processes.mjs';

const buildDir = resolve(process.env.CODEXCP_BUILD_DIR ?? join(testsDir, '..', 'build'));
export const program = join(buildDir, 'server', 'codex-control-plane-mcp');

const CALL_TIMEOUT_MS = 60000;
const WAIT_SECONDS = 40;

function whatIsMissing() {
  if (!findCodex()) return 'Codex is not installed (npm ci in tests/)';
  if (!existsSync(join(testsDir, 'node_modules', '@modelcontextprotocol', 'sdk'))) return 'the MCP SDK is not installed';
  return existsSync(program) ? false : `${program} is not built`;
}

// Why live tests cannot run here, or false.
export const missing = whatIsMissing();

// Why nothing can be tried on a socket, or false.
export const socketIsMissing = missing || (listensOnSocket() ? false : 'this Codex has no app-server --listen unix://');

function listensOnSocket() {
  const { stdout } = spawnSync(findCodex(), ['app-server', '--help'], { encoding: 'utf8' });
  return stdout.includes('unix://');
}

async function loadSdk() {
  const load = (name) => import(resolvePackage(`@modelcontextprotocol/sdk/client/${name}.js`));
  const [{ Client }, { StdioClientTransport }] = [await load('index'), await load('stdio')];
  return { Client, StdioClientTransport };
}

// The check of an output schema; unknown keywords and types that do not fit each other are errors too.
export function compileOutput(schema) {
  const load = createRequire(join(testsDir, 'package.json'));
  const Ajv2020 = load('ajv/dist/2020.js').default;
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
  load('ajv-formats').default(ajv);
  const validate = ajv.compile(schema);
  return (answer, what) => {
    assert.ok(validate(answer), `${what}: ${ajv.errorsText(validate.errors)}: ${JSON.stringify(answer)}`);
  };
}

// An MCP client with a server process of its own.
export class LiveClient {
  static async start(env, options) {
    const { Client, StdioClientTransport } = await loadSdk();
    const self = new LiveClient();
    self.env = env;
    self.transport = new StdioClientTransport({ stderr: 'inherit', ...options });
    self.mcp = new Client({ name: 'live-tests', version: '1' });
    await self.mcp.connect(self.transport);
    const { tools } = await self.mcp.listTools();
    self.tools = new Map(tools.map((tool) => [tool.name, tool]));
    self.checks = new Map(tools.map((tool) => [tool.name, compileOutput(tool.outputSchema)]));
    return self;
  }

  get pid() {
    return this.transport.pid;
  }

  // The answer of a tool, ok or not.
  async call(tool, args = {}, options = {}) {
    const result = await this.mcp.callTool({ name: tool, arguments: args }, undefined, { timeout: CALL_TIMEOUT_MS, ...options });
    const answer = result.structuredContent;
    assert.ok(answer, `${tool} has no structuredContent: ${JSON.stringify(result)}`);
    assert.deepEqual(JSON.parse(result.content[0].text), answer);
    assert.equal(result.isError ?? false, !answer.ok);
    this.checks.get(tool)(answer, tool);
    return answer;
  }

  async ok(tool, args, options) {
    const answer = await this.call(tool, args, options);
    assert.equal(answer.ok, true, `${tool}: ${JSON.stringify(answer)}`);
    return answer;
  }

  // The error of a call that must fail with this code.
  async refused(code, tool, args) {
    const answer = await this.call(tool, args);
    assert.equal(answer.ok, false, JSON.stringify(answer));
    assert.equal(answer.error.code, code, JSON.stringify(answer));
    return answer;
  }

  taskArguments(message, args = {}) {
    const target = args.thread_id
      ? { operation_type: 'send_message' }
      : { operation_type: 'start_chat', ...(args.project_id ? {} : { cwd: this.env.project }) };
    return { ...target, message, ...args };
  }

  submit(message, args) {
    return this.ok('codex_submit_task', this.taskArguments(message, args));
  }

  submitRefused(code, message, args) {
    return this.refused(code, 'codex_submit_task', this.taskArguments(message, args));
  }

  status(operationId, args = {}) {
    return this.ok('codex_get_operation_status', { operation_id: operationId, ...args });
  }

  // Waits for the end, and for a status when one is named.
  async wait(operationId, status) {
    const done = await this.ok('codex_wait', { operation_id: operationId, timeout_seconds: WAIT_SECONDS });
    assert.equal(done.waited.reason, 'terminal', JSON.stringify(done));
    if (status) assert.equal(done.status, status, JSON.stringify(done));
    return done;
  }

  async run(message, args) {
    return this.wait((await this.submit(message, args)).operationId, 'completed');
  }

  // The first status that the predicate accepts.
  poll(operationId, accepts, what = 'a status') {
    let seen;
    return until(async () => {
      seen = await this.status(operationId);
      return accepts(seen) && seen;
    }, what, WAIT_SECONDS * 1000).catch((error) => { throw new Error(`${error.message}; last seen: ${JSON.stringify(seen)}`); });
  }

  queued(operationId, reason) {
    return this.poll(operationId, (status) => status.status === 'queued' && status.queuedReason === reason, `queued: ${reason}`);
  }

  health() {
    return this.ok('codex_health_summary');
  }

  // Ends it as a client does that leaves.
  close() {
    return this.mcp.close();
  }

  // The server dies, in whatever it was doing.
  async kill() {
    const { pid } = this;
    const closed = new Promise((done) => { this.mcp.onclose = done; });
    process.kill(pid, 'SIGKILL');
    await closed;
  }
}

export class LiveEnv {
  // `variables` for the program, `home` as for makeCodexHome(); a function gets the environment and returns these. A
  // `model` that is given belongs to whoever gave it.
  static async start({ variables = {}, home = {}, model } = {}) {
    const env = new this();
    env.dir = realpathSync(makeTempDir('codexcp-live'));
    env.clients = [];
    env.projects = join(env.dir, 'projects');
    env.project = env.makeProject('alpha');
    env.stateDb = join(env.dir, 'state', 'state.sqlite3');
    env.ownsModel = !model;
    env.model = model ?? await Model.start();
    env.variables = { ...env.standardVariables(), ...variables };
    env.home = makeCodexHome(env.dir, env.model.port, typeof home === 'function' ? home(env) : home);
    return env;
  }

  standardVariables() {
    const variables = {
      PATH: process.env.PATH,
      HOME: this.dir,
      CODEX_HOME: join(this.dir, 'codex-home'),
      CODEX_BINARY_PATH: findCodex(),
      CODEX_PROJECTS_ROOT: this.projects,
      CODEX_MCP_STATE_DB: this.stateDb,
      CODEX_MCP_WORKER_IDLE_SECONDS: '5',
      RUST_LOG: 'error',
    };
    for (const name of ['TMPDIR', 'ASAN_OPTIONS', 'UBSAN_OPTIONS']) {
      if (process.env[name]) variables[name] = process.env[name];
    }
    return variables;
  }

  makeProject(name) {
    const path = join(this.projects, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  // `command`: another build of the program.
  async client({ variables = {}, cwd = this.project, command = program } = {}) {
    const client = await LiveClient.start(this, { env: { ...this.variables, ...variables }, cwd, command });
    this.clients.push(client);
    return client;
  }

  // How many model requests had this text: each turn without tool calls is one.
  async asked(contains) {
    return (await this.model.requests({ contains })).count;
  }

  workers() {
    return processesWith(`CODEX_MCP_STATE_DB=${this.stateDb}`).filter(({ args }) => args[1] === 'worker');
  }

  appServers() {
    const all = processesWith(`CODEX_HOME=${this.variables.CODEX_HOME}`).filter(({ args }) => args.includes('app-server'));
    // What one of them forks looks like it until it executes something.
    return all.filter(({ pid }) => !all.some((other) => other.pid === parentOf(pid)));
  }

  workerLog() {
    const path = join(this.dir, 'state', 'log', 'worker.log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  // The worker ends as a person ends it, and its app-server with it unless turns run there.
  async stopWorker() {
    for (const { pid } of this.workers()) await killAndSee(pid, 'SIGTERM');
  }

  async stop() {
    await Promise.all(this.clients.map((client) => client.close().catch(() => {})));
    await this.stopWorker().finally(async () => {
      for (const { pid } of this.appServers()) await killAndSee(pid);
      if (this.ownsModel) await this.model.stop();
      const log = this.workerLog();
      if (!this.keep) removeDir(this.dir);
      assert.doesNotMatch(log, /Sanitizer|runtime error/);
    });
  }
}

// Runs the body with an environment that is gone afterwards; a failure shows what the worker logged.
export async function withEnv(options, body) {
  const env = await LiveEnv.start(options);
  try {
    await body(env);
  } catch (error) {
    error.message += `\nworker.log:\n${env.workerLog().split('\n').slice(-15).join('\n')}`;
    throw error;
  } finally {
    await env.stop();
  }
}
