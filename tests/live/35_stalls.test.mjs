// Turns that tell nothing, and what an interrupt leaves running.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSince, lacks } from '../support/codex_env.mjs';
import { missing, withEnv } from '../support/live_env.mjs';
import { processesRunning, until } from '../support/processes.mjs';

const STALLS = { CODEX_MCP_TURN_CHECK_SECONDS: '1', CODEX_MCP_TURN_STALL_TIMEOUT_SECONDS: '2' };
const FULL_ACCESS = { sandbox: 'danger-full-access', approval_policy: 'never' };

// A command that goes on in the background while the model is asked on; nobody else runs the like of it.
let commands = 0;
function newCommand() {
  commands += 1;
  return `sleep ${100000 + process.pid % 10000 * 10 + commands}`;
}
const inBackground = (command) => `CALL exec_command ${JSON.stringify({ cmd: command, yield_time_ms: 250 })}`;
const runs = (command) => processesRunning(command).length > 0;

describe('what an interrupt leaves', { skip: missing, timeout: 120000 }, () => {
  const noList = { skip: lacks(145, 'list of background terminals') };
  const interrupt = (client, operationId) => client.ok('codex_interrupt_turn', { operation_id: operationId });

  it('a background terminal of the turn is ended, and told', noList, () => withEnv({}, async (env) => {
    const client = await env.client();
    const command = newCommand();
    const { operationId } = await client.submit(`${inBackground(command)}\nHOLD background`, FULL_ACCESS);
    await env.model.held('background');
    assert.ok(runs(command));
    const answer = await interrupt(client, operationId);
    assert.equal(answer.status, 'interrupted');
    const { method, before, terminated, remaining } = answer.terminals;
    assert.deepEqual([method, before, terminated, remaining], ['terminate', 1, 1, []]);
    assert.deepEqual((await client.status(operationId)).terminals, answer.terminals);
    await until(() => !runs(command), 'the command to end');
  }));

  it('so is the command that the turn waits for', noList, () => withEnv({}, async (env) => {
    const client = await env.client();
    const command = newCommand();
    const { operationId } = await client.submit(`RUN ${command}`, FULL_ACCESS);
    // Until Codex tells of it (150 ms) an interrupt ends it by itself.
    const tells = ({ progressEvents = [] }) => progressEvents.some((event) => event.text.startsWith('command inProgress'));
    await client.poll(operationId, tells, 'a command that runs');
    assert.ok(runs(command));
    const answer = await interrupt(client, operationId);
    assert.deepEqual([answer.status, answer.terminals?.terminated], ['interrupted', 1]);
    await until(() => !runs(command), 'the command to end');
  }));

  it('one that an earlier turn has left goes on, and is told', noList, () => withEnv({}, async (env) => {
    const client = await env.client();
    const [earlier, command] = [newCommand(), newCommand()];
    const first = await client.run(`${inBackground(earlier)}\nSAY the server is up`, FULL_ACCESS);
    const { operationId } = await client.submit(`${inBackground(command)}\nHOLD second`, { thread_id: first.threadId });
    await env.model.held('second');
    const { terminals } = await interrupt(client, operationId);
    assert.deepEqual([terminals.before, terminals.terminated], [2, 1]);
    assert.deepEqual(terminals.remaining.map((left) => left.command), [earlier]);
    await until(() => !runs(command), 'the command to end');
    assert.ok(runs(earlier));
  }));

  const onlyThen = isSince(145) ? () => {} : it;

  onlyThen('without a list it is said what was done, and what is not known', () => withEnv({}, async (env) => {
    const client = await env.client();
    const command = newCommand();
    const { operationId } = await client.submit(`${inBackground(command)}\nHOLD unlisted`, FULL_ACCESS);
    await env.model.held('unlisted');
    const { status, terminals } = await interrupt(client, operationId);
    assert.deepEqual([status, terminals.method], ['interrupted', isSince(115) ? 'clean' : 'unsupported']);
    assert.match(terminals.meaning, /^this Codex /);
    if (isSince(115)) await until(() => !runs(command), 'the command to end');
  }));

  it('a turn without commands has nothing to tell', noList, () => withEnv({}, async (env) => {
    const client = await env.client();
    const { operationId } = await client.submit('HOLD nothing');
    await env.model.held('nothing');
    const answer = await interrupt(client, operationId);
    assert.deepEqual([answer.status, answer.terminals], ['interrupted', undefined]);
  }));
});

describe('stalled turns', { skip: missing, timeout: 120000 }, () => {
  const noStatus = { skip: lacks(115, 'status of a thread') };

  it('are told, and go on when there is news', noStatus, () => withEnv({ variables: STALLS }, async (env) => {
    const client = await env.client();
    const { operationId } = await client.submit('HOLD silent\nSAY back again');
    await env.model.held('silent');
    const stalled = await client.poll(operationId, (status) => status.stall, 'a stall');
    assert.deepEqual([stalled.status, stalled.nextRecommendedAction], ['running', 'interrupt_turn']);
    assert.match(stalled.stall.evidence, /says that the turn is active/);
    const { stallSupervisor } = await client.health();
    assert.deepEqual([stallSupervisor.mode, stallSupervisor.stalledTurnCount], ['diagnose_only', 1]);
    assert.equal(stallSupervisor.stalledTurns[0].operationId, operationId);
    await env.model.release('silent');
    const done = await client.wait(operationId, 'completed');
    assert.equal(done.stall, undefined);
    assert.equal((await client.health()).stallSupervisor.stalledTurnCount, 0);
    const { events } = await client.status(operationId, { include_events: true });
    const told = events.map((event) => event.details?.event).filter((name) => ['stalled', 'goes_on'].includes(name));
    assert.deepEqual(told.sort(), ['goes_on', 'stalled']);
  }));

  it('are interrupted when that is configured', noStatus, () => withEnv({
    variables: { ...STALLS, CODEX_MCP_STALLED_TURN_ACTION: 'interrupt' },
  }, async (env) => {
    const client = await env.client();
    const { operationId } = await client.submit('HOLD stalled');
    await env.model.held('stalled');
    const done = await client.wait(operationId, 'interrupted');
    assert.equal(done.reason, 'interrupted_stalled');
    assert.ok(done.stall.seconds >= 2);
  }));

  it('are none while a command runs', () => withEnv({
    variables: { ...STALLS, CODEX_MCP_STALLED_TURN_ACTION: 'interrupt' },
  }, async (env) => {
    const client = await env.client();
    const done = await client.run('RUN sleep 6; echo slept well', FULL_ACCESS);
    assert.match(done.finalReport.text, /slept well/);
    const { events } = await client.status(done.operationId, { include_events: true });
    assert.ok(!events.some((event) => event.details?.event === 'stalled'));
  }));
});
