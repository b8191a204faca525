// The one worker and its one app-server: started when needed, by whoever needs it, and waited for when it cannot be.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { AppServer, CUT, findCodex, isSince, lacks } from '../support/codex_env.mjs';
import { missing, program, socketIsMissing, withEnv } from '../support/live_env.mjs';
import { isAlive, killAndSee, until } from '../support/processes.mjs';
import { RawClient } from '../support/raw_client.mjs';

const live = (name, { skip = false, ...options }, body) => it(name, { skip }, () => withEnv(options, body));

describe('starting', { skip: missing, timeout: 120000 }, () => {
  live('reading starts nothing', {}, async (env) => {
    const client = await env.client();
    const health = await client.health();
    assert.equal(health.overallStatus, 'healthy');
    assert.equal(health.appServer.running, false);
    await client.ok('codex_list_projects');
    await client.refused('INVALID_ARGUMENT', 'codex_get_operation_status', { operation_id: 'op_nothing' });
    assert.deepEqual([env.workers(), env.appServers()], [[], []]);
  });

  live('twenty submits of four clients at a cold start: one app-server, four turns at once', {}, async (env) => {
    const other = env.makeProject('beta');
    const clients = await Promise.all([1, 2, 3, 4].map(() => env.client()));
    const submits = Array.from({ length: 20 }, (_, i) => clients[i % 4].submit(`WAIT 300\nSAY cold-${i}.`, {
      cwd: i % 2 ? env.project : other,
    }));
    const acks = await Promise.all(submits);
    assert.equal(new Set(acks.map((ack) => ack.operationId)).size, 20);
    let most = 0;
    const watch = until(() => {
      most = Math.max(most, env.appServers().length);
      return most && env.ended;
    }, 'the end of all', 60000);
    const done = await Promise.all(acks.map((ack, i) => clients[(i + 1) % 4].wait(ack.operationId, 'completed')));
    env.ended = true;
    await watch;
    assert.deepEqual(done.map((status) => status.finalReport.text), acks.map((_, i) => `cold-${i}.`));
    for (let i = 0; i < 20; i++) assert.equal(await env.asked(`cold-${i}.`), 1);
    const { count, peak } = await env.model.requests();
    assert.deepEqual([count, peak, most], [20, 4, 1]);
    assert.deepEqual([env.workers().length, env.appServers().length], [1, 1]);
    assert.equal(new Set(done.map((status) => status.threadId)).size, 20);
  });

  live('clients see each other\'s operations, and can read and stop them', {}, async (env) => {
    const [one, two] = [await env.client(), await env.client()];
    const { operationId } = await one.submit('HOLD shared\nSAY shared', { client_request_id: 'shared' });
    await env.model.held('shared');
    const seen = await two.poll(operationId, (status) => status.status === 'running', 'running');
    assert.equal(seen.operationId, operationId);
    assert.equal((await two.submit('HOLD shared\nSAY shared', { client_request_id: 'shared' })).operationId, operationId);
    const waits = [one.wait(operationId, 'completed'), two.wait(operationId, 'completed')];
    assert.deepEqual((await two.health()).activeWork.operations.map((op) => op.operationId), [operationId]);
    await env.model.release('shared');
    for (const done of await Promise.all(waits)) assert.equal(done.finalReport.text, 'shared');
    assert.equal((await one.health()).worker.pid, (await two.health()).worker.pid);
  });
});

describe('a Codex that is not there', { skip: missing, timeout: 120000 }, () => {
  live('a task waits for it, says why, and runs when it has come', {}, async (env) => {
    const binary = join(env.dir, 'bin', 'codex');
    env.variables.CODEX_BINARY_PATH = binary;
    const client = await env.client();
    const health = await client.health();
    assert.equal(health.overallStatus, 'degraded');
    assert.equal(health.appServer.codexBinaryExists, false);
    assert.ok(health.appServer.problem.includes(binary), health.appServer.problem);
    const { operationId } = await client.submit('SAY it has come');
    const waiting = await client.queued(operationId, 'app_server_unavailable');
    assert.ok(waiting.workerState.problem.includes(binary), waiting.workerState.problem);
    assert.equal(waiting.nextRecommendedAction, 'inspect_worker_health');
    assert.ok(waiting.nextAttemptAt);
    const still = await client.ok('codex_wait', { operation_id: operationId, timeout_seconds: 1 });
    assert.equal(still.waited.reason, 'timeout');
    assert.ok(['queued', 'starting_app_server'].includes(still.status), still.status);
    mkdirSync(join(env.dir, 'bin'));
    symlinkSync(findCodex(), binary);
    const done = await client.wait(operationId, 'completed');
    assert.equal(done.finalReport.text, 'it has come');
    assert.equal(done.attemptCount, 1);
    assert.equal(done.workerState, undefined);
    assert.equal((await client.health()).overallStatus, 'healthy');
  });
});

describe('the client and the worker', { skip: missing, timeout: 120000 }, () => {
  live('the client sees the end of the output while the worker lives on', {}, async (env) => {
    const raw = await RawClient.start({ program, env: env.variables, cwd: env.project });
    const ack = await raw.call('codex_submit_task', {
      operation_type: 'start_chat', cwd: env.project, message: 'HOLD eof\nSAY after the end',
    });
    await env.model.held('eof');
    const { worker } = await raw.call('codex_health_summary');
    const begin = performance.now();
    await Promise.all([raw.close(), raw.outputEnded]);
    assert.ok(performance.now() - begin < 1000);
    assert.ok(isAlive(worker.pid));
    await env.model.release('eof');
    const next = await env.client();
    assert.equal((await next.wait(ack.operationId, 'completed')).finalReport.text, 'after the end');
  });

  live('a worker that stands still keeps nobody from submitting and reading', {}, async (env) => {
    const client = await env.client();
    await client.run('SAY warm');
    const { pid } = (await client.health()).worker;
    process.kill(pid, 'SIGSTOP');
    try {
      const { operationId } = await client.submit('SAY thawed');
      assert.equal((await client.status(operationId)).status, 'queued');
      const other = await env.client();
      assert.equal((await other.status(operationId)).status, 'queued');
      assert.equal(env.workers().length, 1);
      process.kill(pid, 'SIGCONT');
      assert.equal((await client.wait(operationId, 'completed')).finalReport.text, 'thawed');
      assert.equal((await client.health()).worker.pid, pid);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  live('an app-server that stands still is waited for', {}, async (env) => {
    const client = await env.client();
    await client.run('SAY warm');
    const { pid } = (await client.health()).appServer;
    process.kill(pid, 'SIGSTOP');
    try {
      const { operationId } = await client.submit('SAY patience');
      const waiting = await client.poll(operationId, (status) => status.status === 'starting_thread', 'starting');
      assert.equal(waiting.phase, 'thread_start_sent');
      process.kill(pid, 'SIGCONT');
      assert.equal((await client.wait(operationId, 'completed')).finalReport.text, 'patience');
      assert.equal(await env.asked('patience'), 1);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  live('a dead worker leaves its lock to the next, though its app-server stands still', {}, async (env) => {
    const client = await env.client();
    await client.run('SAY warm');
    const { worker, appServer } = await client.health();
    process.kill(appServer.pid, 'SIGSTOP');
    try {
      await killAndSee(worker.pid);
      assert.equal((await client.run('SAY by the next worker')).finalReport.text, 'by the next worker');
      const [next] = env.workers();
      assert.notEqual(next.pid, worker.pid);
      // On a socket it was asked again and again, and then ended.
      if (appServer.transport === 'unix') {
        assert.ok(!isAlive(appServer.pid));
        assert.equal(env.appServers().length, 1);
      }
    } finally {
      if (isAlive(appServer.pid)) await killAndSee(appServer.pid);
    }
  });

  live('a thread that another Codex has open is waited for, without an attempt', {
    skip: lacks(147, 'lock of a thread'),
  }, async (env) => {
    const client = await env.client();
    const first = await client.run('SAY mine for now');
    await client.close();
    await env.stopWorker();
    const terminal = await AppServer.start({ home: env.home, cwd: env.project });
    try {
      await terminal.request('thread/resume', { threadId: first.threadId });
      const next = await env.client();
      const { operationId } = await next.submit('SAY mine again', { thread_id: first.threadId });
      const waiting = await next.queued(operationId, 'thread_open_elsewhere');
      assert.equal(waiting.attemptCount, 0);
      await terminal.stop();
      const done = await next.wait(operationId, 'completed');
      assert.deepEqual([done.finalReport.text, done.threadId, done.attemptCount], ['mine again', first.threadId, 1]);
    } finally {
      await terminal.kill();
    }
  });

  live('the state is private', {}, async (env) => {
    const client = await env.client();
    await client.run('SAY private');
    const state = join(env.dir, 'state');
    assert.equal(statSync(state).mode & 0o777, 0o700);
    assert.ok(existsSync(join(state, 'log', 'worker.log')));
    const open = readdirSync(state, { recursive: true }).map((name) => join(state, name))
      .filter((path) => statSync(path).mode & 0o077);
    assert.deepEqual(open, []);
  });
});

describe('controlling the worker', { skip: missing, timeout: 120000 }, () => {
  // The program's own commands, in the environment of the client.
  const control = (env, ...args) => {
    const { status, stdout } = spawnSync(program, ['worker', ...args], { cwd: env.project, env: env.variables, encoding: 'utf8' });
    return { code: status, ...JSON.parse(stdout) };
  };

  // What is true on both transports: one turn was begun, the operation has one end, and the report is there or the
  // reason why not.
  async function checkEnd(env, client, operationId, text) {
    const done = await client.wait(operationId);
    if (done.status === 'completed') assert.equal(done.finalReport.text, text);
    else assert.deepEqual([done.status, done.reason], CUT);
    assert.deepEqual((await client.status(operationId)).status, done.status);
    assert.ok(await env.asked(text) <= 1);
  }

  for (const transport of ['stdio', 'unix']) {
    const on = (name, options, body) => it(name, { skip: transport === 'unix' && socketIsMissing }, () => withEnv(options, body));

    on(`${transport}: stop, with a turn that runs and a task that waits: nothing is lost`, {
      variables: { CODEX_MCP_APP_SERVER_TRANSPORT: transport, CODEX_MCP_WORKER_DRAIN_SECONDS: '1', CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL: '1' },
    }, async (env) => {
      const client = await env.client();
      const running = await client.submit('HOLD stop\nSAY it has run');
      await env.model.held('stop');
      const { pid } = (await client.health()).worker;
      const status = control(env, 'status');
      assert.deepEqual([status.code, status.worker.pid, status.appServer.running], [0, pid, true]);
      assert.ok(status.appServer.codexVersion);
      const queued = await client.submit('SAY it has waited');
      await client.close();
      const stopped = control(env, 'stop');
      assert.deepEqual([stopped.code, stopped.stopped.pid, stopped.running], [0, pid, false]);
      assert.ok(!isAlive(pid));
      assert.equal(control(env, 'status').code, 3);
      await env.model.release('stop');
      const next = await env.client();
      await checkEnd(env, next, running.operationId, 'it has run');
      assert.equal((await next.wait(queued.operationId, 'completed')).finalReport.text, 'it has waited');
    });

    on(`${transport}: restart, under a client that waits: it hears the end`, {
      variables: { CODEX_MCP_APP_SERVER_TRANSPORT: transport, CODEX_MCP_WORKER_DRAIN_SECONDS: '1' },
    }, async (env) => {
      const client = await env.client();
      const { operationId } = await client.submit('HOLD restart\nSAY over two workers');
      await env.model.held('restart');
      const { pid } = (await client.health()).worker;
      const waiting = checkEnd(env, client, operationId, 'over two workers');
      const restarted = control(env, 'restart');
      assert.deepEqual([restarted.code, restarted.stopped.pid, restarted.running], [0, pid, true]);
      assert.notEqual(restarted.worker.pid, pid);
      await env.model.release('restart');
      await waiting;
      const seen = await client.ok('codex_get_worker_status');
      assert.equal(seen.workers.filter((worker) => worker.holdsLock).length, 1);
      assert.equal(env.workers().length, 1);
    });
  }

  live('what a Codex lacks is told by the one that runs', {}, async (env) => {
    const client = await env.client();
    await client.run('SAY warm');
    const { appServer } = await client.ok('codex_get_worker_status', { include_recent_commands: true });
    assert.ok(appServer.running && appServer.pid && appServer.instance && appServer.transport, JSON.stringify(appServer));
    const minorOf = (version) => Number(version.split('.')[1]);
    const [known, lacking] = [appServer.unsupportedFeatures, appServer.unsupportedFeatures.map(({ feature }) => feature)];
    assert.equal(lacking.includes('approval policy on-failure'), isSince(145));
    assert.equal(lacking.includes('clientUserMessageId'), !isSince(145));
    assert.equal(lacking.includes('app-server --listen unix://'), appServer.transport === 'stdio');
    assert.ok(known.every(({ minimumVersion, removedInVersion }) => (removedInVersion ? isSince(minorOf(removedInVersion))
      : !isSince(minorOf(minimumVersion)))), JSON.stringify(known));
  });
});
