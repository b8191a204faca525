// The real app-server on a local socket: its turn outlives the process that has started it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { codexEnv, findCodex, makeCodexHome, makeTempDir, Model, removeDir, testsDir } from '../support/codex_env.mjs';
import { socketIsMissing } from '../support/live_env.mjs';
import { isAlive, killAndSee } from '../support/processes.mjs';

const driver = join(resolve(process.env.CODEXCP_BUILD_DIR ?? join(testsDir, '..', 'build')), 'tests', 'support', 'app-server-driver');
const missing = socketIsMissing || (existsSync(driver) ? false : `${driver} is not built`);
const linesOf = ({ stdout }) => stdout.trim().split('\n').map((line) => JSON.parse(line));

describe('app-server on a socket', { skip: missing, timeout: 120000 }, () => {
  it('a turn goes on without anybody, and ends where another process attaches', async () => {
    const dir = makeTempDir();
    const model = await Model.start();
    const env = codexEnv(makeCodexHome(dir, model.port));
    const run = (...args) => promisify(execFile)(driver, args, { env, timeout: 60000 });
    const [runDir, workspace] = ['run', 'workspace'].map((name) => join(dir, name));
    let known;
    try {
      mkdirSync(runDir, { mode: 0o700 });
      mkdirSync(workspace);
      [known] = linesOf(await run('start', findCodex(), runDir, workspace, 'HOLD socket\nSAY it outlived its starter'));
      await model.held('socket');
      assert.ok(isAlive(known.pid));
      assert.equal(statSync(join(runDir, 'app.sock')).mode & 0o777, 0o600);
      assert.equal(statSync(join(runDir, 'app-server.log')).mode & 0o777, 0o600);
      const attached = run('attach', runDir, JSON.stringify(known));
      const [first] = await once(createInterface({ input: attached.child.stdout }), 'line');
      assert.deepEqual(JSON.parse(first), { threadId: known.threadId, active: true, turns: 1 });
      await model.release('socket');
      const [, completed, gone] = linesOf(await attached);
      assert.deepEqual(completed, { turnId: known.turnId, status: 'completed' });
      assert.equal(gone.alive, false);
      assert.ok(!isAlive(known.pid));
      assert.equal((await model.requests({ contains: 'socket' })).count, 1);
    } finally {
      if (known && isAlive(known.pid)) await killAndSee(known.pid);
      await model.stop();
      removeDir(dir);
    }
  });
});
