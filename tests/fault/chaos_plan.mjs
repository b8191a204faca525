// What happens in a round of chaos, all of it drawn from a seed: the same seed is the same round.

// mulberry32
export function generator(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n) => Math.floor(next() * n);
  return { below, between: (low, high) => low + below(high - low + 1), one: (list) => list[below(list.length)], chance: (part) => next() < part };
}

const FRONT_ENDS = 3;

// Points on the way of any task are drawn more often than those of rare accidents.
const RARE = /^commit\.(app_server_unavailable|thread_busy|thread_elsewhere|refused|overloaded|transient|outcome_unknown|absent_power_loss)\./;

const PROMPTS = [
  (marker) => `SAY done ${marker}`,
  (marker) => `SAY done ${marker}`,
  (marker, draw) => `WAIT ${draw.between(50, 400)}\nSAY done ${marker}`,
  (marker, draw) => `STREAM 2000 20 ${draw.between(2, 15)}\nSAY done ${marker}`,
  (marker) => `FAIL context\nSAY done ${marker}`,
];

function drawTask(draw, seed, i) {
  const marker = `chaos-${seed}-${i}.`;
  return {
    marker,
    request: `request-${i}`,
    prompt: draw.one(PROMPTS)(marker, draw),
    frontEnd: draw.below(FRONT_ENDS),
    sandbox: draw.one(['read-only', 'workspace-write']),
    pauseMs: draw.below(150),
    // Into the thread of an earlier task of the same front end.
    follows: draw.chance(0.25),
    retries: draw.chance(0.5) ? draw.between(1, 2) : 0,
    interruptMs: draw.chance(0.2) ? draw.below(300) : null,
  };
}

function drawDeath(draw, points) {
  return {
    point: draw.one(points),
    hit: draw.between(1, 3),
    who: draw.one(['itself', 'itself', 'worker', 'app-server', 'app-server', 'front end']),
  };
}

// One death a place: nobody dies twice.
const differ = ({ point, hit }, i, all) => all.findIndex((other) => other.point === point && other.hit === hit) === i;

export function drawRound(seed, points) {
  const draw = generator(seed);
  const usual = points.filter((point) => !RARE.test(point));
  return {
    seed,
    transport: draw.one(['stdio', 'unix']),
    frontEnds: FRONT_ENDS,
    tasks: Array.from({ length: draw.between(4, 8) }, (_, i) => drawTask(draw, seed, i)),
    deaths: Array.from({ length: draw.between(2, 6) }, () => drawDeath(draw, usual)).filter(differ),
  };
}
