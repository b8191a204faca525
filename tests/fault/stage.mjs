// A place for one crash: a state directory, a Codex home, front ends, and orders to the processes that work there.
//
//   const stage = await Stage.start({ model, transport: 'stdio' });
//   const hit = stage.order('kill', 'effect.send_turn.before');     // base/crash_point.h
//   const { operationId } = await stage.submit('SAY hello');       // through a front end that lives, whoever dies
//   await hit;                                                     // the pid that came there
//   await stage.ended(operationId);
//   stage.audit(operationId);
//   await stage.stop();
//
// Needs a build with -Dcrash_points=true in CODEXCP_BUILD_DIR.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LiveEnv, missing as liveMissing, program } from '../support/live_env.mjs';
import { isAlive, isStopped, killAndSee, letRun, parentOf, until } from '../support/processes.mjs';
import { RawClient } from '../support/raw_client.mjs';
import { Ledger } from './ledger.mjs';

const admin = join(dirname(dirname(program)), 'admin', 'codex-control-plane-mcp-admin');
const ENDED_MS = 60000;
const WAIT_SECONDS = 5;

// Every crash point of the build, or null when it has none.
function readPoints() {
  if (liveMissing || !existsSync(admin)) return null;
  try {
    return execFileSync(admin, ['reference', 'crash-points'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim().split('\n');
  } catch {
    return null;
  }
}
export const points = readPoints();
export const missing = liveMissing || (points ? false : `${program} is not built with -Dcrash_points=true`);

// What a front end passes; all else is the worker's.
export const roleOf = (point) => (/^(submit|ask)\./.test(point) ? 'front end' : 'worker');

const GONE = new Error('the front end is gone');

export class Stage extends LiveEnv {
  // `variables` as for LiveEnv, or a function that gets the stage and returns them.
  static async start({ transport = 'stdio', variables = () => ({}), ...options } = {}) {
    const stage = await super.start(options);
    Object.assign(stage.variables, variables(stage));
    stage.orders = join(stage.dir, 'orders');
    mkdirSync(stage.orders);
    stage.variables.CODEXCP_CRASH_AT = stage.orders;
    stage.variables.CODEX_MCP_APP_SERVER_TRANSPORT = transport;
    stage.watchers = new Set();
    stage.watcher = watch(stage.orders, () => stage.watchers.forEach((check) => check()));
    stage.frontEnds = [];
    stage.starting = [];
    return stage;
  }

  // Orders

  taken(point, n) {
    const name = readdirSync(this.orders).find((each) => each.startsWith(`hit:${point}:${n}:`));
    return name && Number(name.split(':')[3]);
  }

  // Resolves with the pid of the process that has carried it out; not at all when none comes there.
  async order(action, point, n = 1) {
    const hit = new Promise((resolve) => {
      const check = () => {
        const pid = this.taken(point, n);
        if (!pid) return;
        this.watchers.delete(check);
        resolve(pid);
      };
      this.watchers.add(check);
    });
    writeFileSync(join(this.orders, `${action}:${point}:${n}`), '');
    const pid = await hit;
    await until(() => !isAlive(pid) || (action === 'stop' && isStopped(pid)), `${action} at ${point}`);
    return pid;
  }

  // Nobody carries it out any more.
  revoke(action, point, n = 1) {
    rmSync(join(this.orders, `${action}:${point}:${n}`), { force: true });
  }

  // No order stands any more.
  revokeAll() {
    for (const name of readdirSync(this.orders)) if (/^(kill|stop):/.test(name)) rmSync(join(this.orders, name), { force: true });
  }

  trace() {
    writeFileSync(join(this.orders, 'trace'), '');
  }

  // The points that were passed, in order, as often as they were; from trace() on.
  passed() {
    const lines = readFileSync(join(this.orders, 'trace'), 'utf8').trim().split('\n').filter(Boolean);
    return lines.map((line) => line.split(' ')[1]);
  }

  // Front ends

  // A front end that lives; calls that find none at the same time share the next one.
  async frontEnd(i = 0) {
    const client = this.frontEnds[i];
    if (client && isAlive(client.child.pid)) return client;
    this.starting[i] ??= RawClient.start({ program, env: this.variables, cwd: this.project })
      .then((next) => { this.frontEnds[i] = next; return next; })
      .finally(() => { this.starting[i] = null; });
    return this.starting[i];
  }

  // Calls until a front end has lived long enough to answer.
  async call(tool, args, i = 0) {
    while (!this.over) {
      const client = await this.frontEnd(i).catch(() => null);
      const exited = client?.exited.then(() => { throw GONE; });
      exited?.catch(() => {});
      try {
        if (client) return await Promise.race([client.call(tool, args), exited]);
      } catch (error) {
        // It may be on its way out: whoever answered would have lived.
        if (error !== GONE && !/has ended|EPIPE/.test(error.message)) throw error;
      }
    }
    throw GONE;
  }

  // Submits until it is acknowledged, as a client does: with one request id.
  submit(message, args = {}, i = 0) {
    this.requests = (this.requests ?? 0) + 1;
    const operation_type = args.thread_id ? 'send_message' : 'start_chat';
    const request = { operation_type, cwd: this.project, message, client_request_id: `request-${this.requests}`, ...args };
    return this.call('codex_submit_task', request, i);
  }

  status(operationId) {
    return this.call('codex_get_operation_status', { operation_id: operationId });
  }

  reached(operationId, accepts, what) {
    return until(async () => {
      const status = await this.status(operationId);
      return accepts(status) && status;
    }, what, ENDED_MS);
  }

  // The terminal status of an operation.
  async ended(operationId, i = 0) {
    const begin = performance.now();
    for (;;) {
      const status = await this.call('codex_wait', { operation_id: operationId, timeout_seconds: WAIT_SECONDS }, i);
      if (status.waited.reason === 'terminal') return status;
      assert.ok(performance.now() - begin < ENDED_MS, `it does not end: ${JSON.stringify(status)}`);
    }
  }

  // Processes

  pids(who) {
    if (who === 'worker') return this.workers().map(({ pid }) => pid);
    // A terminal's is our child.
    if (who === 'app-server') return this.appServers().map(({ pid }) => pid).filter((pid) => parentOf(pid) !== process.pid);
    return this.frontEnds.map(({ child }) => child.pid).filter(isAlive);
  }

  // How many there were.
  async kill(who) {
    const pids = this.pids(who);
    for (const pid of pids) await killAndSee(pid).catch((error) => { if (error.code !== 'ESRCH') throw error; });
    return pids.length;
  }

  // `who` dies when somebody comes to the point for the nth time: at once, or while the one that came stands still. Resolves
  // with how many have died.
  async dieAt(who, point, n = 1) {
    const itself = roleOf(point) === who;
    const pid = await this.order(itself ? 'kill' : 'stop', point, n);
    if (itself) return 1;
    const died = await this.kill(who);
    letRun(pid);
    return died;
  }

  // One worker, which has the lock, and one app-server: what was left behind has ended, or is used again.
  alone() {
    const most = (who) => this.pids(who).length <= 1;
    const locked = () => this.lockHolders().join() === this.pids('worker').join();
    return until(() => most('worker') && most('app-server') && locked(), 'one worker, which has the lock, and one app-server');
  }

  // The pids that hold the worker's lock. The list may change while it is read: it then names some twice, or not.
  lockHolders() {
    const inode = statSync(`${this.stateDb}.worker.lock`).ino;
    const pids = readFileSync('/proc/locks', 'utf8').split('\n').map((line) => /^\d+: FLOCK .* (\d+) \S+:(\d+) /.exec(line))
      .filter((match) => Number(match?.[2]) === inode).map(([, pid]) => Number(pid));
    return [...new Set(pids)];
  }

  // Where nothing runs any more, nothing stays behind a worker that is told to leave.
  async leaveInOrder() {
    for (const { pid } of this.workers()) await killAndSee(pid, 'SIGTERM');
    await until(() => !this.pids('app-server').length, 'the end of app-server after its worker');
  }

  ledger() {
    return new Ledger(this);
  }

  async stop() {
    this.over = true;
    this.revokeAll();
    this.watcher.close();
    for (const pid of ['worker', 'app-server', 'front end'].flatMap((who) => this.pids(who))) letRun(pid);
    await Promise.allSettled(this.starting);
    await Promise.all(this.frontEnds.map((client) => (isAlive(client.child.pid) ? client.close() : client.exited)));
    await super.stop();
  }
}
