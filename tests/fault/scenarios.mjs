// What is going on when a process dies. Each scenario takes its operations to their end and returns them; it must do so
// whichever process dies at whichever point of it. A crash point is tried in the first scenario that passes it.
//
// `here` is the stage; `crash` resolves when the death that is being tried has happened, never when none is.

import { existsSync, mkdirSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AppServer, findCodex, testsDir } from '../support/codex_env.mjs';
import { letRun } from '../support/processes.mjs';

const fakeAppServer = resolve(process.env.CODEXCP_FAKE_APPSERVER ?? join(testsDir, '..', 'build', 'tests', 'support', 'fake-appserver'));
const PERMITS = 4;
const NO_THREAD = '01a1f900-0000-7000-8000-000000000000';

// The answer to thread/resume while a turn runs, as a line of the fake app-server's script.
const BUSY = '{"thread": {"id": $threadId, "turns": [], "status": {"type": "active", "activeFlags": []}}, "model": "m", '
  + '"sandbox": {"type": "readOnly"}, "approvalPolicy": "never"}';

// A turn that meets the account's limit, which ends soon, as one learns who asks.
const MEET_LIMIT = 'once\nexpect turn/start\ndefault\nfail {"message": "You have hit your usage limit.", '
  + '"codexErrorInfo": "usageLimitExceeded", "additionalDetails": null}\nexpect account/rateLimits/read\n';
const limitAnswer = () => `reply ${JSON.stringify({
  rateLimits: { limitId: 'codex', primary: { usedPercent: 100, windowDurationMins: 300, resetsAt: Math.floor(Date.now() / 1000) + 2 }, secondary: null },
})}\n`;
const LONG_MS = 20000;

let serial = 0;
// No marker is part of another.
const newMarker = (name) => `${name}-${process.pid}-${++serial}.`;

const isOver = (status) => ['completed', 'failed', 'interrupted', 'unknown_after_app_server_exit'].includes(status.status);

// Whoever stands at HOLD now or later goes on.
async function letGo(here, marker) {
  for (let i = 0; i < PERMITS; i++) await here.model.release(marker);
}

async function submit(here, name, prompt, args) {
  const marker = newMarker(name);
  const { operationId } = await here.submit(prompt(marker), args);
  return { operationId, marker };
}

const hold = (marker) => `HOLD ${marker}\nSAY done ${marker}`;
const say = (marker) => `SAY done ${marker}`;

async function finish(here, ...operations) {
  for (const { operationId } of operations) await here.ended(operationId);
  return operations;
}

// Until the turn stands at its HOLD, or the death has come before.
const heldOr = (here, crash, { marker }) => Promise.race([here.model.held(marker), crash]);

async function oneTask(here, crash) {
  const task = await submit(here, 'task', hold);
  await heldOr(here, crash, task);
  await letGo(here, task.marker);
  return finish(here, task);
}

// Worker and app-server are there already, and the front end has submitted before.
async function secondTask(here, crash) {
  const first = await finish(here, await submit(here, 'before', say));
  return [...first, ...await oneTask(here, crash)];
}

// Long enough for its progress to be written on the way.
async function streamingTurn(here) {
  return finish(here, await submit(here, 'stream', (marker) => `STREAM 2000 20 20\nSAY ${marker}`));
}

async function failingTurn(here) {
  return finish(here, await submit(here, 'failing', (marker) => `FAIL context\nSAY ${marker}`));
}

const interrupt = (here, { operationId }, seconds = 30) => here.call('codex_interrupt_turn', {
  operation_id: operationId, timeout_seconds: seconds,
});

async function interruptedTurn(here, crash) {
  const task = await submit(here, 'interrupted', hold);
  await heldOr(here, crash, task);
  await here.reached(task.operationId, (status) => status.phase === 'running' || isOver(status), 'running');
  await interrupt(here, task);
  return finish(here, task);
}

// The process that comes to the point stands still while fn runs, unless the death comes before it.
async function standing(here, crash, point, fn) {
  const stopped = here.order('stop', point);
  const pid = await Promise.race([stopped, crash.then(() => null)]);
  if (pid) await fn(pid);
  else here.revoke('stop', point);
  stopped.then(letRun);
}

async function interruptedEarly(here, crash) {
  const asked = standing(here, crash, 'effect.send_turn.after', () => interrupt(here, task, 1));
  const task = await submit(here, 'early', hold);
  await asked;
  return finish(here, task);
}

// A thread of the terminal's.
async function withTerminal(here, fn) {
  const terminal = await AppServer.start({ home: here.home, cwd: here.project });
  try {
    const thread = await terminal.startThread({ cwd: here.project });
    await terminal.runTurn(thread.id, 'SAY from the terminal');
    return await fn(terminal, thread.id);
  } finally {
    await terminal.kill();
  }
}

function openElsewhere(here, crash) {
  return withTerminal(here, async (terminal, thread_id) => {
    const task = await submit(here, 'elsewhere', say, { thread_id });
    const waits = (status) => status.queuedReason === 'thread_open_elsewhere' || isOver(status);
    await Promise.race([here.reached(task.operationId, waits, 'waiting'), crash]);
    await terminal.stop();
    return finish(here, task);
  });
}

async function noSuchThread(here) {
  return finish(here, await submit(here, 'nowhere', say, { thread_id: NO_THREAD }));
}

// An empty history is permanent; it is tried three times.
function emptyHistory(here) {
  return withTerminal(here, async (terminal, thread_id) => {
    await terminal.stop();
    const sessions = join(here.home, 'sessions');
    const rollout = readdirSync(sessions, { recursive: true }).find((name) => name.includes(thread_id));
    truncateSync(join(sessions, rollout));
    return finish(here, await submit(here, 'empty', say, { thread_id }));
  });
}

async function noCodex(here, crash) {
  const task = await submit(here, 'no-codex', say);
  const waits = (status) => status.queuedReason === 'app_server_unavailable' || isOver(status);
  await Promise.race([here.reached(task.operationId, waits, 'waiting'), crash]);
  const bin = join(here.dir, 'bin');
  mkdirSync(bin);
  symlinkSync(findCodex(), join(bin, 'codex'));
  return finish(here, task);
}

const diesUnderTurn = (who) => async (here, crash) => {
  const task = await submit(here, 'cut', hold);
  await heldOr(here, crash, task);
  await here.kill(who);
  await letGo(here, task.marker);
  return finish(here, task);
};

async function diesBeforeSending(here) {
  const died = here.order('kill', 'effect.send_turn.before');
  const task = await submit(here, 'unsent', say);
  await died;
  return finish(here, task);
}

// What was recorded of the machine's run is of an earlier one.
function bootAgain(here) {
  const db = new DatabaseSync(here.stateDb);
  for (const table of ['operations', 'app_servers', 'workers']) db.exec(`UPDATE ${table} SET boot_id = 'an-earlier-boot' WHERE boot_id IS NOT NULL`);
  db.close();
}

async function powerLoss(here, crash) {
  const off = standing(here, crash, 'effect.send_turn.before', async () => {
    await here.kill('front end');
    await here.kill('worker');
    await here.kill('app-server');
    bootAgain(here);
  });
  const task = await submit(here, 'power', say, { sandbox: 'workspace-write' });
  await off;
  return finish(here, task);
}

// app-server stands still while it is asked to start the turn, for longer than the request may take.
async function noAnswer(here, crash) {
  let frozen = [];
  const frost = standing(here, crash, 'effect.send_turn.before', () => {
    frozen = here.pids('app-server');
    frozen.forEach((pid) => process.kill(pid, 'SIGSTOP'));
  });
  const task = await submit(here, 'silent', say, { timeout_seconds: 1 });
  await frost;
  await Promise.race([here.reached(task.operationId, (status) => status.phase === 'looking_up' || isOver(status), 'a look'), crash]);
  frozen.forEach(letRun);
  return finish(here, task);
}

// What no real Codex does on request.
const onFake = (script) => (here) => {
  const state = join(here.dir, 'fake');
  mkdirSync(state);
  const variables = { CODEX_BINARY_PATH: fakeAppServer, CCP_FAKE_STATE: state };
  if (script) {
    variables.CCP_FAKE_SCRIPT = join(here.dir, 'script');
    writeFileSync(variables.CCP_FAKE_SCRIPT, script());
  }
  return variables;
};

// Who has died may have been the only one to know when the limit ends; then it is waited for longer than a test does.
async function endLimit(here, tasks) {
  const waitsLong = (status) => status.status === 'waiting_for_quota' && Date.parse(status.nextAttemptAt) > Date.now() + LONG_MS;
  await Promise.all(tasks.map(async (task) => {
    const status = await here.reached(task.operationId, (now) => isOver(now) || waitsLong(now), 'its end, or a long wait');
    if (waitsLong(status)) await interrupt(here, task);
  }));
  return finish(here, ...tasks);
}

// Two meet it, one goes on and lets the other go.
async function usageLimit(here) {
  const meet = (marker) => `WAIT 300\nFAIL usage:2\nSAY ${marker}`;
  return endLimit(here, [await submit(here, 'limit-1', meet), await submit(here, 'limit-2', meet)]);
}

async function limitWhenAsked(here, crash) {
  const task = await submit(here, 'limit', say);
  await Promise.race([here.reached(task.operationId, (status) => status.quota || isOver(status), 'a limit'), crash]);
  return endLimit(here, [task]);
}

async function stalledTurn(here, crash) {
  const task = await submit(here, 'stalled', hold);
  await Promise.race([here.reached(task.operationId, (status) => status.stall || isOver(status), 'a stall'), crash]);
  await letGo(here, task.marker);
  return finish(here, task);
}

async function fakeTask(here) {
  return finish(here, await submit(here, 'fake', say));
}

// Its turn is looked for when turn/start is not answered in time.
async function fakeSilentTask(here) {
  return finish(here, await submit(here, 'silent', say, { timeout_seconds: 1 }));
}

// A second task for the thread of the first.
async function fakeSecondTask(here) {
  const [first] = await finish(here, await submit(here, 'first', say));
  const { threadId } = await here.status(first.operationId);
  return [first, ...await finish(here, await submit(here, 'second', say, { thread_id: threadId }))];
}

// `points`: tried here although an earlier scenario passes them, too; `hit`: by whom comes for the nth time.
export const scenarios = [
  { name: 'a task when nothing else is there', play: oneTask },
  { name: 'a second task', play: secondTask, points: /^submit\./, hit: 2 },
  { name: 'a turn that streams', play: streamingTurn, points: /^progress\./ },
  { name: 'a turn that fails', play: failingTurn },
  { name: 'an interrupt', play: interruptedTurn },
  { name: 'an interrupt while the turn starts', play: interruptedEarly },
  { name: 'a thread that another Codex has open', play: openElsewhere },
  { name: 'a thread that does not exist', play: noSuchThread },
  { name: 'a thread whose history is empty', play: emptyHistory },
  { name: 'no Codex at first', play: noCodex, variables: (here) => ({ CODEX_BINARY_PATH: join(here.dir, 'bin', 'codex') }) },
  { name: 'app-server dies under a turn', play: diesUnderTurn('app-server') },
  { name: 'the worker dies under a turn', play: diesUnderTurn('worker') },
  { name: 'the worker dies before it sends', play: diesBeforeSending },
  { name: 'the machine loses power', play: powerLoss },
  { name: 'turn/start is not answered in time', play: noAnswer },
  { name: "the account's limit", play: usageLimit },
  { name: "the account's limit, told when asked", play: limitWhenAsked, variables: onFake(() => `${MEET_LIMIT}${limitAnswer()}`) },
  {
    name: 'a turn that tells nothing',
    play: stalledTurn,
    variables: () => ({ CODEX_MCP_TURN_CHECK_SECONDS: '1', CODEX_MCP_TURN_STALL_TIMEOUT_SECONDS: '1' }),
  },
  { name: 'app-server is overloaded', play: fakeTask, variables: (here) => ({ ...onFake()(here), CCP_FAKE_OVERLOAD: '1' }) },
  {
    name: 'a turn of somebody else runs in the thread',
    play: fakeSecondTask,
    variables: onFake(() => `once\nexpect thread/resume threadId\nreply ${BUSY}\n`),
  },
  {
    name: 'a thread that is archived before its turn is looked for',
    play: fakeSilentTask,
    variables: onFake(() => 'once\nexpect turn/start\nexpect thread/resume\nerror -32600 session 1 is archived\n'),
  },
];

// Events that nothing in the program applies yet, or not by the way of the runner.
export const unreached = {
  approval_opened: 'app-server is answered at once',
  input_opened: 'app-server is answered at once',
  answered: 'app-server is answered at once',
  interrupt: 'front ends apply it: ask.interrupt',
};

export const fakeMissing = existsSync(fakeAppServer) ? false : `${fakeAppServer} is not built`;
