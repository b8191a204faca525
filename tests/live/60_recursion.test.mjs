// Codex calls this very server as one of its MCP servers, from inside a turn of ours.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSince, lacks } from '../support/codex_env.mjs';
import { missing, program, withEnv } from '../support/live_env.mjs';

const quote = (text) => JSON.stringify(text);

// The configuration of a Codex whose MCP server `cp` is the program, on the same state.
const withServer = (depth) => ({
  variables: depth ? { CODEX_MCP_MAX_DEPTH: String(depth) } : {},
  home: (env) => ({
    tables: `[mcp_servers.cp]
command = ${quote(program)}
[mcp_servers.cp.env]
${Object.entries(env.variables).filter(([name]) => name.startsWith('CODEX_')).map(([name, value]) => `${name} = ${quote(value)}`).join('\n')}
`,
  }),
});

// Old versions do not say which thread calls; then nothing may be started at all.
const TELLS = isSince(130);

// Under `never` nobody is asked: what the annotations of a tool allow is called.
const POLICY = { approval_policy: 'never', sandbox: 'read-only' };

const nested = (env, args) => `CALL mcp__cp/codex_submit_task ${JSON.stringify({
  operation_type: 'start_chat', cwd: env.project, ...args,
})}`;

// The payload that the model was shown as the answer of the tool.
function shown(done) {
  const text = done.finalReport.text;
  const payload = text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1);
  return JSON.parse(payload);
}

describe('Codex calls us', { skip: missing, timeout: 120000 }, () => {
  it('a task may look, but not start tasks', () => withEnv(withServer(0), async (env) => {
    const client = await env.client();
    const looked = await client.run('CALL mcp__cp/codex_health_summary {}', POLICY);
    const health = shown(looked);
    assert.equal(health.ok, true);
    assert.equal(health.worker.pid, (await client.health()).worker.pid);
    const tried = await client.run(nested(env, { message: 'SAY from inside' }), POLICY);
    const refused = shown(tried);
    assert.equal(refused.ok, false);
    assert.equal(refused.error.code, 'CODEX_RECURSION_REFUSED');
    assert.equal(refused.error.retryable, false);
    if (TELLS) assert.deepEqual(refused.error.details, { operationId: tried.operationId, threadId: tried.threadId });
    const small = await client.run('SAY little', POLICY);
    const own = shown(await client.run(`CALL mcp__cp/codex_get_operation_status ${JSON.stringify({ operation_id: small.operationId })}`, POLICY));
    assert.equal(own.status, 'completed');
    // Codex reads the annotations: what destroys needs somebody to allow it.
    if (!TELLS) return;
    const stopped = await client.run(`CALL mcp__cp/codex_interrupt_turn ${JSON.stringify({ operation_id: looked.operationId })}`, POLICY);
    assert.match(stopped.finalReport.text, /requires approval|rejected MCP tool call/);
    const { requests } = await env.model.requests({ contains: 'SAY from inside' });
    assert.ok(requests.every((request) => request.thread === tried.threadId));
  }));

  const cannotTell = { skip: lacks(130, 'name of the thread that calls a tool') };

  const onlyThen = TELLS ? () => {} : it;

  onlyThen('with a depth of one, and nobody knows whose: nothing is started', () => withEnv(withServer(1), async (env) => {
    const client = await env.client();
    const refused = shown(await client.run(nested(env, { message: 'SAY I am the child' }), POLICY));
    assert.equal(refused.error.code, 'CODEX_RECURSION_REFUSED');
    assert.match(refused.error.message, /does not say from which/);
  }));

  it('with a depth of one, a task may start tasks that may not; below its own sandbox', cannotTell, () => withEnv(withServer(1), async (env) => {
    const client = await env.client();
    const parent = await client.run(nested(env, { message: 'SAY I am the child' }), POLICY);
    const ack = shown(parent);
    assert.equal(ack.ok, true, JSON.stringify(ack));
    const child = await client.wait(ack.operationId, 'completed');
    assert.equal(child.finalReport.text, 'I am the child');
    const full = await client.status(ack.operationId, { detail: 'full' });
    assert.equal(full.parentOperationId, parent.operationId);
    assert.equal(full.effective.sandbox, 'read-only');
    const above = shown(await client.run(nested(env, { message: 'SAY above', sandbox: 'danger-full-access' }), POLICY));
    assert.equal(above.error?.code, 'INVALID_ARGUMENT', JSON.stringify(above));
    assert.equal(above.error.details.argument, 'sandbox');
  }));

  it('a grandchild is too deep', cannotTell, () => withEnv(withServer(1), async (env) => {
    const client = await env.client();
    const child = nested(env, { message: 'CALL mcp__cp/codex_submit_task {"operation_type":"start_chat","message":"SAY the grandchild"}', approval_policy: 'never' });
    const parent = await client.run(child, POLICY);
    const ack = shown(parent);
    assert.equal(ack.ok, true, JSON.stringify(ack));
    const done = await client.wait(ack.operationId, 'completed');
    const refused = shown(done);
    assert.equal(refused.error.code, 'CODEX_RECURSION_REFUSED');
    assert.equal(refused.error.details.operationId, ack.operationId);
  }));
});
