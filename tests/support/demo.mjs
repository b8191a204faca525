#!/usr/bin/env node
// Shows a durable task from start to end, and what makes it durable: node demo.mjs --server PROGRAM [--live]
//
// The real Codex, by default on a scripted model on the loopback interface; with --live on your own Codex login. Project
// and state are temporary. Exits 0 only when everything was as it should be.

import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findCodex, makeCodexHome, makeTempDir, Model, removeDir } from './codex_env.mjs';
import { isAlive, killAndSee, processesWith, until } from './processes.mjs';
import { RawClient } from './raw_client.mjs';

const LOOK_MS = 60;
const WAIT_SECONDS = 50;
const LIVE_TURNS = 6; // waits of WAIT_SECONDS
const CLIP = 90;

const SCRIPTED = {
  first: {
    prompt: 'Look at this project and report.\nSAY I will look at the project first.\nWAIT 400\nSTREAM 1200 12 60\n'
      + 'SAY The project is empty. Suggested first step: write a README.',
    report: 'The project is empty. Suggested first step: write a README.',
  },
  second: { prompt: 'Take your time.\nHOLD demo\nSAY I went on without you.', report: 'I went on without you.' },
};
const MARK = 'MCP LIVE TEST / DO NOT MODIFY FILES';
const LIVE = {
  first: { prompt: `${MARK}\nIn three short sentences: what is a durable task queue good for? Use no tools.` },
  second: { prompt: `${MARK}\nWrite the numbers from 1 to 100 in words, one per line. Use no tools.` },
};

const { values: options } = parseArgs({ options: { server: { type: 'string' }, live: { type: 'boolean', default: false } } });

const say = (text = '') => process.stdout.write(`${text}\n`);
const title = (text) => say(`\n${text}`);
const oneLine = (text) => text.replace(/\s+/g, ' ').trim();
const headOf = (text) => (text.length > CLIP ? `${text.slice(0, CLIP)}...` : text);
const tailOf = (text) => (text.length > CLIP ? `...${text.slice(-CLIP)}` : text);
const expect = (holds, what) => { if (!holds) throw new Error(`not as it should be: ${what}`); };

// Lines with the time since the clock was set.
class Clock {
  constructor() {
    this.zero = Date.now();
  }

  line(text, time = Date.now()) {
    const ms = Math.max(0, Math.round(new Date(time).getTime() - this.zero));
    say(`  ${String(ms).padStart(7)} ms  ${text}`);
  }
}

// The one on the PATH, which the server finds by itself, else the one that came with the tests.
function codexOfTheUser() {
  const onPath = process.env.PATH.split(delimiter).some((place) => existsSync(join(place, 'codex')));
  const codex = onPath ? null : findCodex();
  return codex ? { CODEX_BINARY_PATH: codex } : {};
}

async function setUp() {
  const dir = makeTempDir('codexcp-demo');
  const project = join(dir, 'project');
  mkdirSync(project);
  const env = {
    ...process.env,
    CODEX_MCP_STATE_DB: join(dir, 'state', 'state.sqlite3'),
    CODEX_ALLOWED_ROOTS: project,
    CODEX_MCP_WORKER_IDLE_SECONDS: '30',
  };
  if (options.live) return { dir, project, env: { ...codexOfTheUser(), ...env } };
  const codex = findCodex();
  if (!codex) throw new Error('Codex is not installed; run ./bootstrap deps');
  const model = await Model.start();
  const home = makeCodexHome(dir, model.port);
  return { dir, project, model, env: { ...env, CODEX_HOME: home, CODEX_BINARY_PATH: codex } };
}

// A client may have ended before it was told which worker it has started.
async function cleanUp({ dir, env, model, clients }) {
  for (const client of clients) await client.kill();
  for (const { pid } of processesWith(`CODEX_MCP_STATE_DB=${env.CODEX_MCP_STATE_DB}`)) await killAndSee(pid, 'SIGTERM');
  await model?.stop();
  removeDir(dir);
}

// Tells what is new in a status: where it stands, what is being written, what has happened.
class Watcher {
  constructor(clock) {
    Object.assign(this, { clock, status: null, text: '', told: new Set(), firstText: null });
  }

  see(now) {
    for (const event of now.progressEvents ?? []) {
      const key = `${event.createdAt} ${event.text}`;
      // A delta that grows is shown as text below.
      if (this.told.has(key) || /delta/.test(event.category)) continue;
      this.told.add(key);
      this.clock.line(`event     ${headOf(oneLine(event.text))}`);
    }
    const text = now.latestMessages?.at(-1)?.text ?? '';
    if (text && text !== this.text) {
      this.firstText ??= Date.now();
      this.clock.line(`text      ${tailOf(oneLine(text))}`);
    }
    this.text = text || this.text;
    if (now.status !== this.status) this.clock.line(`status    ${this.status ? `${this.status} -> ` : ''}${now.status}`);
    this.status = now.status;
  }
}

async function watch(client, operationId, watcher) {
  let done = null;
  const wait = async () => {
    for (let i = 0; i < LIVE_TURNS && done?.waited.reason !== 'terminal'; i++) {
      done = await client.call('codex_wait', { operation_id: operationId, timeout_seconds: WAIT_SECONDS },
        (progress) => watcher.clock.line(`progress  ${progress.message}`));
      expect(done.waited.reason !== 'needs_attention', `it waits for an answer (${done.status})`);
    }
  };
  const waiting = wait();
  const look = async () => {
    while (done?.waited.reason !== 'terminal') {
      watcher.see(await client.call('codex_get_operation_status', { operation_id: operationId }));
      await Promise.race([waiting, new Promise((next) => setTimeout(next, LOOK_MS))]);
    }
  };
  await Promise.all([waiting, look()]);
  watcher.see(done);
  return done;
}

function checkReport(done, task) {
  expect(done.status === 'completed', `status ${done.status}: ${done.error?.message ?? done.reason ?? ''}`);
  expect(done.finalReport?.text, 'a report');
  if (task.report) expect(done.finalReport.text === task.report, `the report: ${done.finalReport.text}`);
}

function showReport(done) {
  for (const line of done.finalReport.text.split('\n')) say(`    | ${line}`);
  say(`    operation ${done.operationId}\n    thread    ${done.threadId}\n    turn      ${done.turnId}`);
}

// When the operation came to each step, from its own timeline where nobody of us has seen it.
async function showTimes(client, clock, done, seen) {
  const { events } = await client.call('codex_get_operation_status', { operation_id: done.operationId, include_events: true });
  const left = (phase) => events.find((event) => event.text?.startsWith(`${phase} -> `))?.createdAt;
  const rows = [
    ['spawn -> initialize answered', clock.zero + client.initializedMs],
    ['submit acknowledged: the row is on disk', seen.acknowledged],
    ['app-server ready', left('claimed')],
    ['thread started', left('thread_start_sent')],
    ['turn running', left('turn_start_sent')],
    ['first text', seen.firstText ?? done.completedAt],
    ['completed', done.completedAt],
  ];
  for (const [name, at] of rows) {
    expect(at, `a time for: ${name}`);
    clock.line(name, at);
  }
}

const submit = (client, project, task) => client.call('codex_submit_task', {
  operation_type: 'start_chat', cwd: project, message: task.prompt, sandbox: 'read-only', approval_policy: 'never',
});

async function showTask(demo, task) {
  title('1. A client starts the server over stdio and submits a task');
  const clock = new Clock();
  const client = await demo.connect();
  clock.line(`${client.server.serverInfo.name} ${client.server.serverInfo.version} answers initialize`);
  const begin = Date.now();
  const { operationId } = await submit(client, demo.project, task);
  const acknowledged = Date.now();
  clock.line(`acknowledged after ${acknowledged - begin} ms: operation ${operationId}`);
  title('2. It runs; the client only watches (codex_wait with a progress token, and polls)');
  const watcher = new Watcher(clock);
  const done = await watch(client, operationId, watcher);
  const { worker, appServer } = await client.call('codex_health_summary');
  demo.worker = worker.pid;
  checkReport(done, task);
  title(`3. The report (Codex ${appServer.codexVersion})`);
  showReport(done);
  title('   When what happened');
  await showTimes(client, clock, done, { acknowledged, firstText: watcher.firstText });
  return client;
}

async function showDurability(demo, client, task) {
  title('4. The client is killed while a second task runs; another one reads the report');
  const clock = new Clock();
  const { operationId } = await submit(client, demo.project, task);
  clock.line(`submitted: operation ${operationId}`);
  if (demo.model) await demo.model.held('demo');
  await until(async () => {
    const { status } = await client.call('codex_get_operation_status', { operation_id: operationId });
    return ['running', 'completed'].includes(status);
  }, 'the second task to run', 60000);
  await client.kill();
  clock.line(`kill -9: server process ${client.child.pid} is gone, the task is running`);
  expect(isAlive(demo.worker), 'the worker lives on');
  await demo.model?.release('demo');
  const next = await demo.connect();
  clock.line(`a new client: server process ${next.child.pid}, same worker ${demo.worker}`);
  const done = await watch(next, operationId, new Watcher(clock));
  checkReport(done, task);
  showReport(done);
  expect((await next.call('codex_health_summary')).worker.pid === demo.worker, 'the same worker');
  if (demo.model) {
    const { count } = await demo.model.requests();
    expect(count === 2, `two tasks are two requests to the model, not ${count}`);
  }
  await next.close();
}

async function main() {
  if (!options.server) throw new Error('usage: demo.mjs --server PROGRAM [--live]');
  const program = resolve(options.server);
  const tasks = options.live ? LIVE : SCRIPTED;
  const demo = { clients: [], ...await setUp() };
  demo.connect = async () => {
    const client = await RawClient.start({ program, env: demo.env, cwd: demo.project });
    demo.clients.push(client);
    return client;
  };
  const stopped = new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => reject(new Error(`stopped by ${signal}`)));
  });
  say(`A durable task for Codex, ${options.live ? 'on your own login' : 'on a scripted model (no account, no network)'}`);
  const shown = showTask(demo, tasks.first).then((client) => showDurability(demo, client, tasks.second));
  try {
    await Promise.race([shown, stopped]);
  } finally {
    await cleanUp(demo);
  }
  say('\nEverything was as it should be.');
}

main().then(() => process.exit(0), (error) => {
  process.stderr.write(`demo: ${error.message}\n`);
  process.exit(1);
});
