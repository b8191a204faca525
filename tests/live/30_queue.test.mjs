// Who runs when, and how it is stopped: the limits, busy threads, interrupts.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { LiveEnv, missing, withEnv } from '../support/live_env.mjs';

// Turns that stand still until they are let go; `names` are both prompts and holds.
class Held {
  constructor(env, client) {
    Object.assign(this, { env, client, ids: new Map() });
  }

  async start(name, args) {
    const { operationId } = await this.client.submit(`HOLD ${name}\nSAY let go of ${name}`, args);
    this.ids.set(name, operationId);
    await this.env.model.held(name);
    return operationId;
  }

  async release(name) {
    await this.env.model.release(name);
    const done = await this.client.wait(this.ids.get(name), 'completed');
    this.ids.delete(name);
    return done;
  }

  async releaseAll() {
    for (const name of [...this.ids.keys()]) await this.release(name);
  }
}

describe('limits', { skip: missing, timeout: 120000 }, () => {
  let env;
  let client;
  let held;

  before(async () => {
    env = await LiveEnv.start();
    client = await env.client();
    held = new Held(env, client);
    env.makeProject('beta');
  });
  after(() => env?.stop());

  const inBeta = () => ({ cwd: env.makeProject('beta') });

  // The operation waits for this reason, and runs once a slot is free.
  async function waitsFor(reason, prompt, args, release) {
    const { operationId } = await client.submit(prompt, args);
    const waiting = await client.queued(operationId, reason);
    assert.equal(waiting.nextRecommendedAction, 'wait_for_worker_slot');
    assert.equal(await env.asked(prompt), 0);
    await held.release(release);
    await client.wait(operationId, 'completed');
    assert.equal(await env.asked(prompt), 1);
    await held.releaseAll();
  }

  it('three turns in a project', async () => {
    for (const n of [1, 2, 3]) await held.start(`project-${n}`);
    await waitsFor('project_slot_limit', 'SAY the fourth of a project', {}, 'project-2');
  });

  it('four turns in all', async () => {
    for (const n of [1, 2]) await held.start(`global-${n}`);
    for (const n of [3, 4]) await held.start(`global-${n}`, inBeta());
    await waitsFor('global_slot_limit', 'SAY the fifth of all', {}, 'global-4');
  });

  it('three turns of an agent, none of whom is counted without a name', async () => {
    const agent = { agent_id: 'the-agent' };
    for (const n of [1, 2]) await held.start(`agent-${n}`, agent);
    await held.start('agent-3', { ...agent, ...inBeta() });
    await client.run('SAY without an agent', inBeta());
    await waitsFor('agent_slot_limit', 'SAY the fourth of an agent', { ...agent, ...inBeta() }, 'agent-1');
  });

  it('one turn in a thread: a message for a busy thread waits for its turn', async () => {
    const first = await client.run('SAY a thread to be busy in');
    await held.start('busy', { thread_id: first.threadId });
    await waitsFor('thread_slot_limit', 'SAY after the busy one', { thread_id: first.threadId }, 'busy');
    const { requests } = await env.model.requests({ contains: 'after the busy one' });
    assert.deepEqual(requests.map(({ thread, users }) => ({ thread, users })), [{ thread: first.threadId, users: 3 }]);
  });

  it('messages of one thread run in the order in which they came', async () => {
    const first = await client.run('SAY in order: 0');
    const acks = [];
    for (const n of [1, 2, 3, 4]) acks.push(await client.submit(`SAY in order: ${n}`, { thread_id: first.threadId }));
    for (const { operationId } of acks) await client.wait(operationId, 'completed');
    const { requests } = await env.model.requests({ contains: 'in order:' });
    assert.deepEqual(requests.map((request) => request.text.at(-1)), ['0', '1', '2', '3', '4']);
    assert.deepEqual(requests.map((request) => request.users), [1, 2, 3, 4, 5]);
  });
});

describe('writers', { skip: missing, timeout: 120000 }, () => {
  let env;
  let client;
  let held;

  before(async () => {
    env = await LiveEnv.start({ variables: { CODEX_MCP_MAX_ACTIVE_TURNS_PER_PROJECT: '4' } });
    client = await env.client();
    held = new Held(env, client);
  });
  after(() => env?.stop());

  const writer = { sandbox: 'workspace-write', approval_policy: 'never' };
  const keyed = (...keys) => ({ ...writer, resource_keys: keys });

  async function waitsFor(reason, prompt, args) {
    const { operationId } = await client.submit(prompt, args);
    const waiting = await client.queued(operationId, reason);
    assert.equal(waiting.nextRecommendedAction, 'wait_for_resource_lock');
    assert.equal(await env.asked(prompt), 0);
    return operationId;
  }

  it('one at a time in a project; readers run beside it, and other projects', async () => {
    await held.start('writer', writer);
    const second = await waitsFor('write_project_slot_limit', 'SAY the second writer', writer);
    await client.run('SAY a reader beside a writer');
    await client.run('SAY a writer elsewhere', { ...writer, cwd: env.makeProject('beta') });
    const queue = await client.ok('codex_get_queue_status');
    assert.deepEqual(queue.queueReasons, { write_project_slot_limit: 1 });
    assert.deepEqual(queue.blockedByLocks, [second]);
    await held.release('writer');
    await client.wait(second, 'completed');
    const idle = await client.ok('codex_get_queue_status');
    assert.deepEqual([idle.count, idle.nextRecommendedAction], [0, 'none']);
  });

  it('with different keys side by side; the same key, and one without, wait for their end', async () => {
    await held.start('docs', keyed('docs'));
    await held.start('core', keyed('core', 'api'));
    const running = await client.ok('codex_get_concurrency_status');
    assert.equal(running.counts.global, 2);
    const locks = running.resourceLocks.map(({ lockKey }) => lockKey.split(':').slice(-2, -1)[0]);
    assert.deepEqual(locks.filter((key) => !/^[0-9a-f-]{36}$/.test(key)).sort(), ['api', 'core', 'docs']);
    const again = await waitsFor('resource_lock_conflict', 'SAY the docs again', keyed('DOCS'));
    const broad = await waitsFor('resource_lock_conflict', 'SAY all of the project', writer);
    await held.release('docs');
    await client.wait(again, 'completed');
    assert.equal(await env.asked('all of the project'), 0);
    await held.release('core');
    await client.wait(broad, 'completed');
    const after = await client.ok('codex_get_concurrency_status');
    assert.deepEqual([after.resourceLockCount, after.activeTurnCount], [0, 0]);
  });

  it('a message that names no sandbox is what its thread is', async () => {
    const reader = await client.run('SAY a thread that reads');
    const wrote = await client.run('SAY a thread that writes', writer);
    await held.start('in-the-way', writer);
    await client.run('SAY read on', { thread_id: reader.threadId });
    const waiting = await waitsFor('write_project_slot_limit', 'SAY write on', { thread_id: wrote.threadId });
    await held.release('in-the-way');
    await client.wait(waiting, 'completed');
  });
});

describe('interrupting', { skip: missing, timeout: 120000 }, () => {
  let env;
  let client;
  let held;

  before(async () => {
    env = await LiveEnv.start({ variables: { CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL: '1' } });
    client = await env.client();
    held = new Held(env, client);
  });
  after(() => env?.stop());

  const interrupt = (args) => client.ok('codex_interrupt_turn', args);

  it('a queued one ends at once and never runs', async () => {
    await held.start('in-front');
    const { operationId } = await client.submit('SAY never to be said');
    await client.queued(operationId, 'global_slot_limit');
    const answer = await interrupt({ operation_id: operationId });
    assert.deepEqual([answer.interrupted, answer.status, answer.operationId], [true, 'interrupted', operationId]);
    const ended = await client.status(operationId);
    assert.equal(ended.status, 'interrupted');
    assert.equal(ended.reason, 'interrupted_by_request');
    await held.releaseAll();
    await client.run('SAY afterwards');
    assert.equal(await env.asked('never to be said'), 0);
  });

  it('a running one ends as interrupted; again changes nothing', async () => {
    const operationId = await held.start('running');
    const running = await client.poll(operationId, (status) => status.turnId, 'a turn');
    const answer = await interrupt({ operation_id: operationId });
    assert.deepEqual([answer.interrupted, answer.status], [true, 'interrupted']);
    assert.deepEqual(answer.interruptedTarget, {
      source: 'operation', operationId, threadId: running.threadId, turnId: running.turnId,
    });
    const ended = await client.status(operationId, { detail: 'full', include_events: true });
    assert.equal(ended.reason, 'interrupted_by_request');
    assert.ok(ended.interruptRequestedAt && ended.completedAt);
    assert.equal(ended.finalReport, undefined);
    const again = await interrupt({ operation_id: operationId });
    assert.deepEqual([again.interrupted, again.status], [true, 'interrupted']);
    const same = await client.status(operationId, { detail: 'full', include_events: true });
    assert.equal(same.updatedAt, ended.updatedAt);
    assert.equal(same.events.length, ended.events.length);
  });

  it('two clients at once: both are told, at once', async () => {
    const operationId = await held.start('by-two');
    await client.poll(operationId, (status) => status.turnId, 'a turn');
    const other = await env.client();
    const begin = performance.now();
    const answers = await Promise.all([client, other, client].map((one) => one.ok('codex_interrupt_turn', { operation_id: operationId })));
    assert.deepEqual(answers.map((answer) => answer.status), ['interrupted', 'interrupted', 'interrupted']);
    // Codex before 0.169 never answers an interrupt of a turn that was interrupted.
    assert.ok(performance.now() - begin < 5000);
    await other.close();
  });

  it('by thread and turn; the thread goes on after that', async () => {
    const operationId = await held.start('by-turn');
    const { threadId, turnId } = await client.poll(operationId, (status) => status.turnId, 'a turn');
    const answer = await interrupt({ thread_id: threadId, turn_id: turnId });
    assert.deepEqual([answer.interrupted, answer.operationId, answer.interruptedTarget.source], [true, operationId, 'direct']);
    const turn = await client.ok('codex_get_turn_status', { thread_id: threadId, turn_id: turnId });
    assert.equal(turn.status, 'interrupted');
    const next = await client.run('SAY gone on', { thread_id: threadId });
    assert.equal(next.finalReport.text, 'gone on');
  });

  it('one that has ended stays as it is', async () => {
    const done = await client.run('SAY already over');
    const answer = await interrupt({ operation_id: done.operationId });
    assert.deepEqual([answer.interrupted, answer.status], [false, 'completed']);
    assert.equal((await client.status(done.operationId)).finalReport.text, 'already over');
  });

  it('what nobody knows is refused', async () => {
    await client.refused('INVALID_ARGUMENT', 'codex_interrupt_turn', { operation_id: 'op_nothing' });
    await client.refused('INVALID_ARGUMENT', 'codex_interrupt_turn', {});
    await client.refused('CODEX_TURN_NOT_FOUND', 'codex_interrupt_turn', { thread_id: 'no', turn_id: 'nothing' });
  });

  it('another client may do it, and the one that waits is told', async () => {
    const operationId = await held.start('by-another');
    const other = await env.client();
    const waiting = client.wait(operationId, 'interrupted');
    await other.ok('codex_interrupt_turn', { operation_id: operationId });
    assert.equal((await waiting).reason, 'interrupted_by_request');
    await other.close();
  });
});

describe('interrupting in the middle of starting', { skip: missing, timeout: 120000 }, () => {
  it('ends it without a turn, or with an interrupted one', () => withEnv({}, async (env) => {
    const client = await env.client();
    const { operationId } = await client.submit('HOLD starting\nSAY not wanted');
    const answer = await client.ok('codex_interrupt_turn', { operation_id: operationId });
    assert.equal(answer.interrupted, true);
    assert.equal((await client.status(operationId)).status, 'interrupted');
    assert.equal((await client.run('SAY wanted')).finalReport.text, 'wanted');
    assert.ok(await env.asked('not wanted') <= 1);
  }));
});
