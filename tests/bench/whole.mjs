// The whole of it, with the real Codex on a scripted model: a front end, its worker, the worker's app-server.

import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCodexHome, Model } from '../support/codex_env.mjs';
import { killAndSee } from '../support/processes.mjs';
import { median, store } from './programs.mjs';
import { memoryOf, memoryRow, newWords, POLL_MS, Stack, wordsOf } from './stack.mjs';
import { startRaw, stopBoth, throughputRow, warmUp } from './throughput.mjs';

const TASKS = 20;
const ROUNDS = 3;
const STREAMED_BYTES = 600000;

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

async function measureMain(context, model) {
  const stack = await Stack.start(context, 'main', ['one', 'two']);
  let raw;
  try {
    raw = await startRaw(stack, context.home);
    await stack.client.request('tools/list', {});
    await stack.client.call('codex_health_summary');
    const frontEnd = memoryOf(stack.client.child.pid);
    await warmUp(stack, stack);
    const worker = memoryOf(await stack.workerPid());
    const running = await measureRunning(stack, model);
    const tasks = await throughputRow(stack, raw, { count: TASKS, rounds: ROUNDS });
    return { frontEnd, worker, running, tasks, later: memoryOf(await stack.workerPid()) };
  } finally {
    await stopBoth(raw, stack);
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
    return [
      { name: 'compact status of a running operation, largest', value: running.bytes, unit: 'bytes', limit: { value: 1500 }, samples: running.polls },
      tasks,
      { name: 'worker killed, until a poll has news of its turn', ...recovery, unit: 'ms', limit: { value: RECOVERY_MS } },
      memoryRow('idle front end', frontEnd, { value: 8 }),
      memoryRow('idle worker', worker, { value: 12 }),
      memoryRow(`worker after ${TASKS * ROUNDS} more tasks`, later),
      memoryRow('worker after a turn of 600 KB', streamed.worker),
      { name: 'state database after a turn of 600 KB', value: streamed.bytes / 1024, floor: STREAMED_BYTES / 1024, unit: 'KiB', limit: { ratio: 2 },
        against: 'the text', samples: 1 },
    ];
  } finally {
    await model.stop();
  }
}
