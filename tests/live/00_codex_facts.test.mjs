// What the C code takes for granted about Codex, shown by a real app-server on the scripted model.
//
// The recordings in tests/support/recordings are made here: CODEX_RECORD=1 node --test tests/live/00_codex_facts.test.mjs

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import {
  AppServer, CODEX_VERSION, findCodex, isSince, lacks, makeCodexHome, makeTempDir, Model, removeDir,
} from '../support/codex_env.mjs';
import { readRecording, shapes, writeRecording } from '../support/recording.mjs';

const missing = findCodex() ? false : 'Codex is not installed (npm ci in tests/)';

describe('codex facts', { skip: missing, timeout: 300000 }, () => {
  let dir;
  let workspace;
  let home;
  let model;
  let codex;
  const servers = [];

  // Whatever a failed test leaves behind ends with the suite.
  async function startServer(options) {
    const server = await AppServer.start({ cwd: workspace, ...options });
    servers.push(server);
    return server;
  }

  // A home of its own below dir, with its workspace.
  function separateHome(name, options) {
    const place = join(dir, name);
    mkdirSync(join(place, 'workspace'), { recursive: true });
    return { place, home: makeCodexHome(place, model.port, options), cwd: join(place, 'workspace') };
  }

  before(async () => {
    dir = makeTempDir();
    workspace = join(dir, 'workspace');
    mkdirSync(workspace);
    model = await Model.start();
    home = makeCodexHome(dir, model.port);
    codex = await startServer({ home });
  });

  after(async () => {
    await codex?.stop();
    await Promise.all(servers.map((server) => server.kill()));
    await model?.stop();
    removeDir(dir);
  });

  afterEach(() => model.release('*'));

  const startThread = (params = {}, server = codex) => server.startThread({
    cwd: workspace, approvalPolicy: 'never', sandbox: 'read-only', ...params,
  });
  const inWorkspace = (name) => join(workspace, name);
  const commandOf = (result) => result.items.find((item) => item.type === 'commandExecution');
  // What the command said; a command that ends at once is no item in some versions, but its output goes to the model.
  const outputOf = (result) => commandOf(result)?.aggregatedOutput
    ?? result.items.filter((item) => item.type === 'agentMessage').map((item) => item.text).join('\n');
  const history = async (threadId, server = codex) => (isSince(130)
    ? (await server.request('thread/turns/list', { threadId, itemsView: 'full' })).data
    : (await server.request('thread/read', { threadId, includeTurns: true })).thread.turns.reverse());
  const clientIds = (turn) => turn.items.filter((item) => item.type === 'userMessage').map((item) => item.clientId);

  // Why commands cannot be sandboxed on this machine; null when they can.
  async function sandboxProblem() {
    const result = await codex.runTurn((await startThread()).id, 'RUN true');
    if (commandOf(result)?.exitCode === 0 || /exited with code 0/.test(outputOf(result))) return null;
    return `the sandbox of Codex does not work here: ${outputOf(result).trim().replace(/\s+/g, ' ')}`;
  }

  it('initialize answers with a user agent and the home', () => {
    assert.match(codex.initialized.userAgent, new RegExp(`^codexcp-tests/${CODEX_VERSION.replaceAll('.', '\\.')} `));
    assert.equal(codex.initialized.codexHome, isSince(130) ? home : undefined);
  });

  it('a second initialize, an unknown method and a bad thread are -32600', async () => {
    await assert.rejects(codex.initialize(), { code: -32600, message: /Already initialized/ });
    await assert.rejects(codex.request('no/such/method'), { code: -32600, message: /unknown variant `no\/such\/method`/ });
    const nobody = '01a1f85a-0000-7000-8000-000000000000';
    await assert.rejects(codex.startTurn(nobody, 'SAY x'), { code: -32600, message: /thread not found/ });
  });

  const noClientId = lacks(145, 'clientUserMessageId');

  it('a turn carries clientUserMessageId into the history', { skip: noClientId }, async () => {
    const thread = await startThread();
    const result = await codex.runTurn(thread.id, 'SAY hello from the model', { clientUserMessageId: 'operation-1' });
    assert.equal(result.turn.status, 'inProgress');
    assert.equal(result.completed.status, 'completed');
    assert.equal(result.items.find((item) => item.type === 'agentMessage').text, 'hello from the model');
    const [turn] = await history(thread.id);
    assert.equal(turn.id, result.turn.id);
    assert.deepEqual(clientIds(turn), ['operation-1']);
    const { count } = await model.requests({ contains: 'hello from the model' });
    assert.equal(count, 1);
  });

  it('the completed turn names the last message and usage is told', async () => {
    const thread = await startThread();
    const result = await codex.runTurn(thread.id, 'SAY one\nSAY two');
    assert.deepEqual(result.completed.items.map((item) => item.text), isSince(146) ? ['two'] : []);
    if (isSince(146)) assert.equal(result.completed.itemsView, 'summary');
    const usage = await codex.waitFor((m) => m.method === 'thread/tokenUsage/updated' && m.params.threadId === thread.id);
    assert.ok(usage.params.tokenUsage.total.totalTokens > 0);
  });

  it('a message of 600 KB comes in deltas and whole', async () => {
    const thread = await startThread();
    const from = codex.mark();
    const result = await codex.runTurn(thread.id, 'STREAM 600000 40');
    assert.equal(result.items.find((item) => item.type === 'agentMessage').text.length, 600000);
    const deltas = codex.inbox.slice(from).filter((m) => m.method === 'item/agentMessage/delta');
    assert.equal(deltas.map((m) => m.params.delta).join('').length, 600000);
  });

  it('a read-only thread cannot write, a workspace-write thread can, in its workspace only', async (t) => {
    const problem = await sandboxProblem();
    if (problem) return t.skip(problem);
    const readOnly = await codex.runTurn((await startThread()).id, 'RUN touch read-only.txt; echo "status=$?"');
    assert.match(outputOf(readOnly), /status=1/);
    assert.equal(existsSync(inWorkspace('read-only.txt')), false);
    const writer = await startThread({ sandbox: 'workspace-write' });
    await codex.runTurn(writer.id, 'WRITE inside.txt written');
    assert.equal(readFileSync(inWorkspace('inside.txt'), 'utf8'), 'written\n');
    // The temporary directory counts as part of the workspace, unless it is excluded.
    const [temporary, outside] = [join(dir, 'temporary.txt'), join(dir, 'outside.txt')];
    await codex.runTurn(writer.id, `WRITE ${temporary} written`);
    assert.equal(existsSync(temporary), true);
    const sandboxPolicy = { type: 'workspaceWrite', excludeSlashTmp: true, excludeTmpdirEnvVar: true };
    const refused = await codex.runTurn(writer.id, `RUN touch ${outside}; echo "status=$?"`, { sandboxPolicy });
    assert.match(outputOf(refused), /status=1/);
    assert.equal(existsSync(outside), false);
  });

  it('a command that the sandbox refuses at once is not an item of the turn', async (t) => {
    const problem = await sandboxProblem();
    if (problem) return t.skip(problem);
    const thread = await startThread();
    const result = await codex.runTurn(thread.id, 'RUN touch refused.txt');
    if (isSince(169)) assert.equal(commandOf(result), undefined);
    assert.match(result.items.find((item) => item.type === 'agentMessage').text, /exited with code 1|exit_code: 1/);
  });

  it('the sandbox of a turn may be narrowed by its policy object', async (t) => {
    const problem = await sandboxProblem();
    if (problem) return t.skip(problem);
    const thread = await startThread({ sandbox: 'workspace-write' });
    const result = await codex.runTurn(thread.id, 'RUN touch narrowed.txt; echo "status=$?"', { sandboxPolicy: { type: 'readOnly' } });
    assert.match(outputOf(result), /status=1/);
    assert.equal(existsSync(inWorkspace('narrowed.txt')), false);
  });

  it('turn/interrupt leaves commands running; they are listed and ended one by one', {
    skip: lacks(145, 'list of background terminals'),
  }, async () => {
    const terminals = async ({ id }) => (await codex.request('thread/backgroundTerminals/list', { threadId: id })).data;
    const state = async ({ id }) => (await codex.request('thread/read', { threadId: id })).thread.status;
    const thread = await startThread({ sandbox: 'danger-full-access' });
    const command = { cmd: 'sleep 1000', yield_time_ms: 250 };
    const turn = await codex.startTurn(thread.id, `CALL exec_command ${JSON.stringify(command)}\nHOLD terminals`);
    await model.held('terminals');
    assert.equal((await state(thread)).type, 'active');
    await codex.request('turn/interrupt', { threadId: thread.id, turnId: turn.id });
    await codex.turnCompleted(turn);
    assert.equal((await state(thread)).type, 'idle');
    const [left, ...more] = await terminals(thread);
    assert.deepEqual([left.command, more], ['sleep 1000', []]);
    const started = codex.inbox.find((m) => m.method === 'item/started' && m.params.item.id === left.itemId);
    assert.equal(started.params.turnId, turn.id);
    const end = () => codex.request('thread/backgroundTerminals/terminate', { threadId: thread.id, processId: left.processId });
    assert.deepEqual([await end(), await end()], [{ terminated: true }, { terminated: false }]);
    assert.deepEqual(await terminals(thread), []);
  });

  it('turn/interrupt ends a held turn as interrupted', async () => {
    const thread = await startThread();
    const turn = await codex.startTurn(thread.id, 'HOLD interrupted');
    await model.held('interrupted');
    await codex.request('turn/interrupt', { threadId: thread.id, turnId: turn.id });
    const { params } = await codex.turnCompleted(turn);
    assert.equal(params.turn.status, 'interrupted');
    assert.equal(params.turn.error, null);
  });

  it('turn/interrupt of a turn that was interrupted is refused', { skip: lacks(169, 'answer to a second interrupt') }, async () => {
    const thread = await startThread();
    const turn = await codex.startTurn(thread.id, 'HOLD twice');
    await model.held('twice');
    await codex.request('turn/interrupt', { threadId: thread.id, turnId: turn.id });
    await codex.turnCompleted(turn);
    const again = codex.request('turn/interrupt', { threadId: thread.id, turnId: turn.id });
    await assert.rejects(again, { message: /no active turn to interrupt/ });
  });

  it('turn/start on an active thread steers it, and does not deduplicate', { skip: lacks(148, 'single id for a steered turn') }, async () => {
    const thread = await startThread();
    const first = await codex.startTurn(thread.id, 'HOLD steered', { clientUserMessageId: 'same' });
    await model.held('steered');
    const second = await codex.startTurn(thread.id, 'SAY steered away', { clientUserMessageId: 'same' });
    assert.equal(second.id, first.id);
    const { params } = await codex.turnCompleted(first);
    assert.equal(params.turn.status, 'completed');
    const turns = await history(thread.id);
    assert.equal(turns.length, 1);
    assert.deepEqual(clientIds(turns[0]), ['same', 'same']);
  });

  it('after kill -9 a new app-server shows the cut turn as interrupted, with its client id', { skip: noClientId }, async () => {
    const { home: killedHome } = separateHome('killed');
    const killed = await startServer({ home: killedHome });
    const thread = await startThread({}, killed);
    await killed.startTurn(thread.id, 'HOLD killed', { clientUserMessageId: 'operation-killed' });
    await model.held('killed');
    await killed.kill('SIGKILL');
    const revived = await startServer({ home: killedHome });
    const [turn] = await history(thread.id, revived);
    assert.equal(turn.status, 'interrupted');
    assert.deepEqual(clientIds(turn), ['operation-killed']);
    await assert.rejects(revived.startTurn(thread.id, 'SAY too early'), { message: /thread not found/ });
    await revived.request('thread/resume', { threadId: thread.id });
    const next = await revived.runTurn(thread.id, 'SAY alive again', { clientUserMessageId: 'operation-next' });
    assert.equal(next.completed.status, 'completed');
    const turns = await history(thread.id, revived);
    assert.deepEqual(turns.flatMap(clientIds).sort(), ['operation-killed', 'operation-next']);
    await revived.stop();
  });

  it('after kill -9 the cut turn is interrupted; before 0.115 it counts as completed', async () => {
    const { home: killedHome } = separateHome('cut');
    const killed = await startServer({ home: killedHome });
    const thread = await startThread({}, killed);
    await killed.startTurn(thread.id, 'HOLD cut');
    await model.held('cut');
    await killed.kill('SIGKILL');
    const revived = await startServer({ home: killedHome });
    const [turn] = (await revived.request('thread/resume', { threadId: thread.id })).thread.turns;
    assert.equal(turn.status, isSince(115) ? 'interrupted' : 'completed');
    await revived.stop();
  });

  it('a thread keeps its policy over a restart; before 0.163 it gets that of the configuration', async () => {
    const { home: keptHome } = separateHome('policy', { top: 'sandbox_mode = "danger-full-access"' });
    const first = await startServer({ home: keptHome });
    const thread = await startThread({}, first);
    await first.runTurn(thread.id, 'SAY mine');
    await first.stop();
    const second = await startServer({ home: keptHome });
    const { sandbox } = await second.request('thread/resume', { threadId: thread.id });
    assert.equal(sandbox.type, isSince(163) ? 'readOnly' : 'dangerFullAccess');
    await second.stop();
  });

  it('a thread loaded by one app-server cannot be resumed by another', { skip: lacks(147, 'lock of a thread') }, async () => {
    const thread = await startThread();
    await codex.runTurn(thread.id, 'SAY mine');
    const other = await startServer({ home });
    const resumed = other.request('thread/resume', { threadId: thread.id });
    await assert.rejects(resumed, { code: -32600, message: /already has an active writer/ });
    assert.equal((await other.request('thread/read', { threadId: thread.id })).thread.id, thread.id);
    await other.stop();
  });

  const isApproval = ({ id, threadId }) => ({ method, params }) => /requestApproval$/.test(method)
    && params.threadId === threadId && params.turnId === id;

  for (const [decision, itemStatus, turnStatus, ran] of [
    ['accept', 'completed', 'completed', true],
    ['decline', 'declined', 'completed', false],
    ['cancel', 'declined', 'interrupted', false],
  ]) {
    it(`a command that asks to leave the sandbox waits for an approval: ${decision}`, async () => {
      const name = `approval-${decision}.txt`;
      const thread = await startThread({ approvalPolicy: 'on-request' });
      const turn = await codex.startTurn(thread.id, `ESCALATE touch ${name}`);
      const request = await codex.waitFor(isApproval(turn));
      assert.equal(request.method, 'item/commandExecution/requestApproval');
      assert.match(request.params.command, new RegExp(name));
      if (isSince(115)) assert.ok(request.params.availableDecisions.includes('accept'));
      codex.respond(request, { decision });
      if (isSince(115)) await codex.waitFor((m) => m.method === 'serverRequest/resolved' && m.params.requestId === request.id);
      const { params } = await codex.turnCompleted(turn);
      assert.equal(params.turn.status, turnStatus);
      const done = await codex.waitFor((m) => m.method === 'item/completed' && m.params.item.id === request.params.itemId);
      assert.equal(done.params.item.status, itemStatus);
      assert.equal(existsSync(inWorkspace(name)), ran);
    });
  }

  it('a patch outside of what the sandbox allows waits for a file change approval', async () => {
    const thread = await startThread({ approvalPolicy: 'on-request' });
    const turn = await codex.startTurn(thread.id, 'PATCH patched.txt by a patch');
    const request = await codex.waitFor(isApproval(turn));
    assert.equal(request.method, 'item/fileChange/requestApproval');
    const item = await codex.waitFor((m) => m.method === 'item/started' && m.params.item.id === request.params.itemId);
    assert.deepEqual(item.params.item.changes.map((change) => change.path), [inWorkspace('patched.txt')]);
    codex.respond(request, { decision: 'accept' });
    await codex.turnCompleted(turn);
    assert.equal(readFileSync(inWorkspace('patched.txt'), 'utf8'), 'by a patch\n');
  });

  it('plan mode proposes a plan as an item and stays until the mode is set again', async () => {
    const settings = { model: 'mock-model', reasoning_effort: null, developer_instructions: null };
    const thread = await startThread();
    const first = await codex.runTurn(thread.id, 'PLAN 1. SAY planned', { collaborationMode: { mode: 'plan', settings } });
    assert.equal(first.items.find((item) => item.type === 'plan').text.trim(), '1. SAY planned');
    const second = await codex.runTurn(thread.id, 'Think again.');
    if (isSince(115)) assert.ok(second.items.some((item) => item.type === 'plan'));
    const third = await codex.runTurn(thread.id, 'SAY out of plan mode', { collaborationMode: { mode: 'default', settings } });
    assert.equal(third.items.some((item) => item.type === 'plan'), false);
  });

  for (const [directive, info] of [
    ['FAIL 429', { responseTooManyFailedAttempts: { httpStatusCode: 429 } }],
    ['FAIL 401', isSince(163) ? { httpConnectionFailed: { httpStatusCode: 401 } } : 'other'],
    ['FAIL 500', 'internalServerError'],
    ['FAIL 400', 'other'],
    ['FAIL context', 'contextWindowExceeded'],
    ['FAIL usage', 'usageLimitExceeded'],
    ['CUT', 'other'],
  ]) {
    it(`a failed turn says why: ${directive}`, async () => {
      const thread = await startThread();
      const { completed } = await codex.runTurn(thread.id, directive);
      assert.equal(completed.status, 'failed');
      assert.deepEqual(completed.error.codexErrorInfo, info);
      const [turn] = await history(thread.id);
      // The history of old versions does not tell.
      assert.equal(turn.status, isSince(146) ? 'failed' : 'completed');
      assert.deepEqual(turn.error?.codexErrorInfo, isSince(146) ? info : undefined);
    });
  }

  // A conversation of its own, from initialize to the end of one turn.
  async function record(name, prompt, { threadParams = {}, during } = {}) {
    const { place, home: recordedHome, cwd } = separateHome(name);
    const server = await startServer({ home: recordedHome, cwd });
    const thread = await startThread({ cwd, ...threadParams }, server);
    const turn = await server.startTurn(thread.id, prompt, { clientUserMessageId: 'operation-recorded' });
    await during?.(server, thread, turn);
    await server.turnCompleted(turn);
    await server.stop();
    if (process.env.CODEX_RECORD) {
      writeRecording(name, server.lines, [[recordedHome, '/codex-home'], [cwd, '/workspace'], [place, '/tmp'],
        [`:${model.port}/`, ':8080/'], [`"serverName":"${hostname()}"`, '"serverName":"host"']]);
    }
    return server.lines;
  }

  // What is recorded must still be sent; more may come.
  async function compare(name, prompt, options) {
    const live = shapes(await record(name, prompt, options));
    const lost = shapes(readRecording(name)).filter((shape) => !live.includes(shape));
    assert.deepEqual(lost, []);
  }

  const notRecorded = isSince(169) ? false : `Codex ${CODEX_VERSION} is not the recorded one, 0.169`;

  it('recording: a simple turn', { skip: notRecorded }, () => compare('turn-0.169', 'SAY hello'));

  it('recording: a turn with a command', { skip: notRecorded }, async (t) => {
    const problem = await sandboxProblem();
    if (problem) return t.skip(problem);
    return compare('turn-command-0.169', 'SAY I will look.\nRUN sleep 0.2; echo looked\nSAY done');
  });

  it('recording: an interrupted turn', { skip: notRecorded }, () => compare('turn-interrupted-0.169', 'SAY partly\nHOLD recorded', {
    during: async (server, thread, turn) => {
      await model.held('recorded');
      // The first message is complete, whatever else is under way.
      await server.waitFor((m) => m.method === 'item/completed' && m.params.item.type === 'agentMessage');
      await server.request('turn/interrupt', { threadId: thread.id, turnId: turn.id });
    },
  }));

  it('recording: a command approval', { skip: notRecorded }, () => compare('turn-approval-0.169', 'ESCALATE echo approved\nSAY done', {
    threadParams: { approvalPolicy: 'on-request' },
    during: async (server, thread, turn) => server.respond(await server.waitFor(isApproval(turn)), { decision: 'accept' }),
  }));
});
