// Chaos with a fixed seed. More rounds, other seeds: ./bootstrap chaos.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { playRounds } from './chaos.mjs';
import { missing } from './stage.mjs';

const ROUNDS = 25;
const SEED = 1;

test(`chaos, ${ROUNDS} rounds from seed ${SEED}`, { skip: missing, timeout: 600000 }, async (t) => {
  const results = await playRounds({ rounds: ROUNDS, seed: SEED });
  for (const { plan, problems, kept } of results) {
    await t.test(`seed ${plan.seed}`, () => assert.deepEqual(problems, [], `everything is in ${kept}`));
  }
});
