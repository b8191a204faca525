// Only the connection between worker and app-server is lost, right after turn/start; the worker comes back without delay. A
// hundred times: a hundred turns.

import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findCodex, findNode, Model } from '../support/codex_env.mjs';
import { letRun } from '../support/processes.mjs';
import { missing, Stage } from './stage.mjs';

const DROPS = 100;
// So many workers lose it at the same time.
const AT_ONCE = 5;
const AFTER = 'effect.send_turn.after';

// The program that CODEX_BINARY_PATH names.
function behindProxy(stage) {
  const codex = join(stage.dir, 'codex');
  const proxy = join(dirname(fileURLToPath(import.meta.url)), 'proxy.mjs');
  writeFileSync(codex, `#!/bin/sh\nexec '${findNode()}' '${proxy}' "$@"\n`);
  chmodSync(codex, 0o755);
  return { CODEX_BINARY_PATH: codex, CODEXCP_REAL_CODEX: findCodex() };
}

// The n-th turn/start is on its way, and the worker stands still: it learns of the loss when it goes on.
async function drop(stage, n) {
  const worker = await stage.order('stop', AFTER, n);
  // Sometimes app-server has read the request, sometimes not.
  if (n % 2) await new Promise((done) => { setTimeout(done, n % 20); });
  const [proxy] = stage.pids('app-server');
  process.kill(proxy, 'SIGUSR2');
  letRun(worker);
  return worker;
}

// Losses one after the other, on one worker and one app-server.
async function dropAgain(model, name, times) {
  const stage = await Stage.start({ model, transport: 'unix', variables: behindProxy });
  try {
    const workers = new Set();
    stage.trace();
    for (let i = 0; i < times; i++) {
      const marker = `drop-${name}-${i}.`;
      // A request that did not arrive is sent again, and passes the point once more.
      const dropped = drop(stage, stage.passed().filter((point) => point === AFTER).length + 1);
      const { operationId } = await stage.submit(`WAIT 20\nSAY done ${marker}`);
      workers.add(await dropped);
      const done = await stage.ended(operationId);
      assert.equal(done.finalReport?.text, `done ${marker}`, JSON.stringify(done));
      const ledger = stage.ledger();
      const entry = await ledger.entry(operationId, marker);
      ledger.close();
      assert.deepEqual(entry.problems, []);
    }
    assert.deepEqual([workers.size, stage.pids('app-server').length], [1, 1]);
  } catch (error) {
    error.message += `\nworker.log:\n${stage.workerLog().split('\n').slice(-15).join('\n')}`;
    throw error;
  } finally {
    await stage.stop();
  }
}

test(`the connection is lost ${DROPS} times after turn/start`, { skip: missing, timeout: 300000 }, async () => {
  const model = await Model.start();
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => dropAgain(model, i, DROPS / AT_ONCE)));
    assert.equal((await model.requests({ contains: 'drop-' })).count, DROPS);
  } finally {
    await model.stop();
  }
});
