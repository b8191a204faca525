// The whole of it, with the real Codex on a scripted model: a front end, its worker, the worker's app-server.

import { readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { findCodex, makeCodexHome, Model } from '../support/codex_env.mjs';
import { killAndSee } from '../support/processes.mjs';
import { RawClient } from '../support/raw_client.mjs';
import { makePlace } from './places.mjs';
import { store } from './programs.mjs';
import { IN_FLIGHT, RawDriver } from './raw_driver.mjs';

const TASKS = 20;
const TURN_MS = 300;
const ROUNDS = 3;
const STREAMED_BYTES = 600000;
const WAIT_SECONDS = 120;

// A front end with a worker that outlives it until stop().
class Stack {
  static async start({ server, root, home }, name, projects) {
    const stack = new Stack();
    const env = { CODEX_BINARY_PATH: findCodex(), CODEX_MCP_WORKER_IDLE_SECONDS: '600' };
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

  async stop() {
    const pid = await this.workerPid();
    await this.client.close();
    if (pid) await killAndSee(pid, 'SIGTERM');
  }
}

function kib(pid, file, key) {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))[1]);
}

const memoryOf = (pid) => ({ rss: kib(pid, 'status', 'VmRSS') / 1024, pss: kib(pid, 'smaps_rollup', 'Pss') / 1024 });

const tasksOf = (stack, round) => Array.from({ length: TASKS }, (_, i) => ({
  cwd: stack.place.projects[i % 2],
  message: `Round ${round}, task ${i}.\nWAIT ${TURN_MS}\nSAY done ${i}`,
}));

const POLL_MS = 5;
// A front end starts five workers a minute at most.
const KILLS = 4;
const RECOVERY_MS = 1000;
const STREAM_TEXT = 'STREAM 60000 1500 20';

// The largest compact status of an operation that runs commands, streams, and waits.
async function measureRunning(stack, model) {
  const operation = await stack.submit(stack.place.projects[0], 'RUN echo one\nRUN echo two\nRUN echo three\nSTREAM 8000 40 25\nHOLD bytes');
  const held = model.held('bytes').then(() => true);
  let bytes = 0;
  let polls = 0;
  for (let last = false; !last; polls++) {
    last = await Promise.race([held, sleep(POLL_MS, false)]);
    const status = await stack.status(operation);
    if (status.status === 'running') bytes = Math.max(bytes, Buffer.byteLength(JSON.stringify(status)));
  }
  await model.release('bytes');
  await stack.completed(operation);
  return { bytes, polls };
}

// Alternately, so that a slow minute hits both.
async function measureThroughput(stack, raw) {
  const [ours, floor] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    floor.push(await raw.run(tasksOf(stack, `raw ${round}`)));
    ours.push(await stack.run(tasksOf(stack, round)));
  }
  return { value: Math.min(...ours), floor: Math.min(...floor) };
}

async function measureMain(context, model) {
  const stack = await Stack.start(context, 'main', ['one', 'two']);
  const raw = await RawDriver.start({ home: context.home, cwd: stack.place.dir });
  try {
    await stack.client.request('tools/list', {});
    await stack.client.call('codex_health_summary');
    const frontEnd = memoryOf(stack.client.child.pid);
    await stack.run([{ cwd: stack.place.projects[0], message: 'SAY warm' }]);
    const worker = memoryOf(await stack.workerPid());
    await raw.run([{ cwd: stack.place.projects[0], message: 'SAY warm' }]);
    const running = await measureRunning(stack, model);
    const tasks = await measureThroughput(stack, raw);
    return { frontEnd, worker, running, tasks, later: memoryOf(await stack.workerPid()) };
  } finally {
    await raw.stop();
    await stack.stop();
  }
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const wordsOf = (status) => JSON.stringify(status.latestMessages);

// What a client that polls sees of a turn that streams: it waits for other words than these.
async function newWords(stack, operation, words) {
  for (;;) {
    const status = await stack.status(operation);
    if (status.completedAt) throw new Error(`the turn has ended: ${JSON.stringify(status)}`);
    if (status.status === 'running' && wordsOf(status) && wordsOf(status) !== words) return status;
    await sleep(POLL_MS);
  }
}

// From the kill of the worker to the first news of its turn. The dead write nothing: what is new is the next worker's.
async function measureRecovery(context) {
  const stack = await Stack.start(context, 'recovery', ['project']);
  const times = [];
  try {
    const operation = await stack.submit(stack.place.projects[0], STREAM_TEXT);
    for (let round = 0; round < KILLS; round++) {
      await newWords(stack, operation);
      const pid = await stack.workerPid();
      const begin = performance.now();
      await killAndSee(pid);
      await newWords(stack, operation, wordsOf(await stack.status(operation)));
      times.push(performance.now() - begin);
    }
    await stack.completed(operation);
  } finally {
    await stack.stop();
  }
  return { value: median(times), samples: KILLS };
}

const sizeOf = (path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

async function measureStreamed(context) {
  const stack = await Stack.start(context, 'streamed', ['project']);
  let worker;
  try {
    await stack.completed(await stack.submit(stack.place.projects[0], `STREAM ${STREAMED_BYTES} 3000`));
    worker = memoryOf(await stack.workerPid());
  } finally {
    await stack.stop();
  }
  store(context.dir, 'checkpoint', stack.place.stateDb);
  return { worker, bytes: sizeOf(stack.place.stateDb) + sizeOf(`${stack.place.stateDb}-wal`) };
}

export async function wholeFigures(context) {
  const model = await Model.start();
  try {
    const home = makeCodexHome(context.root, model.port);
    const { frontEnd, worker, running, tasks, later } = await measureMain({ ...context, home }, model);
    const recovery = await measureRecovery({ ...context, home });
    const streamed = await measureStreamed({ ...context, home });
    const memory = (name, { rss, pss }, limit) => ({ name: `resident memory, ${name}`, value: rss, unit: 'MiB', limit, pss, samples: 1 });
    return [
      { name: 'compact status of a running operation, largest', value: running.bytes, unit: 'bytes', limit: { value: 1500 }, samples: running.polls },
      { name: `${TASKS} tasks, first submit to last completion`, ...tasks, unit: 'ms', limit: { ratio: 1.25 },
        against: `raw driver, ${IN_FLIGHT} turns in flight, model turns of ${TURN_MS} ms`, samples: ROUNDS, rounds: ROUNDS },
      { name: 'worker killed, until a poll has news of its turn', ...recovery, unit: 'ms', limit: { value: RECOVERY_MS } },
      memory('idle front end', frontEnd, { value: 8 }),
      memory('idle worker', worker, { value: 12 }),
      memory(`worker after ${TASKS * ROUNDS} more tasks`, later),
      memory('worker after a turn of 600 KB', streamed.worker),
      { name: 'state database after a turn of 600 KB', value: streamed.bytes / 1024, floor: STREAMED_BYTES / 1024, unit: 'KiB', limit: { ratio: 2 },
        against: 'the text', samples: 1 },
    ];
  } finally {
    await model.stop();
  }
}
