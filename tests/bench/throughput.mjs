// Many tasks through a server and its worker, and the same turns through an app-server that is driven directly.

import { IN_FLIGHT, RawDriver } from './raw_driver.mjs';

const TURN_MS = 300;

const tasksOf = ({ place }, count, round) => Array.from({ length: count }, (_, i) => ({
  cwd: place.projects[i % place.projects.length],
  message: `Round ${round}, task ${i}.\nWAIT ${TURN_MS}\nSAY done ${i}`,
}));

// The first task of a server starts its worker and app-server: that is not measured.
export const warmUp = (driver, { place }) => driver.run([{ cwd: place.projects[0], message: 'SAY warm' }]);

export async function startRaw(stack, home) {
  const raw = await RawDriver.start({ home, cwd: stack.place.dir });
  await warmUp(raw, stack);
  return raw;
}

export async function stopBoth(raw, stack) {
  try {
    await raw?.stop();
  } finally {
    await stack.stop();
  }
}

// Alternately, so that a slow minute hits both, and in turn first; each has run as many at once before.
export async function throughputRow(stack, raw, { count, rounds }) {
  const [ours, floor] = [[], []];
  await raw.run(tasksOf(stack, IN_FLIGHT, 'raw warm'));
  await stack.run(tasksOf(stack, IN_FLIGHT, 'warm'));
  for (let round = 0; round < rounds; round++) {
    const measures = [
      async () => floor.push(await raw.run(tasksOf(stack, count, `raw ${round}`))),
      async () => ours.push(await stack.run(tasksOf(stack, count, round))),
    ];
    for (const measure of round % 2 ? measures.reverse() : measures) await measure();
  }
  return {
    name: `${count} tasks, first submit to last completion`, value: Math.min(...ours), floor: Math.min(...floor), unit: 'ms',
    limit: { ratio: 1.25 }, against: `raw driver, ${IN_FLIGHT} turns in flight, model turns of ${TURN_MS} ms`, samples: rounds, rounds,
  };
}
