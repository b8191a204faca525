// Processes that die: clients, the worker, app-server. Nothing acknowledged is lost, nothing runs twice.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CUT, isSince } from '../support/codex_env.mjs';
import { missing, socketIsMissing, withEnv } from '../support/live_env.mjs';
import { isAlive, killAndSee, until } from '../support/processes.mjs';

const TERMINAL = ['completed', 'failed', 'interrupted', 'unknown_after_app_server_exit'];
// Before 0.146 it does not tell either how one ended that was over just then.
const UNTOLD = isSince(146) ? [CUT[0]] : [CUT[0], 'unknown_after_app_server_exit'];
const STDIO = { CODEX_MCP_APP_SERVER_TRANSPORT: 'stdio' };
const PLENTY = { CODEX_MCP_MAX_ACTIVE_TURNS_PER_PROJECT: '64' };

const live = (name, { skip = false, ...options }, body) => it(name, { skip }, () => withEnv(options, body));

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

async function timelines(client, acks) {
  const all = await Promise.all(acks.map(({ operationId }) => client.status(operationId, { include_events: true })));
  return all.map(({ operationId, events }) => `${operationId}: ${events.map((event) => `${event.createdAt} ${event.text} (${event.details?.event})`).join(', ')}`).join('\n');
}

// The process dies while twenty short turns come and go. Only what ran just then may be interrupted.
async function dieAmongMany(env, client, pid, { interrupted = 4 } = {}) {
  const prompts = names(20);
  const submitted = await Promise.all(prompts.map((prompt) => client.submit(`WAIT 30;;SAY ${prompt}`)));
  await env.model.requests({ contains: 'task-', min: 6, timeoutMs: 20000 });
  await killAndSee(pid);
  for (const { operationId } of submitted) await client.wait(operationId);
  const statuses = await Promise.all(submitted.map(({ operationId }) => assertEndedOnce(client, operationId)));
  const counts = await Promise.all(prompts.map((prompt) => env.asked(prompt)));
  statuses.forEach((status, i) => {
    // A turn may be cut before it has asked the model.
    if (UNTOLD.includes(status)) assert.ok(counts[i] <= 1, `${prompts[i]} ${counts[i]} times`);
    else assert.deepEqual([status, counts[i]], ['completed', 1], prompts[i]);
  });
  const cut = submitted.filter((_, i) => UNTOLD.includes(statuses[i]));
  assert.ok(cut.length <= interrupted, await timelines(client, cut));
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
    const ended = await client.wait(operationId);
    assert.deepEqual([ended.status, ended.reason], CUT);
    if (!isSince(115)) assert.equal(ended.error.code, 'CODEX_UNSUPPORTED_BY_CODEX_VERSION');
    assert.equal(await assertEndedOnce(client, operationId), CUT[0]);
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
    for (const operationId of held) assert.equal((await client.wait(operationId, CUT[0])).reason, CUT[1]);
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

describe('the worker dies, app-server on its socket lives on', { skip: socketIsMissing, timeout: 120000 }, () => {
  live('while a turn runs: the turn never notices', {}, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'outlived');
    const { worker, appServer } = await client.health();
    assert.equal(appServer.transport, 'unix');
    await killAndSee(worker.pid);
    await env.model.release('outlived');
    const done = await client.wait(operationId, 'completed');
    assert.equal(done.finalReport.text, 'let go of outlived');
    assert.equal(done.attemptCount, 1);
    assert.equal(await assertEndedOnce(client, operationId), 'completed');
    const after = await client.health();
    assert.notEqual(after.worker.pid, worker.pid);
    assert.deepEqual([after.appServer.pid, after.appServer.instance], [appServer.pid, appServer.instance]);
    assert.equal(await env.asked('HOLD outlived'), 1);
  });

  live('and the turn ends while nobody is connected: the next worker finds its end', {}, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'unheard');
    const { worker } = await client.health();
    await client.close();
    await killAndSee(worker.pid);
    await env.model.release('unheard');
    await env.model.requests({ contains: 'HOLD unheard', min: 1 });
    const poller = await env.client();
    const done = await poller.poll(operationId, (status) => TERMINAL.includes(status.status), 'the end');
    assert.deepEqual([done.status, done.finalReport?.text], ['completed', 'let go of unheard'], JSON.stringify(done));
    assert.equal(await env.asked('HOLD unheard'), 1);
  });

  live('and the turn fails while nobody is connected: that is no success', {}, async (env) => {
    const client = await env.client();
    const { operationId } = await client.submit('SAY so far\nHOLD doomed\nFAIL context');
    await env.model.held('doomed');
    await client.poll(operationId, (status) => status.status === 'running' && status.turnId, 'a running turn');
    const { worker } = await client.health();
    await client.close();
    await killAndSee(worker.pid);
    await env.model.release('doomed');
    await env.model.requests({ contains: 'doomed', min: 1 });
    const poller = await env.client();
    const done = await poller.poll(operationId, (status) => TERMINAL.includes(status.status), 'the end');
    assert.equal(done.status, 'failed', JSON.stringify(done));
  });

  live('what was said in between is not lost', {}, async (env) => {
    const client = await env.client();
    const { operationId } = await client.submit('SAY before\nHOLD between\nSAY after');
    await env.model.held('between');
    await killAndSee((await client.health()).worker.pid);
    await env.model.release('between');
    const done = await client.wait(operationId, 'completed');
    assert.ok(done.finalReport.text.includes('after'));
  });

  live('and the turn asks for an approval meanwhile: it is asked again, answered, and the turn goes on', {}, async (env) => {
    const client = await env.client();
    const { operationId } = await client.submit('HOLD asking\nESCALATE touch escalated\nSAY nobody was asked');
    await env.model.held('asking');
    await client.poll(operationId, (status) => status.status === 'running' && status.turnId, 'a running turn');
    const { worker, appServer } = await client.health();
    await client.close();
    await killAndSee(worker.pid);
    await env.model.release('asking');
    const next = await env.client();
    const done = await next.poll(operationId, (status) => TERMINAL.includes(status.status), 'the end');
    assert.deepEqual([done.status, done.crashCount ?? 0], ['completed', 0], JSON.stringify(done));
    assert.ok(done.finalReport.text.includes('nobody was asked'), done.finalReport.text);
    const { events } = await next.status(operationId, { include_events: true });
    const answered = events.filter((event) => event.category === 'interaction').map((event) => event.text);
    assert.deepEqual(answered, ['item/commandExecution/requestApproval: answered safely']);
    assert.equal((await next.health()).appServer.instance, appServer.instance);
    assert.ok(!existsSync(join(env.project, 'escalated')));
  });

  live('while others are queued: all complete, each prompt once', { variables: PLENTY }, async (env) => {
    const client = await env.client();
    const held = [];
    for (const n of [1, 2, 3, 4]) held.push(await holdOne(env, client, `kept-${n}.`));
    const prompts = names(12);
    const queued = await Promise.all(prompts.map((prompt) => client.submit(`SAY ${prompt}`)));
    await killAndSee((await client.health()).worker.pid);
    for (const n of [1, 2, 3, 4]) await env.model.release(`kept-${n}.`);
    for (const operationId of [...held, ...queued.map((ack) => ack.operationId)]) await client.wait(operationId, 'completed');
    await assertAskedOnce(env, [...prompts, ...[1, 2, 3, 4].map((n) => `kept-${n}.`)]);
    assert.deepEqual([env.workers().length, env.appServers().length], [1, 1]);
  });

  live('in the middle of many short turns: all complete, none runs twice', { variables: PLENTY }, async (env) => {
    const client = await env.client();
    await client.run('SAY warm');
    await dieAmongMany(env, client, (await client.health()).worker.pid, { interrupted: 0 });
  });

  live('again and again: one app-server, one turn', {}, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'often');
    const { appServer } = await client.health();
    for (let i = 0; i < 4; i += 1) {
      const before = (await client.health()).worker.pid;
      await killAndSee(before);
      await until(async () => {
        const { worker } = await client.health();
        return worker.connected && worker.pid !== before;
      }, 'another worker');
      await client.poll(operationId, (status) => status.phase === 'running', 'the running turn');
    }
    await env.model.release('often');
    assert.equal((await client.wait(operationId, 'completed')).crashCount ?? 0, 0);
    assert.equal((await client.health()).appServer.pid, appServer.pid);
    assert.equal(await env.asked('HOLD often'), 1);
  });
});

describe('the worker is told to end', { skip: missing, timeout: 120000 }, () => {
  live('on a socket: at once, its turn goes on', { skip: socketIsMissing }, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'handed');
    const { worker, appServer } = await client.health();
    await client.close();
    await killAndSee(worker.pid, 'SIGTERM');
    assert.deepEqual(env.appServers().map(({ pid }) => pid), [appServer.pid]);
    const next = await env.client();
    await next.poll(operationId, (status) => status.phase === 'running', 'the running turn');
    await env.model.release('handed');
    assert.equal((await next.wait(operationId, 'completed')).finalReport.text, 'let go of handed');
    assert.equal(await env.asked('HOLD handed'), 1);
  });

  live('on stdio: its turn ends by itself, the queue waits for the next worker', { variables: STDIO }, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'drained');
    const { threadId } = await client.status(operationId);
    const { worker } = await client.health();
    process.kill(worker.pid, 'SIGTERM');
    const { operationId: queued } = await client.submit('SAY by the next one', { thread_id: threadId });
    assert.ok(isAlive(worker.pid));
    await env.model.release('drained');
    assert.equal((await client.wait(operationId, 'completed')).finalReport.text, 'let go of drained');
    assert.equal((await client.wait(queued, 'completed')).finalReport.text, 'by the next one');
    assert.notEqual((await client.health()).worker.pid, worker.pid);
  });

  live('on stdio, past its time: the turn is interrupted, once', {
    variables: { ...STDIO, CODEX_MCP_WORKER_DRAIN_SECONDS: '0' },
  }, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'endless');
    await killAndSee((await client.health()).worker.pid, 'SIGTERM');
    assert.equal((await client.wait(operationId, CUT[0])).reason, CUT[1]);
    assert.equal(await env.asked('HOLD endless'), 1);
  });

  live('with nothing to do: app-server goes too', {}, async (env) => {
    const client = await env.client();
    await client.run('SAY done');
    await killAndSee((await client.health()).worker.pid, 'SIGTERM');
    assert.deepEqual(env.appServers(), []);
  });
});

describe('the worker dies, app-server on stdio with it', { skip: missing, timeout: 120000 }, () => {
  live('while a turn runs: a poll brings another, the operation ends once, the next task works', {
    variables: STDIO,
  }, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'worker-cut');
    const { pid } = (await client.health()).worker;
    await killAndSee(pid);
    const ended = await client.poll(operationId, (status) => TERMINAL.includes(status.status), 'the end');
    assert.deepEqual([ended.status, ended.reason], CUT);
    assert.equal(await assertEndedOnce(client, operationId), CUT[0]);
    const { worker } = await client.health();
    assert.notEqual(worker.pid, pid);
    assert.equal(worker.connected, true);
    assert.equal((await client.run('SAY with a new worker')).finalReport.text, 'with a new worker');
    assert.equal(await env.asked('HOLD worker-cut'), 1);
    assert.equal(env.appServers().length, 1);
  });

  live('while nobody looks: a client that comes later and only polls brings another', {
    variables: STDIO,
  }, async (env) => {
    const client = await env.client();
    const operationId = await holdOne(env, client, 'nobody');
    const { operationId: queued } = await client.submit('SAY still to be done', { thread_id: (await client.status(operationId)).threadId });
    const { pid } = (await client.health()).worker;
    await client.close();
    await killAndSee(pid);
    // Before 0.115 it would go on to the end of its turn; then the next worker ends it.
    if (isSince(115)) await until(() => !env.appServers().length, 'its app-server to end');
    assert.deepEqual(env.workers(), []);
    const poller = await env.client();
    const done = await poller.poll(queued, (status) => TERMINAL.includes(status.status), 'the end');
    assert.equal(done.finalReport?.text, 'still to be done', JSON.stringify(done));
    assert.equal((await poller.status(operationId)).reason, CUT[1]);
    assert.equal(await env.asked('still to be done'), 1);
  });

  live('while others are queued: they complete, each prompt once', {
    variables: { ...PLENTY, ...STDIO },
  }, async (env) => {
    const client = await env.client();
    const held = [];
    for (const n of [1, 2, 3, 4]) held.push(await holdOne(env, client, `worker-held-${n}.`));
    const prompts = names(12);
    const queued = await Promise.all(prompts.map((prompt) => client.submit(`SAY ${prompt}`)));
    await killAndSee((await client.health()).worker.pid);
    for (const { operationId } of queued) await client.wait(operationId, 'completed');
    for (const operationId of held) await client.wait(operationId, CUT[0]);
    await assertAskedOnce(env, [...prompts, ...[1, 2, 3, 4].map((n) => `worker-held-${n}.`)]);
    assert.equal(env.workers().length, 1);
  });

  live('in the middle of many short turns: each ends once, none runs twice', {
    variables: { ...PLENTY, ...STDIO },
  }, async (env) => {
    const client = await env.client();
    await client.run('SAY warm');
    await dieAmongMany(env, client, (await client.health()).worker.pid);
  });
});
