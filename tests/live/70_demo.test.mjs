// The demo is what a newcomer sees first.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { findCodex, findNode, makeCodexHome, makeTempDir, Model, removeDir, supportDir } from '../support/codex_env.mjs';
import { missing, program } from '../support/live_env.mjs';
import { isAlive } from '../support/processes.mjs';

function runDemo(args, env = {}) {
  return new Promise((done) => {
    execFile(findNode(), [join(supportDir, 'demo.mjs'), ...args], { env: { ...process.env, ...env }, timeout: 60000 },
      (error, stdout, stderr) => done({ code: error ? error.code : 0, stdout, stderr }));
  });
}

function assertShown({ code, stdout, stderr }) {
  assert.equal(code, 0, stdout + stderr);
  for (const step of ['spawn -> initialize', 'submit acknowledged', 'app-server ready', 'thread started', 'turn running', 'completed'])
    assert.match(stdout, new RegExp(`\\d+ ms  ${step}`));
  for (const id of ['operation', 'thread', 'turn']) assert.equal(stdout.match(new RegExp(`^ +${id} +\\S+$`, 'gm')).length, 2, id);
  assert.match(stdout, /kill -9: server process \d+ is gone/);
  assert.match(stdout, /Everything was as it should be\.\n$/);
  const worker = Number(/same worker (\d+)/.exec(stdout)[1]);
  assert.equal(isAlive(worker), false);
}

describe('demo', { skip: missing, timeout: 120000 }, () => {
  it('shows a task, its report, and that it outlives the client', async () => {
    const shown = await runDemo(['--server', program]);
    assertShown(shown);
    assert.match(shown.stdout, /\| The project is empty\./);
    assert.match(shown.stdout, /\| I went on without you\./);
    assert.match(shown.stdout, /status {4}queued/);
    assert.match(shown.stdout, /text {6}/);
  });

  it('does so with the Codex home that it finds, under a mark', async () => {
    const dir = makeTempDir('codexcp-demo-test');
    const model = await Model.start();
    try {
      const home = makeCodexHome(dir, model.port);
      assertShown(await runDemo(['--live', '--server', program], { CODEX_HOME: home, CODEX_BINARY_PATH: findCodex() }));
      const { requests } = await model.requests();
      assert.equal(requests.length, 2);
      for (const request of requests) assert.match(request.text, /^MCP LIVE TEST \/ DO NOT MODIFY FILES\n/);
    } finally {
      await model.stop();
      removeDir(dir);
    }
  });

  it('fails when the server does not work', async () => {
    const { code, stderr } = await runDemo(['--server', '/bin/false']);
    assert.equal(code, 1);
    assert.match(stderr, /^demo: the server has ended/);
  });
});
