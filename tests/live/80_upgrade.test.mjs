// A new version meets the state, the worker and the running turn of the previous one, and loses nothing.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { missing, withEnv } from '../support/live_env.mjs';
import { buildPrevious, previousIsMissing } from '../support/previous_build.mjs';

describe('upgrading', { skip: missing || previousIsMissing, timeout: 300000 }, () => {
  let previous;
  before(() => { previous = buildPrevious(); });
  after(() => previous?.remove());

  const live = (name, body) => it(name, () => withEnv({ variables: { CODEX_MCP_WORKER_IDLE_SECONDS: '60' } }, body));

  live('an idle worker of the previous version makes room; what it did is readable, its threads go on', async (env) => {
    const old = await env.client({ command: previous.program });
    const first = await old.run('SAY by the previous version', { client_request_id: 'before' });
    const { worker } = await old.health();
    const client = await env.client();
    assert.equal((await client.status(first.operationId)).finalReport.text, 'by the previous version');
    const second = await client.run('SAY by the new version', { thread_id: first.threadId });
    assert.equal(second.finalReport.text, 'by the new version');
    assert.equal(second.threadId, first.threadId);
    assert.notEqual((await client.health()).worker.pid, worker.pid);
    // A retry across the upgrade is the same operation.
    const again = await client.submit('SAY by the previous version', { client_request_id: 'before' });
    assert.deepEqual([again.operationId, again.idempotent], [first.operationId, true]);
    assert.equal(await env.asked('SAY by the previous version'), 1);
    // The clients that were there before go on, too.
    const third = await old.run('SAY a client of the previous version');
    assert.equal((await client.status(third.operationId)).finalReport.text, 'a client of the previous version');
    assert.equal(env.workers().length, 1);
  });

  live('a working one is left in peace until its turn has ended', async (env) => {
    const old = await env.client({ command: previous.program });
    const { operationId } = await old.submit('HOLD upgrade\nSAY undisturbed');
    await env.model.held('upgrade');
    const client = await env.client();
    const refused = await client.submitRefused('CODEX_STATE_BUSY', 'SAY too early', { client_request_id: 'early' });
    assert.equal(refused.error.retryable, true);
    assert.match(refused.error.message, /older version/);
    assert.equal((await client.status(operationId)).status, 'running');
    await env.model.release('upgrade');
    assert.equal((await client.wait(operationId, 'completed')).finalReport.text, 'undisturbed');
    const done = await client.run('SAY too early', { client_request_id: 'early' });
    assert.equal(done.finalReport.text, 'too early');
    assert.equal(await env.asked('HOLD upgrade'), 1);
  });
});
