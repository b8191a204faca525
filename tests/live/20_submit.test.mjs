// What may be submitted, and what a repeated or similar one does.

import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeCodexHome, removeDir } from '../support/codex_env.mjs';
import { LiveEnv, missing, withEnv } from '../support/live_env.mjs';

describe('submitting again', { skip: missing, timeout: 120000 }, () => {
  let env;
  let client;

  before(async () => {
    env = await LiveEnv.start();
    client = await env.client();
  });
  after(() => env?.stop());

  it('a retry is the same operation and no second turn, also after the server was started again', async () => {
    const id = { client_request_id: 'retried' };
    const first = await client.submit('HOLD retried\nSAY once', id);
    await env.model.held('retried');
    const running = await client.submit('HOLD retried\nSAY once', id);
    assert.deepEqual([running.operationId, running.idempotent, running.idempotencyScope], [first.operationId, true, 'operation']);
    await env.model.release('retried');
    await client.wait(first.operationId, 'completed');
    await client.kill();
    client = await env.client();
    // What does not change the meaning may differ.
    const ended = await client.submit('HOLD retried\nSAY once', { ...id, title: 'Again', priority: 'high', timeout_seconds: 60 });
    assert.deepEqual([ended.operationId, ended.idempotent, ended.status], [first.operationId, true, 'completed']);
    assert.equal(ended.finalReport.text, 'once');
    assert.equal(await env.asked('HOLD retried'), 1);
  });

  it('two clients that race with the same id get the same operation', async () => {
    const other = await env.client();
    const submits = [client, other, client, other].map((c) => c.submit('SAY raced', { client_request_id: 'race' }));
    const ids = new Set((await Promise.all(submits)).map((ack) => ack.operationId));
    assert.equal(ids.size, 1);
    await client.wait([...ids][0], 'completed');
    assert.equal(await env.asked('SAY raced'), 1);
    await other.close();
  });

  it('the same id with another meaning is a conflict that says what differs', async () => {
    const first = await client.submit('SAY meant so', { client_request_id: 'meant' });
    const other = env.makeProject('beta');
    const { error } = await client.submitRefused('CODEX_IDEMPOTENCY_CONFLICT', 'SAY meant otherwise', {
      client_request_id: 'meant', cwd: other, sandbox: 'workspace-write',
    });
    assert.equal(error.retryable, false);
    assert.equal(error.details.existingOperationId, first.operationId);
    assert.deepEqual([...error.details.differs].sort(), ['cwd', 'message', 'sandbox']);
    await client.wait(first.operationId, 'completed');
    assert.equal(await env.asked('SAY meant otherwise'), 0);
  });

  it('the same prompt is refused while it is worked on, with the operation that does', async () => {
    const first = await client.submit('HOLD same\nSAY The Same');
    await env.model.held('same');
    await client.poll(first.operationId, (status) => status.status === 'running', 'running');
    // Case and blanks do not make another prompt.
    const refused = await client.submitRefused('CODEX_DUPLICATE_PROMPT_ACTIVE', '  hold same\n\nsay   the same ');
    assert.equal(refused.operationId, first.operationId);
    assert.equal(refused.error.details.operationId, first.operationId);
    assert.equal(refused.error.details.existingStatus, 'running');
    const unguarded = await client.submit('HOLD same\nSAY The Same', { dedup_policy: 'idempotency_only' });
    assert.notEqual(unguarded.operationId, first.operationId);
    const elsewhere = await client.submit('HOLD same\nSAY The Same', { cwd: env.makeProject('gamma') });
    assert.notEqual(elsewhere.operationId, first.operationId);
    const all = [first, unguarded, elsewhere];
    for (const _ of all) await env.model.release('same');
    for (const { operationId } of all) await client.wait(operationId, 'completed');
    // Nobody works on it any more.
    await env.model.release('same');
    await client.run('HOLD same\nSAY The Same');
    assert.equal(await env.asked('HOLD same'), 4);
  });

  it('a similar prompt is accepted with a warning', async () => {
    const prompt = (n) => `Please fix every failing unit test of the module number ${n} and report.\nHOLD similar-${n}`;
    const first = await client.submit(prompt(17));
    await env.model.held('similar-17');
    const second = await client.submit(prompt(18));
    assert.deepEqual(second.similarActiveOperations.map((similar) => similar.operationId), [first.operationId]);
    assert.ok(second.similarActiveOperations[0].similarityPercent >= 95);
    assert.equal(first.similarActiveOperations, undefined);
    await env.model.release('similar-17');
    await env.model.release('similar-18');
    for (const { operationId } of [first, second]) await client.wait(operationId, 'completed');
  });
});

describe('where a task may run', { skip: missing, timeout: 120000 }, () => {
  let env;
  let client;

  before(async () => {
    env = await LiveEnv.start();
    client = await env.client();
  });
  after(() => env?.stop());

  it('not outside of the allowed roots, not through a link that leads out', async () => {
    const outside = join(env.dir, 'outside');
    const link = join(env.project, 'link');
    mkdirSync(outside);
    symlinkSync(outside, link);
    for (const cwd of [outside, link, '/', join(env.project, '..', '..', 'outside')]) {
      const { error } = await client.submitRefused('INVALID_ARGUMENT', `SAY in ${cwd}`, { cwd });
      assert.equal(error.details.argument, 'cwd', cwd);
    }
    await client.submitRefused('INVALID_ARGUMENT', 'SAY nowhere', { cwd: join(env.project, 'not-there') });
    assert.equal(await env.asked('SAY in'), 0);
  });

  it('a project alone is enough, together with a cwd both must agree', async () => {
    const beta = env.makeProject('beta');
    const { projects } = await client.ok('codex_list_projects');
    const idOf = (path) => projects.find((project) => project.name === basename(path)).projectId;
    const alone = await client.run('RUN pwd', { project_id: idOf(env.project), sandbox: 'danger-full-access', approval_policy: 'never' });
    assert.equal(alone.projectId, idOf(env.project));
    assert.match(alone.finalReport.text, new RegExp(`^${env.project}$`, 'm'));
    const inside = join(env.project, 'src');
    mkdirSync(inside);
    const both = await client.run('SAY both', { project_id: idOf(env.project), cwd: inside });
    assert.equal((await client.status(both.operationId, { detail: 'full' })).cwd, inside);
    assert.equal(both.projectId, idOf(env.project));
    await client.submitRefused('INVALID_ARGUMENT', 'SAY neither', { project_id: idOf(env.project), cwd: beta });
    await client.submitRefused('CODEX_PROJECT_NOT_FOUND', 'SAY nothing', { project_id: `prj_${'0'.repeat(32)}` });
  });

  it('a message needs no place: it goes where its thread is', async () => {
    const first = await client.run('SAY placed');
    const second = await client.run('SAY found', { thread_id: first.threadId, cwd: undefined });
    assert.equal(second.projectId, first.projectId);
    assert.equal((await client.status(second.operationId, { detail: 'full' })).cwd, env.project);
  });

  it('a place that leads out by the time of the turn is not gone to', async () => {
    const place = join(env.project, 'swapped');
    mkdirSync(place);
    const held = [];
    for (const n of [1, 2, 3]) held.push(await client.submit(`HOLD swap-${n}`));
    const waiting = await client.submit('SAY in the swapped place', { cwd: place });
    await client.queued(waiting.operationId, 'project_slot_limit');
    rmdirSync(place);
    symlinkSync(env.dir, place);
    for (const n of [1, 2, 3]) await env.model.release(`swap-${n}`);
    const { error } = await client.wait(waiting.operationId, 'failed');
    assert.match(error.message, /swapped/);
    assert.equal(await env.asked('in the swapped place'), 0);
    for (const { operationId } of held) await client.wait(operationId, 'completed');
  });

  it('a wrong argument is named, with what is near', async () => {
    const { error } = await client.submitRefused('INVALID_ARGUMENT', 'SAY x', { sandbx: 'read-only' });
    assert.equal(error.details.argument, 'sandbx');
    assert.equal(error.details.didYouMean, 'sandbox');
    assert.ok(error.details.expected);
  });

  it('a thread that Codex does not know fails, and says so', async () => {
    const thread = '01a1f85a-0000-7000-8000-000000000000';
    const { operationId } = await client.submit('SAY to nobody', { thread_id: thread, cwd: env.project });
    const { error } = await client.wait(operationId, 'failed');
    assert.equal(error.code, 'CODEX_THREAD_NOT_FOUND');
    assert.equal(error.retryable, false);
    assert.equal(await env.asked('to nobody'), 0);
  });
});

describe('whose Codex it is', { skip: missing, timeout: 120000 }, () => {
  it('a database belongs to one Codex home; another is refused, reading goes on', () => withEnv({}, async (env) => {
    const client = await env.client();
    const done = await client.run('SAY at home');
    const place = join(env.dir, 'another');
    const home = makeCodexHome(place, env.model.port);
    const stranger = await env.client({ variables: { CODEX_HOME: home } });
    const { error } = await stranger.submitRefused('CODEX_CONFIG_MISMATCH', 'SAY not at home');
    assert.equal(error.retryable, false);
    const told = JSON.stringify(error);
    for (const path of [home, env.home]) assert.ok(told.includes(path), told);
    assert.equal((await stranger.status(done.operationId)).finalReport.text, 'at home');
    assert.equal(await env.asked('not at home'), 0);
    removeDir(place);
  }));
});
