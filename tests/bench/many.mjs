// Much of it: many tasks in the queue, many front ends, many turns of one worker.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCodexHome, Model } from '../support/codex_env.mjs';
import { call, initialize, Latency, median, percentile } from './programs.mjs';
import { IN_FLIGHT } from './raw_driver.mjs';
import { memoryOf, newWords, Stack } from './stack.mjs';
import { startRaw, stopBoth, throughputRow, warmUp } from './throughput.mjs';

const named = (count, name) => Array.from({ length: count }, (_, i) => `${name}-${i}`);

const QUEUED = 200;
const QUEUE_ROUNDS = 2;
// Of the limits only the global one counts.
const PROJECTS = named(8, 'project');
const WIDE = { CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL: String(IN_FLIGHT), CODEX_MCP_MAX_ACTIVE_TURNS_PER_PROJECT: '64' };

async function queueRow(context) {
  const stack = await Stack.start(context, 'many-tasks', PROJECTS, WIDE);
  let raw;
  try {
    raw = await startRaw(stack, context.home);
    await warmUp(stack, stack);
    return await throughputRow(stack, raw, { count: QUEUED, rounds: QUEUE_ROUNDS });
  } finally {
    await stopBoth(raw, stack);
  }
}

const FRONT_ENDS = 32;
const POLL_EVERY_MS = 200;
const POLLS = 50;
const ECHO_POLLS = 10;
const POLL_MS = 1;
// The turns tell something fifty times a second, and for longer than is measured.
const STREAM_TEXT = 'STREAM 60000 1000 20';

// Microseconds of all polls. People do not poll in step: the front ends are spread over the interval.
async function pollAll(pollers, requests, count) {
  const batches = await Promise.all(pollers.map(async (poller, i) => {
    await sleep((i * POLL_EVERY_MS) / pollers.length);
    return poller.ask(Array.from({ length: count }, () => requests[i % requests.length]), POLL_EVERY_MS);
  }));
  for (const { answer } of batches) {
    if (answer.error || answer.result?.isError) throw new Error(`refused: ${JSON.stringify(answer)}`);
  }
  return batches.flatMap(({ us }) => us);
}

async function mustRun(stack, operations) {
  for (const operation of operations) {
    const { status } = await stack.status(operation);
    if (status !== 'running') throw new Error(`does not stream while it is polled: ${status}`);
  }
}

const openPollers = (context, { place }, server) => Array.from({ length: FRONT_ENDS },
  () => new Latency({ dir: context.dir, server, env: place.env, cwd: place.dir }));

// Each front end has a client of its own, a C program that sleeps between its polls, reads its clock before it writes the
// request and after it has read the answer, and tells what it measured when all is over. What such a client measures by
// itself is the floor: `cat` in the place of the front end, polled in the same way while the same turns stream.
async function pollRow(context) {
  const stack = await Stack.start(context, 'many-front-ends', PROJECTS, WIDE);
  const frontEnds = openPollers(context, stack, context.server);
  const echoes = openPollers(context, stack, '/bin/cat');
  try {
    await warmUp(stack, stack);
    await Promise.all(frontEnds.map((frontEnd) => frontEnd.ask([initialize])));
    const operations = await Promise.all(PROJECTS.slice(0, IN_FLIGHT).map((_, i) => stack.submit(stack.place.projects[i], STREAM_TEXT)));
    await Promise.all(operations.map((operation) => newWords(stack, operation)));
    const requests = operations.map((operation) => call('codex_get_operation_status', { operation_id: operation }));
    await pollAll(frontEnds, requests, 1);
    const echo = await pollAll(echoes, requests, ECHO_POLLS);
    const us = await pollAll(frontEnds, requests, POLLS);
    await mustRun(stack, operations);
    await Promise.all(operations.map((operation) => stack.completed(operation)));
    return {
      name: `status poll, ${FRONT_ENDS} front ends at ${1000 / POLL_EVERY_MS} Hz, ${IN_FLIGHT} turns stream`,
      value: median(us) / 1000, p99: percentile(us, 99) / 1000, floor: median(echo) / 1000, unit: 'ms', limit: { value: POLL_MS },
      against: 'cat in the place of the front ends', samples: us.length,
    };
  } finally {
    await Promise.all([...frontEnds, ...echoes].map((poller) => poller.close()));
    await stack.stop();
  }
}

const [FEW_TURNS, MANY_TURNS] = [1000, 10000];
const AT_ONCE = 32;

async function runTurns(stack, count) {
  let left = count;
  const lane = async (project) => {
    while (left-- > 0) await stack.completed(await stack.submit(project, `Say ${left}.`));
  };
  await Promise.all(named(AT_ONCE, 'lane').map((_, i) => lane(stack.place.projects[i % PROJECTS.length])));
}

// The model's part costs minutes and is not what is weighed: the turns are those of the fake app-server.
async function memoryRow(context) {
  const fake = join(context.dir, '..', 'support', 'fake-appserver');
  const stack = await Stack.start({ ...context, home: undefined }, 'many-turns', PROJECTS, { ...WIDE, CODEX_BINARY_PATH: fake });
  try {
    await runTurns(stack, FEW_TURNS);
    const few = memoryOf(await stack.workerPid());
    await runTurns(stack, MANY_TURNS - FEW_TURNS);
    const many = memoryOf(await stack.workerPid());
    return {
      name: `resident memory, worker after ${MANY_TURNS} turns`, value: many.rss, floor: few.rss, unit: 'MiB', limit: { ratio: 1.1 },
      against: `the same worker after ${FEW_TURNS} turns`, pss: many.pss, samples: 1,
    };
  } finally {
    await stack.stop();
  }
}

export async function manyFigures(context) {
  const model = await Model.start();
  try {
    const home = makeCodexHome(context.root, model.port);
    const rows = [];
    for (const row of [queueRow, pollRow, memoryRow]) rows.push(await row({ ...context, home }));
    return rows;
  } finally {
    await model.stop();
  }
}
