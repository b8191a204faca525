// What goes on after it was cut: by the death of Codex, or by the account's usage limit.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppServer, CODEX_VERSION, isSince, lacks } from '../support/codex_env.mjs';
import { missing, withEnv } from '../support/live_env.mjs';
import { killAndSee } from '../support/processes.mjs';

// What a continuation says to the model.
const GO_ON = 'finish the task';
const STDIO = { CODEX_MCP_APP_SERVER_TRANSPORT: 'stdio' };

const live = (name, options, body) => it(name, () => withEnv(options, body));

// The turns of a thread as Codex itself has them: status and our marks.
async function history(env, threadId) {
  const codex = await AppServer.start({ home: env.home, cwd: env.project });
  try {
    const { data } = await codex.request('thread/turns/list', { threadId, itemsView: 'full', sortDirection: 'asc' });
    return data.map(({ id, status, items }) => ({
      id, status, marks: items.filter((item) => item.type === 'userMessage').map((item) => item.clientId),
    }));
  } finally {
    await codex.stop();
  }
}

async function running(env, client, name, args) {
  const { operationId } = await client.submit(`HOLD ${name}\nSAY done`, args);
  await env.model.held(name);
  await client.poll(operationId, (status) => status.status === 'running' && status.turnId, 'a running turn');
  return operationId;
}

describe(`a turn that Codex ${CODEX_VERSION} cut`, { skip: missing || lacks(115, 'record of turns that were cut'), timeout: 120000 }, () => {
  for (const [transport, variables] of [['stdio', STDIO], ['the default transport', {}]]) {
    live(`goes on in one more turn of its thread: ${transport}`, { variables }, async (env) => {
      const client = await env.client();
      const operationId = await running(env, client, 'cut', { on_interruption: 'continue' });
      const cut = await client.status(operationId);
      await killAndSee((await client.health()).appServer.pid);
      const done = await client.wait(operationId, 'completed');
      assert.equal(done.threadId, cut.threadId);
      assert.notEqual(done.turnId, cut.turnId);
      assert.deepEqual([done.continuations, done.continuedTurnId, done.attemptCount], [1, cut.turnId, 1]);
      assert.ok(done.finalReport.text.length > 0);
      assert.equal(await env.asked('HOLD cut'), 1);
      assert.equal(await env.asked(GO_ON), 1);
      const [goOn] = (await env.model.requests({ contains: GO_ON })).requests;
      assert.equal(goOn.thread, cut.threadId);
      assert.equal(goOn.users, 2);
      if (!isSince(145)) return;
      await client.close();
      await env.stopWorker();
      assert.deepEqual(await history(env, cut.threadId), [
        { id: cut.turnId, status: 'interrupted', marks: [operationId] },
        { id: done.turnId, status: 'completed', marks: [`${operationId}:1`] },
      ]);
    });
  }

  live('with its worker goes on too', { variables: STDIO }, async (env) => {
    const client = await env.client();
    const operationId = await running(env, client, 'both', { on_interruption: 'continue', max_continuations: 3 });
    const [worker] = env.workers();
    await killAndSee(worker.pid);
    const done = await client.wait(operationId, 'completed');
    assert.equal(done.continuations, 1);
    assert.equal(await env.asked('HOLD both'), 1);
    assert.equal(await env.asked(GO_ON), 1);
  });

  live('is reported when nobody asked for more', { variables: STDIO }, async (env) => {
    const client = await env.client();
    const operationId = await running(env, client, 'reported', { on_interruption: 'report', max_continuations: 10 });
    await killAndSee((await client.health()).appServer.pid);
    assert.equal((await client.wait(operationId, 'interrupted')).reason, 'app_server_exit');
    assert.equal(await env.asked(GO_ON), 0);
  });
});

describe("the account's usage limit", { skip: missing, timeout: 120000 }, () => {
  live('is waited for, holds the queue, and the turn goes on once', {}, async (env) => {
    const client = await env.client();
    const { operationId } = await client.submit('FAIL usage:4');
    const waiting = await client.poll(operationId, (status) => status.status === 'waiting_for_quota', 'the limit');
    assert.equal(waiting.error.class, 'usageLimitExceeded');
    assert.equal(waiting.quota.windowMinutes, 300);
    assert.ok(waiting.nextAttemptAt > waiting.quota.resetsAt, JSON.stringify(waiting));
    assert.equal(waiting.nextRecommendedAction, 'wait_for_quota');
    const other = await client.submit('SAY after the limit');
    const held = await client.queued(other.operationId, 'waiting_for_quota');
    assert.equal(held.nextAttemptAt, waiting.nextAttemptAt);
    const done = await client.wait(operationId, 'completed');
    assert.ok(Date.parse(done.completedAt) >= Date.parse(waiting.quota.resetsAt));
    assert.deepEqual([done.quotaWaits, done.continuedTurnId, done.attemptCount], [1, waiting.continuedTurnId, 1]);
    await client.wait(other.operationId, 'completed');
    assert.equal(await env.asked('FAIL usage'), 1);
    assert.equal(await env.asked(GO_ON), 1);
    const asked = (await env.model.requests({})).requests.map((request) => request.text);
    assert.ok(asked.findIndex((text) => text.includes(GO_ON)) < asked.findIndex((text) => text.includes('after the limit')));
  });

  live('without a known end: an interrupt ends the wait, and the worker may die meanwhile', {}, async (env) => {
    const client = await env.client();
    const { operationId } = await client.submit('FAIL usage');
    const waiting = await client.poll(operationId, (status) => status.status === 'waiting_for_quota', 'the limit');
    assert.equal(waiting.quota, undefined);
    const [worker] = env.workers();
    await killAndSee(worker.pid);
    const other = await client.submit('SAY not held for ever');
    const held = await client.queued(other.operationId, 'waiting_for_quota');
    assert.equal(held.nextAttemptAt, waiting.nextAttemptAt);
    const { interrupted } = await client.ok('codex_interrupt_turn', { operation_id: operationId });
    assert.equal(interrupted, true);
    assert.equal((await client.wait(operationId, 'interrupted')).reason, 'interrupted_by_request');
    assert.equal((await client.wait(other.operationId, 'completed')).finalReport.text, 'not held for ever');
    assert.equal(await env.asked(GO_ON), 0);
  });
});
