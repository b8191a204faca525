#!/usr/bin/env node
// Chaos: several front ends submit, retry, wait and interrupt while worker, app-server and front ends are killed; then the
// books are looked at. See chaos_plan.mjs for what is drawn, ledger.mjs for what must hold.
//
//   chaos.mjs [--rounds 25] [--seed 1] [--transport stdio|unix] [--table]
//
// Round i has the seed SEED + i, so that one round is run again with --rounds 1. A round that fails leaves everything that it
// had and says where. --table writes the result into docs/RELIABILITY.md.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Model } from '../support/codex_env.mjs';
import { drawRound } from './chaos_plan.mjs';
import { writeChaos } from './reliability.mjs';
import { missing, points, roleOf, Stage } from './stage.mjs';

const AT_ONCE = 3;
const PLENTY = { CODEX_MCP_MAX_ACTIVE_TURNS_PER_PROJECT: '64', CODEX_MCP_MAX_ACTIVE_WRITE_TURNS_PER_PROJECT: '64' };

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// One task by one front end: what a client does that may be told nothing, and asks again.
async function playTask(stage, task, threads, problems) {
  const thread_id = task.follows ? threads[task.frontEnd] : undefined;
  const ask = () => stage.submit(task.prompt, {
    client_request_id: task.request, sandbox: task.sandbox, ...thread_id ? { thread_id } : {},
  }, task.frontEnd);
  await pause(task.pauseMs);
  const { operationId } = await ask();
  for (let i = 0; i < task.retries; i++) {
    const again = await ask();
    if (again.operationId !== operationId) problems.push(`${task.request}: ${operationId}, and when asked again ${again.operationId}`);
  }
  if (task.interruptMs !== null) {
    await pause(task.interruptMs);
    await stage.call('codex_interrupt_turn', { operation_id: operationId, timeout_seconds: 20 }, task.frontEnd)
      .catch((error) => problems.push(`${task.request}: ${error.message}`));
  }
  const ended = await stage.ended(operationId, task.frontEnd);
  threads[task.frontEnd] = ended.status === 'completed' ? ended.threadId : threads[task.frontEnd];
  return { operationId, marker: task.marker };
}

async function playAll(stage, plan, problems) {
  const threads = [];
  const acknowledged = [];
  await Promise.all(Array.from({ length: plan.frontEnds }, async (_, i) => {
    for (const task of plan.tasks.filter(({ frontEnd }) => frontEnd === i)) acknowledged.push(await playTask(stage, task, threads, problems));
  }));
  return acknowledged;
}

// All that must hold when nobody has anything to do any more.
async function lookAtBooks(stage, acknowledged, problems) {
  const entries = [];
  const ledger = stage.ledger();
  for (const { operationId, marker } of acknowledged) entries.push(await ledger.entry(operationId, marker));
  problems.push(...entries.flatMap((entry) => entry.problems));
  const rows = ledger.operations().length;
  ledger.close();
  if (rows !== acknowledged.length) problems.push(`${rows} operations, for ${acknowledged.length} that were acknowledged`);
  await stage.kill('front end');
  for (const { operationId } of acknowledged) {
    await stage.status(operationId).catch((error) => problems.push(`${operationId} cannot be read: ${error.message}`));
  }
  await stage.alone().catch((error) => problems.push(error.message));
  await stage.leaveInOrder().catch((error) => problems.push(error.message));
  return entries;
}

// { plan, problems, entries, deaths, ms, kept }
export async function playRound(plan, model) {
  const stage = await Stage.start({ model, transport: plan.transport, variables: () => PLENTY });
  const [problems, deaths] = [[], []];
  const begin = performance.now();
  let entries = [];
  for (const { who, point, hit } of plan.deaths) {
    const victim = who === 'itself' ? roleOf(point) : who;
    stage.dieAt(victim, point, hit).then((n) => { if (n) deaths.push({ victim, point, hit }); }, () => {});
  }
  try {
    const acknowledged = await playAll(stage, plan, problems);
    stage.revokeAll();
    entries = await lookAtBooks(stage, acknowledged, problems);
  } catch (error) {
    problems.push(error.stack);
  }
  const result = { plan, problems, entries, deaths, ms: Math.round(performance.now() - begin) };
  if (problems.length) {
    stage.keep = true;
    writeFileSync(join(stage.dir, 'round.json'), `${JSON.stringify({ ...result, model: await model.requests({ contains: `chaos-${plan.seed}-` }) }, null, 1)}\n`);
    result.kept = stage.dir;
  }
  await stage.stop();
  return result;
}

// Calls told(result) after each round.
export async function playRounds({ rounds, seed, transport, told }) {
  const model = await Model.start();
  const results = [];
  let next = 0;
  const player = async () => {
    while (next < rounds) {
      const plan = drawRound(seed + next++, points);
      if (transport) plan.transport = transport;
      const result = await playRound(plan, model);
      results.push(result);
      told?.(result);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, player));
  } finally {
    await model.stop();
  }
  return results.sort((a, b) => a.plan.seed - b.plan.seed);
}

const count = (list, key) => list.reduce((counts, each) => counts.set(key(each), (counts.get(key(each)) ?? 0) + 1), new Map());
const listed = (counts) => [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, n]) => `${n} ${name}`).join(', ') || 'none';

// The rows of the table.
export function summary(results, { rounds, seed }) {
  const [entries, deaths] = [results.flatMap((result) => result.entries), results.flatMap((result) => result.deaths)];
  const tasks = results.flatMap(({ plan }) => plan.tasks);
  return [
    ['rounds, seed', `${rounds}, ${seed}`],
    ['transport', listed(count(results, ({ plan }) => plan.transport))],
    ['acknowledged operations', `${entries.length}`],
    ['submitted again with the same request id', `${tasks.reduce((sum, task) => sum + task.retries, 0)}`],
    ['interrupted by a client', `${tasks.filter((task) => task.interruptMs !== null).length}`],
    ['processes killed', listed(count(deaths, ({ victim }) => victim))],
    ['at crash points', `${new Set(deaths.map(({ point }) => point)).size} different ones`],
    ['outcomes', listed(count(entries, ({ outcome }) => outcome))],
    ['lost, ended twice or not, run twice', `${results.filter(({ problems }) => problems.length).length} rounds`],
  ];
}

const lineOf = ({ plan, problems, deaths, entries, ms, kept }) => [
  `${problems.length ? 'FAILED' : 'ok'} seed ${plan.seed}, ${plan.transport}: ${entries.length} operations, ${ms} ms, ${listed(count(deaths, ({ victim, point, hit }) => `${victim} at ${point}:${hit}`))}`,
  ...problems.map((problem) => `  ${problem}`),
  ...kept ? [`  everything is in ${kept}`] : [],
].join('\n');

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '25' },
      seed: { type: 'string', default: '1' },
      transport: { type: 'string' },
      table: { type: 'boolean' },
    },
  });
  if (missing) throw new Error(missing);
  const options = { rounds: Number(values.rounds), seed: Number(values.seed), transport: values.transport };
  const results = await playRounds({ ...options, told: (result) => console.log(lineOf(result)) });
  const rows = summary(results, options);
  for (const [name, value] of rows) console.log(`${name}: ${value}`);
  if (values.table) writeChaos(rows);
  process.exitCode = results.some(({ problems }) => problems.length) ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
