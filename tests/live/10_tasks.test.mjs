// A task from submit to its report, and everything that a report may look like.

import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isSince } from '../support/codex_env.mjs';
import { compileOutput, LiveEnv, missing, withEnv } from '../support/live_env.mjs';

describe('a task', { skip: missing, timeout: 120000 }, () => {
  let env;
  let client;

  before(async () => {
    env = await LiveEnv.start();
    client = await env.client();
  });
  after(() => env?.stop());

  it('is acknowledged, runs once and has a report', async () => {
    const ack = await client.submit('SAY the report', { title: 'First', client_request_id: 'first' });
    assert.equal(ack.status, 'queued');
    assert.equal(ack.idempotent, false);
    assert.equal(ack.pollRecommended, true);
    const done = await client.wait(ack.operationId, 'completed');
    assert.equal(done.operationId, ack.operationId);
    assert.equal(done.phase, 'completed');
    assert.equal(done.attemptCount, 1);
    assert.equal(done.pollRecommended, false);
    assert.equal(done.nextRecommendedAction, 'read_final_report');
    assert.equal(done.finalReport.text, 'the report');
    assert.deepEqual([done.finalReport.threadId, done.finalReport.turnId], [done.threadId, done.turnId]);
    assert.ok(done.threadId && done.turnId);
    assert.equal(done.error, undefined);
    assert.deepEqual(done.requested, { sandbox: 'read-only', approvalPolicy: 'on-request' });
    assert.equal(done.effective.sandbox, 'read-only');
    assert.equal(done.tokenUsage.precision, 'coarse');
    assert.equal(await env.asked('the report'), 1);
    const full = await client.status(ack.operationId, { detail: 'full', include_events: true });
    assert.equal(full.title, 'First');
    assert.equal(full.clientRequestId, 'first');
    assert.equal(full.cwd, env.project);
    assert.equal(full.latestMessages.at(-1).text, 'the report');
    assert.ok(full.events.some((event) => event.text === 'submitted'));
    const turn = await client.ok('codex_get_turn_status', { turn_id: done.turnId, thread_id: done.threadId });
    assert.equal(turn.status, 'completed');
    assert.equal(turn.completionObserved, true);
    assert.equal(turn.operationId, ack.operationId);
    assert.equal(turn.finalMessage, 'the report');
  });

  it('shows that it runs, and what it has said so far', async () => {
    const ack = await client.submit('SAY half of it\nHOLD half\nSAY the other half');
    await env.model.held('half');
    const running = await client.poll(ack.operationId, (status) => status.status === 'running'
      && status.latestMessages?.[0].text === 'half of it', 'the first message');
    assert.equal(running.finalReport, undefined);
    assert.equal(running.nextRecommendedAction, 'poll_turn_status');
    assert.ok(JSON.stringify(running).length <= 1500, `${JSON.stringify(running).length} bytes`);
    const health = await client.health();
    assert.equal(health.overallStatus, 'healthy');
    assert.equal(health.activeWork.runningOperationCount, 1);
    assert.equal(health.activeWork.operations[0].operationId, ack.operationId);
    await env.model.release('half');
    assert.equal((await client.wait(ack.operationId, 'completed')).finalReport.text, 'the other half');
  });

  it('is waited for with progress, at most as long as asked', async () => {
    const ack = await client.submit('HOLD waiting\nSAY waited for');
    await env.model.held('waiting');
    await client.poll(ack.operationId, (status) => status.status === 'running', 'running');
    const told = [];
    const present = await client.ok('codex_wait', { operation_id: ack.operationId, timeout_seconds: 1 }, {
      onprogress: (progress) => told.push(progress),
    });
    assert.deepEqual(present.waited, { reason: 'timeout', seconds: 1 });
    assert.equal(present.status, 'running');
    assert.match(told[0].message, /^running/);
    const waiting = client.wait(ack.operationId, 'completed');
    await env.model.release('waiting');
    assert.equal((await waiting).finalReport.text, 'waited for');
  });

  it('a wait that is given up does not touch the operation', async () => {
    const ack = await client.submit('HOLD given-up\nSAY still there');
    await env.model.held('given-up');
    const controller = new AbortController();
    const waiting = client.call('codex_wait', { operation_id: ack.operationId, timeout_seconds: 40 }, {
      signal: controller.signal, onprogress: () => controller.abort('enough'),
    });
    await assert.rejects(waiting);
    await env.model.release('given-up');
    assert.equal((await client.wait(ack.operationId, 'completed')).finalReport.text, 'still there');
  });

  for (const [name, prompt, structured] of [
    ['JSON', 'JSON {"verdict":"good","files":[1,2]}', { verdict: 'good', files: [1, 2] }],
    ['a fenced block', 'SAY The result:\\n```json\\n{"verdict": "fenced"}\\n```\\nThat is all.', { verdict: 'fenced' }],
  ]) {
    it(`a report that is ${name} has its structure beside the text`, async () => {
      const { finalReport } = await client.run(prompt);
      assert.deepEqual(finalReport.structured, structured);
      assert.equal(finalReport.structuredStatus, 'parsed');
      assert.match(finalReport.text, /verdict/);
    });
  }

  it('plain text has no structure', async () => {
    const { finalReport } = await client.run('SAY no {braces} to see');
    assert.equal(finalReport.structured, undefined);
    assert.equal(finalReport.text, 'no {braces} to see');
  });

  it('an output schema reaches the model and its answer is structured', async () => {
    const schema = { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'], additionalProperties: false };
    const { finalReport } = await client.run('Answer by the schema, please.', { output_schema: schema });
    assert.deepEqual(finalReport.structured, { answer: 'scripted answer' });
    const { requests } = await env.model.requests({ contains: 'Answer by the schema' });
    assert.deepEqual(requests.map((request) => request.schema), [true]);
  });

  it('a message after the end goes into the same thread, under the policy of the thread', async () => {
    const first = await client.run('SAY began', { sandbox: 'workspace-write', approval_policy: 'never' });
    const second = await client.run('SAY went on', { thread_id: first.threadId });
    assert.equal(second.operationType, 'send_message');
    assert.equal(second.threadId, first.threadId);
    assert.notEqual(second.turnId, first.turnId);
    assert.equal(second.requested.sandbox, undefined);
    assert.equal(second.requested.approvalPolicy, undefined);
    assert.equal(second.effective.sandbox, 'workspace-write');
    assert.equal(second.effective.approvalPolicy, 'never');
    const { requests } = await env.model.requests({ contains: 'went on' });
    assert.deepEqual(requests.map((request) => request.thread), [first.threadId]);
    assert.equal(requests[0].users, 2);
  });

  it('its thread keeps its policy though app-server starts anew, whatever the configuration says', () => withEnv({
    home: { top: 'sandbox_mode = "danger-full-access"\napproval_policy = "never"' },
  }, async (careless) => {
    const before = await careless.client();
    const first = await before.run('SAY careful', { sandbox: 'read-only', approval_policy: 'on-request' });
    await before.close();
    await careless.stopWorker();
    const second = await (await careless.client()).run('RUN touch escaped.txt\nSAY still careful', { thread_id: first.threadId });
    assert.deepEqual([second.effective.sandbox, second.effective.approvalPolicy], ['read-only', 'on-request']);
    assert.throws(() => statSync(join(careless.project, 'escaped.txt')), { code: 'ENOENT' });
  }));

  for (const [directive, expected] of [
    ['FAIL 429', { class: 'responseTooManyFailedAttempts', retryable: true }],
    ['FAIL rate', { class: isSince(157) ? 'rateLimitExceeded' : 'other', retryable: true }],
    ['FAIL context', { class: 'contextWindowExceeded', retryable: false }],
    ['FAIL 401', { class: isSince(163) ? 'httpConnectionFailed' : 'other', retryable: false, code: 'CODEX_LOGIN_REQUIRED' }],
    ['FAIL 403', { class: isSince(163) ? 'httpConnectionFailed' : 'other', retryable: false }],
    ['FAIL 503', { class: isSince(163) ? 'httpConnectionFailed' : 'other', retryable: true }],
    ['CUT', { class: 'other', retryable: true }],
  ]) {
    it(`a failure says why: ${directive}`, async () => {
      const { operationId } = await client.submit(directive);
      const { error, attemptCount, finalReport } = await client.wait(operationId, 'failed');
      const { class: kind, retryable, code = 'CODEX_SEND_FAILED' } = expected;
      assert.deepEqual([error.class, error.retryable, error.code], [kind, retryable, code], JSON.stringify(error));
      assert.equal(/`codex login`/.test(error.message), code === 'CODEX_LOGIN_REQUIRED');
      assert.ok(error.message.length > 0);
      assert.equal(attemptCount, 1);
      assert.equal(finalReport, undefined);
    });
  }

  it('secrets in what the model says are hidden, the rest is not', async () => {
    const secrets = ['sk-proj-aBcDeFgHiJkLmNoPqRsTuVwX0123456789', 'ghp_0123456789abcdefghijABCDEFGHIJ012345', 'AKIAIOSFODNN7EXAMPLE',
      'hunter2hunter2hunter2'];
    const text = `keys ${secrets[0]} and ${secrets[1]} and ${secrets[2]}\\nDB_PASSWORD=${secrets[3]}\\nin ${env.project}/src/main.c`;
    const done = await client.run(`SAY ${text}`);
    const answers = [done, await client.status(done.operationId, { detail: 'full', include_events: true }),
      await client.ok('codex_get_turn_status', { turn_id: done.turnId })];
    for (const secret of secrets) assert.ok(!JSON.stringify(answers).includes(secret), secret);
    assert.match(done.finalReport.text, /^keys \[redacted\] and \[redacted\] and \[redacted\]\nDB_PASSWORD=/);
    assert.ok(done.finalReport.text.endsWith(`\nin ${env.project}/src/main.c`));
  });

  it('an answer with a renamed field does not pass the check', async () => {
    const answer = await client.run('SAY mutate me');
    const check = compileOutput(client.tools.get('codex_wait').outputSchema);
    check(answer, 'as it is');
    const renamed = (object, from, to) => Object.fromEntries(Object.entries(object).map(([key, value]) => [key === from ? to : key, value]));
    for (const [from, to] of [['status', 'state'], ['operationId', 'operation_id'], ['finalReport', 'report']])
      assert.throws(() => check(renamed(answer, from, to), 'renamed'), /must NOT have additional properties/, from);
    const inner = { ...answer, finalReport: renamed(answer.finalReport, 'text', 'message') };
    assert.throws(() => check(inner, 'renamed'), /must have required property 'text'/);
    assert.throws(() => check({ ...answer, attemptCount: '1' }, 'another type'), /must be integer/);
  });
});

describe('a task with much to say', { skip: missing, timeout: 120000 }, () => {
  const BYTES = 600000;
  const LINE = 'All work and no play makes a long stream of text. ';

  it('600 KB come back whole, and cost at most twice their size on disk', () => withEnv({}, async (env) => {
    const client = await env.client();
    const done = await client.run(`STREAM ${BYTES} 60 5`);
    assert.equal(done.finalReport.truncated, true);
    assert.equal(done.finalReport.originalChars, BYTES);
    let text = '';
    let next = done.finalReport;
    text += next.text;
    while (next.readFullVia) {
      const { tool, arguments: args } = next.readFullVia;
      assert.equal(tool, 'codex_get_turn_status');
      assert.equal(args.message_offset, text.length);
      next = await client.ok(tool, { ...args, message_max_chars: 200000 });
      assert.ok(next.finalMessage.length > 0);
      text += next.finalMessage;
    }
    assert.equal(text, LINE.repeat(Math.ceil(BYTES / LINE.length)).slice(0, BYTES));
    // The last one that leaves brings everything into the database.
    await client.close();
    await env.stopWorker();
    const { size } = statSync(env.stateDb);
    assert.ok(size <= 2 * BYTES, `${size} bytes`);
  }));
});

describe('what a turn may do', { skip: missing, timeout: 120000 }, () => {
  it('read-only cannot write, workspace-write can', (t) => withEnv({}, async (env) => {
    const client = await env.client();
    const probe = await client.run('RUN true', { sandbox: 'read-only', approval_policy: 'never' });
    if (!/exited with code 0/.test(probe.finalReport.text)) {
      t.skip(`the sandbox of Codex does not work here: ${probe.finalReport.text.replace(/\s+/g, ' ')}`);
      return;
    }
    const attempt = (name) => `RUN touch ${name}; echo "status=$?"; ls`;
    const refused = await client.run(attempt('by-reader.txt'), { sandbox: 'read-only', approval_policy: 'never' });
    assert.match(refused.finalReport.text, /status=1/);
    assert.throws(() => statSync(join(env.project, 'by-reader.txt')), { code: 'ENOENT' });
    const written = await client.run(attempt('by-writer.txt'), { sandbox: 'workspace-write', approval_policy: 'never' });
    assert.match(written.finalReport.text, /status=0/);
    assert.equal(statSync(join(env.project, 'by-writer.txt')).size, 0);
  }));

  it('NUL bytes in the output of a command do no harm', () => withEnv({}, async (env) => {
    const client = await env.client();
    writeFileSync(join(env.project, 'nul.sh'), "printf 'before\\0after\\n'\n");
    const done = await client.run('RUN sh nul.sh\nSAY survived', { sandbox: 'danger-full-access', approval_policy: 'never' });
    assert.equal(done.finalReport.text, 'survived');
    const full = await client.status(done.operationId, { detail: 'full', include_events: true });
    assert.ok(full.progressEventCount > 0);
    assert.equal((await client.run('SAY next')).finalReport.text, 'next');
  }));
});
