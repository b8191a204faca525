// What the benchmark is made of leaves nothing behind, whenever a measurement fails.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stack } from '../bench/stack.mjs';
import { makeTempDir, removeDir } from '../support/codex_env.mjs';
import { processesWith } from '../support/processes.mjs';
import { server } from './admin_program.mjs';

test('a stack that is stopped right after a submit leaves no worker', async () => {
  const root = makeTempDir();
  const stack = await Stack.start({ server, root }, 'stack', ['project'], { CODEX_BINARY_PATH: '/bin/false' });
  try {
    await stack.submit(stack.place.projects[0], 'nobody carries this out');
  } finally {
    await stack.stop();
  }
  assert.deepEqual(processesWith(`CODEX_MCP_STATE_DB=${stack.place.stateDb}`), []);
  removeDir(root);
});
