// Every crash point of the program, in the hands of the real Codex: the process dies there, or stands there while another
// one dies; then all goes on, and the books are looked at. docs/RELIABILITY.md has the outcomes.
//
//   CCP_FAULT_ONLY=TEXT    only crashes whose "POINT, WHO dies, TRANSPORT" contains the text
//   CCP_WRITE_DOCS=1       write the table instead of comparing it

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Model } from '../support/codex_env.mjs';
import { compareTables, writeTables } from './reliability.mjs';
import { fakeMissing, scenarios, unreached } from './scenarios.mjs';
import { missing, points, Stage } from './stage.mjs';

const TRANSPORTS = ['stdio', 'unix'];
const WHO = ['worker', 'app-server', 'front end'];
// Most of a run is waiting.
const AT_ONCE = 5;
const only = process.env.CCP_FAULT_ONLY ?? '';

// Runs a scenario to its end; crash(stage) orders a death and resolves when it has happened.
async function run(scenario, { model, transport, crash = () => new Promise(() => {}) }) {
  const stage = await Stage.start({ model, transport, variables: scenario.variables });
  try {
    stage.trace();
    const operations = await scenario.play(stage, crash(stage));
    await stage.alone();
    const ledger = stage.ledger();
    const entries = [];
    for (const { operationId, marker } of operations) entries.push(await ledger.entry(operationId, marker));
    const problems = entries.flatMap((entry) => entry.problems);
    if (ledger.operations().length !== operations.length) problems.push(`there are ${ledger.operations().length} operations, for ${operations.length}`);
    ledger.close();
    assert.deepEqual(problems, [], JSON.stringify(entries.map((entry) => entry.history), null, 1));
    return { entry: entries.at(-1), passed: stage.passed() };
  } catch (error) {
    error.message += `\nworker.log:\n${stage.workerLog().split('\n').slice(-15).join('\n')}`;
    throw error;
  } finally {
    await stage.stop();
  }
}

// What a crash came to, for the table.
function wordsOf({ outcome, evidence }) {
  return evidence.length ? `${outcome}: ${evidence.join(', ')}` : outcome;
}

test('crash points', { skip: missing || fakeMissing, concurrency: AT_ONCE, timeout: 1200000 }, async (t) => {
  const model = await Model.start();
  t.after(() => model.stop());
  for (const transport of TRANSPORTS) {
    const first = new Map(); // point -> the scenario in which it is tried
    const passed = new Map();
    const cells = new Map();
    await Promise.all(scenarios.map((scenario) => t.test(`${scenario.name}, nobody dies, ${transport}`, async () => {
      passed.set(scenario, (await run(scenario, { model, transport })).passed);
    })));
    for (const scenario of scenarios) {
      const chosen = (point) => (scenario.points ? scenario.points.test(point) : !first.has(point));
      passed.get(scenario)?.filter(chosen).forEach((point) => first.set(point, scenario));
    }
    await t.test(`every point is passed by some scenario, ${transport}`, () => {
      const known = points.filter((point) => !(point.startsWith('commit.') && point.split('.')[1] in unreached));
      assert.deepEqual(known.filter((point) => !first.has(point)), [], 'no scenario passes');
      assert.deepEqual([...first.keys()].filter((point) => !known.includes(point)), [], 'not expected to be passed');
    });
    const crashes = points.filter((point) => first.has(point)).flatMap((point) => WHO.map((who) => ({ point, who })));
    await Promise.all(crashes.map(({ point, who }) => {
      const title = `${point}, ${who} dies, ${transport}`;
      if (!title.includes(only)) return null;
      return t.test(title, async () => {
        const scenario = first.get(point);
        let died = null;
        const crash = (stage) => stage.dieAt(who, point, scenario.hit).then((n) => { died = n; });
        const { entry } = await run(scenario, { model, transport, crash });
        assert.notEqual(died, null, 'nobody came to the point');
        cells.set(`${point}|${who}`, { scenario: scenario.name, words: died ? wordsOf(entry) : '' });
      });
    }));
    if (process.env.CCP_WRITE_DOCS) writeTables(transport, points, WHO, cells);
    await t.test(`docs/RELIABILITY.md has these outcomes, ${transport}`, () => {
      assert.deepEqual(compareTables(transport, [...first.keys()], WHO, cells), []);
    });
  }
});
