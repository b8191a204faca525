// Processes that die: clients, the worker, app-server. Nothing acknowledged is lost, nothing runs twice.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { missing, withEnv } from '../support/live_env.mjs';
import { isAlive, killAndSee, until } from '../support/processes.mjs';

const TERMINAL = ['completed', 'failed', 'interrupted', 'unknown_after_app_server_exit'];
const PLENTY = { CODEX_MCP_MAX_ACTIVE_TURNS_PER_PROJECT: '64' };

const live = (name, options, body) => it(name, () => withEnv(options, body));

async function holdOne(env, client, name) {
  const { operationId } = await client.submit(`HOLD ${name}\nSAY let go of ${name}`);
  await env.model.held(name);
  await client.poll(operationId, (status) => status.status === 'running' && status.turnId, 'a running turn');
  return operationId;
}

// The timeline names one end, the one that the status has.
async function assertEndedOnce(client, operationId) {
  const { events, status } = await client.status(operationId, { include_events: true });
  const reached = events.filter((event) => event.category === 'operation_status').map((event) => event.text.split(' -> ')[1]);
  assert.deepEqual(reached.filter((phase) => TERMINAL.includes(phase)), [status], JSON.stringify(events));
  return status;
}

// Prompts "SAY task-NN.": each is one turn.
const names = (n) => Array.from({ length: n }, (_, i) => `task-${String(i).padStart(2, '0')}.`);

async function assertAskedOnce(env, prompts) {
  const counts = await Promise.all(prompts.map((prompt) => env.asked(prompt)));
  assert.deepEqual(counts, prompts.map(() => 1));
}

// The process dies while twenty short turns come and go. Only what ran just then may be interrupted.
async function dieAmongMany(env, client, pid) {
  const prompts = names(20);
  const submitted = await Promise.all(prompts.map((prompt) => client.submit(`WAIT 30;;SAY ${prompt}`)));
  await env.model.requests({ contains: 'task-', min: 6, timeoutMs: 20000 });
  await killAndSee(pid);
  for (const { operationId } of submitted) await client.wait(operationId);
  const statuses = await Promise.all(submitted.map(({ operationId }) => assertEndedOnce(client, operationId)));
  const counts = await Promise.all(prompts.map((prompt) => env.asked(prompt)));
  statuses.forEach((status, i) => {
    // A turn may be cut before it has asked the model.
    if (status === 'interrupted') assert.ok(counts[i] <= 1, `${prompts[i]} ${counts[i]} times`);
    else assert.deepEqual([status, counts[i]], ['completed', 1], prompts[i]);
  });
  assert.ok(statuses.filter((status) => status === 'interrupted').length <= 4, statuses.join());
}

describe('the client dies', { skip: missing, timeout: 120000 }, () => {
  live('while the turn runs: the turn completes and the next client reads the report', {}, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'orphan');
    const [worker] = env.workers();
    await client.kill();
    assert.ok(isAlive(worker.pid));
    await env.model.release('orphan');
    const next = await env.client();
    const done = await next.wait(operationId, 'completed');
    assert.equal(done.finalReport.text, 'let go of orphan');
    assert.equal((await next.health()).worker.pid, worker.pid);
    assert.equal(await env.asked('HOLD orphan'), 1);
  });

  live('before the turn has started: it runs all the same', {}, async (env) => {
    const client = await env.client();
    const { operationId } = await client.submit('SAY without a client');
    await client.kill();
    const next = await env.client();
    assert.equal((await next.wait(operationId, 'completed')).finalReport.text, 'without a client');
    assert.equal(await env.asked('without a client'), 1);
  });

  live('while it leaves in order: a running worker goes on alone, until it is idle', {
    variables: { CODEX_MCP_WORKER_IDLE_SECONDS: '1' },
  }, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'left');
    await client.close();
    await env.model.release('left');
    await until(() => !env.workers().length && !env.appServers().length, 'the idle worker to leave');
    const reader = await env.client();
    assert.equal((await reader.status(operationId)).finalReport.text, 'let go of left');
    assert.deepEqual(env.workers(), []);
  });
});

describe('app-server dies', { skip: missing, timeout: 120000 }, () => {
  live('while a turn runs: the operation is interrupted, the next task works', {}, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'cut');
    const before = (await client.health()).appServer;
    assert.deepEqual(env.appServers().map(({ pid }) => pid), [before.pid]);
    await killAndSee(before.pid);
    const ended = await client.wait(operationId, 'interrupted');
    assert.equal(ended.reason, 'app_server_exit');
    assert.equal(await assertEndedOnce(client, operationId), 'interrupted');
    const next = await client.run('SAY with a new one');
    assert.equal(next.finalReport.text, 'with a new one');
    const after = (await client.health()).appServer;
    assert.notEqual(after.pid, before.pid);
    assert.notEqual(after.instance, before.instance);
    const inThread = await client.run('SAY in the old thread', { thread_id: ended.threadId });
    assert.equal(inThread.threadId, ended.threadId);
    assert.equal(await env.asked('HOLD cut'), 1);
  });

  live('while twenty are queued: all end, none runs twice', { variables: PLENTY }, async (env) => {
    const client = await env.client();
    const held = [];
    for (const n of [1, 2, 3, 4]) held.push(await holdOne(env, client, `held-${n}.`));
    const prompts = names(20);
    const queued = await Promise.all(prompts.map((prompt) => client.submit(`SAY ${prompt}`)));
    await client.queued(queued[19].operationId, 'global_slot_limit');
    await killAndSee((await client.health()).appServer.pid);
    for (const operationId of held) assert.equal((await client.wait(operationId, 'interrupted')).reason, 'app_server_exit');
    for (const { operationId } of queued) await client.wait(operationId, 'completed');
    await assertAskedOnce(env, [...prompts, ...[1, 2, 3, 4].map((n) => `held-${n}.`)]);
    assert.equal(env.appServers().length, 1);
  });

  live('in the middle of many short turns: each ends once, none runs twice', { variables: PLENTY }, async (env) => {
    const client = await env.client();
    await client.run('SAY warm');
    await dieAmongMany(env, client, (await client.health()).appServer.pid);
  });
});

describe('the worker dies', { skip: missing, timeout: 120000 }, () => {
  live('while a turn runs: a poll brings another, the operation ends once, the next task works', {}, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'worker-cut');
    const { pid } = (await client.health()).worker;
    await killAndSee(pid);
    const ended = await client.poll(operationId, (status) => TERMINAL.includes(status.status), 'the end');
    assert.deepEqual([ended.status, ended.reason], ['interrupted', 'app_server_exit']);
    assert.equal(await assertEndedOnce(client, operationId), 'interrupted');
    const { worker } = await client.health();
    assert.notEqual(worker.pid, pid);
    assert.equal(worker.connected, true);
    assert.equal((await client.run('SAY with a new worker')).finalReport.text, 'with a new worker');
    assert.equal(await env.asked('HOLD worker-cut'), 1);
    assert.equal(env.appServers().length, 1);
  });

  live('while nobody looks: a client that comes later and only polls brings another', {}, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'nobody');
    const { operationId: queued } = await client.submit('SAY still to be done', { thread_id: (await client.status(operationId)).threadId });
    const { pid } = (await client.health()).worker;
    await client.close();
    await killAndSee(pid);
    await until(() => !env.appServers().length, 'its app-server to end');
    assert.deepEqual(env.workers(), []);
    const poller = await env.client();
    const done = await poller.poll(queued, (status) => TERMINAL.includes(status.status), 'the end');
    assert.equal(done.finalReport?.text, 'still to be done', JSON.stringify(done));
    assert.equal((await poller.status(operationId)).reason, 'app_server_exit');
    assert.equal(await env.asked('still to be done'), 1);
  });

  live('while others are queued: they complete, each prompt once', { variables: PLENTY }, async (env) => {
    const client = await env.client();
    const held = [];
    for (const n of [1, 2, 3, 4]) held.push(await holdOne(env, client, `worker-held-${n}.`));
    const prompts = names(12);
    const queued = await Promise.all(prompts.map((prompt) => client.submit(`SAY ${prompt}`)));
    await killAndSee((await client.health()).worker.pid);
    for (const { operationId } of queued) await client.wait(operationId, 'completed');
    for (const operationId of held) await client.wait(operationId, 'interrupted');
    await assertAskedOnce(env, [...prompts, ...[1, 2, 3, 4].map((n) => `worker-held-${n}.`)]);
    assert.equal(env.workers().length, 1);
  });

  live('in the middle of many short turns: each ends once, none runs twice', { variables: PLENTY }, async (env) => {
    const client = await env.client();
    await client.run('SAY warm');
    await dieAmongMany(env, client, (await client.health()).worker.pid);
  });
});
