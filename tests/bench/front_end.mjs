// What a client waits for at the front end, with nothing executed: start, tools/list, submit, status poll; and the last
// two with large stores behind them.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testsDir } from '../support/codex_env.mjs';
import { makePlace } from './places.mjs';
import { call, CommitFloor, initialize, Latency, Rounds, store } from './programs.mjs';

const poll = call('codex_get_operation_status', { operation_id: 'running-0' });
const times = (count, request) => Array.from({ length: count }, () => request);

// What people write is made of many words: those of a page of our own.
const WORDS = [...new Set(readFileSync(join(testsDir, '..', 'docs', 'ARCHITECTURE.md'), 'utf8').toLowerCase().match(/[a-z]{2,15}/g))];
const PROMPT_WORDS = 60;

const randomWord = () => WORDS[Math.floor(Math.random() * WORDS.length)];
const prompt = () => Array.from({ length: PROMPT_WORDS }, randomWord).join(' ');

const submit = (cwd) => call('codex_submit_task', { operation_type: 'start_chat', cwd, message: prompt() });
const submits = (count, cwd) => Array.from({ length: count }, () => submit(cwd));

function checked({ answer, ...batch }) {
  if (!answer.result?.structuredContent?.ok) throw new Error(`refused: ${JSON.stringify(answer)}`);
  return batch;
}

async function measureStart({ dir, server, root }) {
  const place = makePlace(root, 'start');
  const latency = new Latency({ dir, server, env: place.env, cwd: place.dir });
  const [start, empty] = [new Rounds(), new Rounds()];
  for (let round = 0; round < 8; round++) {
    empty.add(await latency.spawn(25, join(dir, 'bench-empty')));
    start.add(await latency.greet(times(25, initialize)));
  }
  await latency.close();
  return { start, empty };
}

function shownBytes(tools) {
  const bytes = tools.map(({ name, description, inputSchema }) => Buffer.byteLength(JSON.stringify({ name, description, inputSchema })));
  return bytes.reduce((sum, n) => sum + n, 0) / bytes.length;
}

// The first answer of a process is made, the later ones are kept: a client sees the first.
async function measureTools({ dir, server, root }) {
  const place = makePlace(root, 'tools');
  const [first, later] = [new Rounds(), new Rounds()];
  let tools;
  const firsts = [];
  for (let i = 0; i < 15; i++) {
    const latency = new Latency({ dir, server, env: place.env, cwd: place.dir });
    await latency.ask([initialize]);
    const batch = await latency.ask([{ method: 'tools/list' }]);
    firsts.push(...batch.us);
    later.add(await latency.ask(times(20, { method: 'tools/list' })));
    tools = batch.answer.result.tools;
    await latency.close();
  }
  first.add({ us: firsts });
  return { first, later, bytes: shownBytes(tools), count: tools.length };
}

const STORES = {
  small: { total: 10, running: 3, queued: 0, label: '10 operations' },
  history: { total: 100000, running: 50, queued: 0, label: '100,000 operations, 50 active' },
  queue: { total: 10001, running: 1, queued: 10000, label: '10,000 queued' },
};

// A server on a store of its own, its caches warm.
async function openStore(context, name, round = 0) {
  const { total, running, queued } = STORES[name];
  const place = makePlace(context.root, `${name}-${round}`, { env: { CODEX_MCP_EXECUTION_MODE: 'client' } });
  const [project] = place.projects;
  store(context.dir, 'fill', place.stateDb, total, running, queued, project, context.words);
  store(context.dir, 'checkpoint', place.stateDb);
  const latency = new Latency({ ...context, env: place.env, cwd: place.dir });
  await latency.ask([initialize]);
  checked(await latency.ask(times(5, poll)));
  checked(await latency.ask(submits(2, project)));
  return { place, project, latency };
}

const ROUNDS = 25;
const SUBMITS = 10;
const POLLS = 20;

async function measureOne({ latency, project }, figures) {
  figures.submit.add(checked(await latency.ask(submits(SUBMITS, project))));
  figures.poll.add(checked(await latency.ask(times(POLLS, poll))));
}

// Each round measures everything once, so that a slow minute of the disk hits figures and floor alike. The small store is
// a new one each round: what is submitted stays in it.
async function measureStores(context) {
  const figures = Object.fromEntries(Object.keys(STORES).map((name) => [name, { submit: new Rounds(), poll: new Rounds() }]));
  const commit = new Rounds();
  const large = { history: await openStore(context, 'history'), queue: await openStore(context, 'queue') };
  let floor;
  let rowBytes;
  for (let round = 0; round < ROUNDS; round++) {
    const small = await openStore(context, 'small', round);
    if (!floor) {
      rowBytes = Number(store(context.dir, 'row-size', small.place.stateDb));
      floor = new CommitFloor({ dir: context.dir, file: join(context.root, 'floor.sqlite3'), bytes: rowBytes });
      await floor.commit(SUBMITS);
    }
    await measureOne(small, figures.small);
    commit.add(await floor.commit(SUBMITS));
    for (const name of Object.keys(large)) await measureOne(large[name], figures[name]);
    await small.latency.close();
    rmSync(small.place.dir, { recursive: true });
  }
  const next = new Rounds();
  const queue = large.queue.place.stateDb;
  for (let i = 0; i < ROUNDS; i++) next.add({ us: store(context.dir, 'next', queue, POLLS).split('\n').map(Number) });
  await Promise.all([floor.close(), ...Object.values(large).map(({ latency }) => latency.close())]);
  return { figures, commit, rowBytes, next };
}

const msOf = (rounds) => rounds.best / 1000;
const counted = (rounds) => ({ samples: rounds.samples, rounds: rounds.medians.length });

function storeRows(figures, verb) {
  const base = figures.small[verb];
  return ['history', 'queue'].map((name) => ({
    name: `${verb} with ${STORES[name].label}`,
    value: msOf(figures[name][verb]), floor: msOf(base), unit: 'ms', limit: { ratio: 1.5 }, against: 'the same with 10 operations',
    ...counted(figures[name][verb]),
  }));
}

export async function frontEndFigures(context) {
  const { start, empty } = await measureStart(context);
  const tools = await measureTools(context);
  const words = join(context.root, 'words');
  writeFileSync(words, `${WORDS.join('\n')}\n`);
  const { figures, commit, rowBytes, next } = await measureStores({ ...context, words });
  return [
    { name: 'spawn to initialize answer', value: msOf(start), floor: msOf(empty), unit: 'ms', limit: { ratio: 8 },
      against: 'spawning an empty C program', ...counted(start) },
    { name: 'tools/list answer, first of a process', value: msOf(tools.first), unit: 'ms', limit: { value: 1 }, ...counted(tools.first) },
    { name: 'tools/list answer, later', value: msOf(tools.later), unit: 'ms', limit: { value: 1 }, ...counted(tools.later) },
    { name: 'a tool as a model sees it, average', value: tools.bytes, unit: 'bytes', limit: { value: 900 }, samples: tools.count },
    { name: 'submit acknowledgement', value: msOf(figures.small.submit), floor: msOf(commit), unit: 'ms', limit: { ratio: 4 },
      against: `one FULL commit of ${rowBytes} bytes`, ...counted(figures.small.submit) },
    { name: 'status poll', value: msOf(figures.small.poll), unit: 'ms', limit: { value: 0.3 }, ...counted(figures.small.poll) },
    ...storeRows(figures, 'submit'),
    ...storeRows(figures, 'poll'),
    { name: `finding out who is next with ${STORES.queue.label}`, value: msOf(next), unit: 'ms', limit: { value: 0.3 }, ...counted(next) },
  ];
}
