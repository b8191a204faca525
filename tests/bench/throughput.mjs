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

// Alternately, so that a slow minute hits both.
export async function throughputRow(stack, raw, { count, rounds }) {
  const [ours, floor] = [[], []];
  for (let round = 0; round < rounds; round++) {
    floor.push(await raw.run(tasksOf(stack, count, `raw ${round}`)));
    ours.push(await stack.run(tasksOf(stack, count, round)));
  }
  return {
    name: `${count} tasks, first submit to last completion`, value: Math.min(...ours), floor: Math.min(...floor), unit: 'ms',
    limit: { ratio: 1.25 }, against: `raw driver, ${IN_FLIGHT} turns in flight, model turns of ${TURN_MS} ms`, samples: rounds, rounds,
  };
}
