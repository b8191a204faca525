// A server with a worker, driven as a client drives it, and what its processes weigh.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { findCodex } from '../support/codex_env.mjs';
import { killAndSee, processesWith } from '../support/processes.mjs';
import { RawClient } from '../support/raw_client.mjs';
import { makePlace } from './places.mjs';

const WAIT_SECONDS = 120;
export const POLL_MS = 5;

// A front end with a worker that outlives it until stop().
export class Stack {
  static async start({ server, root, home }, name, projects, variables = {}) {
    const stack = new Stack();
    const env = { CODEX_BINARY_PATH: findCodex(), CODEX_MCP_WORKER_IDLE_SECONDS: '600', RUST_LOG: 'error', ...variables };
    stack.place = makePlace(root, name, { projects, home, env });
    stack.client = await RawClient.start({ program: server, env: stack.place.env, cwd: stack.place.dir });
    return stack;
  }

  async submit(cwd, message) {
    const ack = await this.client.call('codex_submit_task', { operation_type: 'start_chat', cwd, message, sandbox: 'read-only' });
    return ack.operationId;
  }

  async completed(operationId) {
    const status = await this.client.call('codex_wait', { operation_id: operationId, timeout_seconds: WAIT_SECONDS });
    if (status.status !== 'completed') throw new Error(`not completed: ${JSON.stringify(status)}`);
    return status;
  }

  status(operationId) {
    return this.client.call('codex_get_operation_status', { operation_id: operationId });
  }

  // Milliseconds from the first submit to the last completion.
  async run(tasks) {
    const begin = performance.now();
    await Promise.all(tasks.map(async ({ cwd, message }) => this.completed(await this.submit(cwd, message))));
    return performance.now() - begin;
  }

  async workerPid() {
    return (await this.client.call('codex_health_summary')).worker.pid;
  }

  // Whatever has come of the measurement: a worker that has only just been started has no row that would name it, and one
  // whose turns run leaves its app-server to the next one.
  async stop() {
    const { CODEX_MCP_STATE_DB, CODEX_HOME } = this.place.env;
    const workers = () => processesWith(`CODEX_MCP_STATE_DB=${CODEX_MCP_STATE_DB}`).filter(({ args }) => args[1] === 'worker');
    const appServers = () => processesWith(`CODEX_HOME=${CODEX_HOME}`).filter(({ args }) => args[1] === 'app-server');
    await this.client.close();
    for (const { pid } of workers()) await killAndSee(pid, 'SIGTERM');
    for (const { pid } of appServers()) await killAndSee(pid).catch(() => {});
  }
}

export const wordsOf = (status) => JSON.stringify(status.latestMessages);

// What a client that polls sees of a turn that streams: it waits for other words than these.
export async function newWords(stack, operation, words) {
  for (;;) {
    const status = await stack.status(operation);
    if (status.completedAt) throw new Error(`the turn has ended: ${JSON.stringify(status)}`);
    if (status.status === 'running' && wordsOf(status) && wordsOf(status) !== words) return status;
    await sleep(POLL_MS);
  }
}

function kib(pid, file, key) {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))[1]);
}

export const memoryOf = (pid) => ({ rss: kib(pid, 'status', 'VmRSS') / 1024, pss: kib(pid, 'smaps_rollup', 'Pss') / 1024 });

export const memoryRow = (name, { rss, pss }, limit) => ({ name: `resident memory, ${name}`, value: rss, unit: 'MiB', limit, pss, samples: 1 });
