// The tables of docs/RELIABILITY.md: what dies where, and what comes of it. What a process has still done before it died is
// not always the same, so a cell is a list: of outcomes that were seen, each with the events that led there.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { testsDir } from '../support/codex_env.mjs';

const page = join(dirname(testsDir), 'docs', 'RELIABILITY.md');
const OR = '; or ';
const NOT_THERE = '-';

function split(what) {
  const text = readFileSync(page, 'utf8');
  const [begin, end] = [`<!-- ${what}: printed -->\n`, `<!-- ${what}: end -->\n`];
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  if (from < begin.length || to < from) throw new Error(`${page} has no place for ${what}`);
  return { before: text.slice(0, from), table: text.slice(from, to), after: text.slice(to) };
}

// { point, scenario, cells: outcomes of each that may die }
function readRows(transport) {
  const rows = split(`crash points, ${transport}`).table.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((line) => {
    const [point, scenario, ...cells] = line.split('|').slice(1, -1).map((cell) => cell.trim());
    return { point: point.slice(1, -1), scenario, cells: cells.map((cell) => (cell === NOT_THERE ? [''] : cell.split(OR))) };
  });
}

// "POINT|WHO" -> outcomes.
const tableOf = (rows, who) => new Map(rows.flatMap(({ point, cells }) => who.map((name, i) => [`${point}|${name}`, cells[i]])));

const outcomeOf = (words) => words.split(':')[0];

// Whatever dies, a turn may have been cut with it; and nobody may have been there to die.
const ANYWHERE = ['', 'interrupted (app_server_exit)'];

// What came of each scenario, whoever died at whichever of its points.
function outcomesOf(rows) {
  const known = new Map();
  for (const { scenario, cells } of rows) known.set(scenario, [...known.get(scenario) ?? ANYWHERE, ...cells.flat().map(outcomeOf)]);
  return known;
}

// What came of a death, and is not in the table of its scenario. Who had done what at the moment of a death is a matter of
// time, so that a row is no closer limit than the scenario; the events that led there are only told.
export function compareTables(transport, points, who, cells) {
  const rows = readRows(transport);
  const [known, listed] = [outcomesOf(rows), new Set(tableOf(rows, who).keys())];
  const tried = new Set(points.flatMap((point) => who.map((name) => `${point}|${name}`)));
  const may = (scenario) => known.get(scenario) ?? ANYWHERE;
  return [
    ...[...tried].filter((key) => !listed.has(key)).map((key) => `${key}: there is no row`),
    ...[...listed].filter((key) => !tried.has(key)).map((key) => `${key}: there is no such point any more`),
    ...[...cells].filter(([, { scenario, words }]) => !may(scenario).includes(outcomeOf(words)))
      .map(([key, { scenario, words }]) => `${key}: ${words}, and the table has for ${scenario}: ${[...new Set(may(scenario))].join(OR)}`),
  ];
}

// Adds to what the table has; a point that is gone goes with its row.
export function writeTables(transport, points, who, cells) {
  const { before, after } = split(`crash points, ${transport}`);
  const known = tableOf(readRows(transport), who);
  const cell = (key) => {
    const seen = new Set([...known.get(key) ?? [], ...cells.has(key) ? [cells.get(key).words] : []].filter(Boolean));
    return [...seen].sort().join(OR) || NOT_THERE;
  };
  const rows = points.filter((point) => cells.has(`${point}|${who[0]}`))
    .map((point) => `| \`${point}\` | ${cells.get(`${point}|${who[0]}`).scenario} | ${who.map((name) => cell(`${point}|${name}`)).join(' | ')} |`);
  const head = `| crash point | in the middle of | ${who.map((name) => `${name} dies`).join(' | ')} |\n|${'---|'.repeat(who.length + 2)}\n`;
  writeFileSync(page, `${before}${head}${rows.join('\n')}\n${after}`);
}

export function writeChaos(rows) {
  const { before, after } = split('chaos');
  writeFileSync(page, `${before}| | |\n|---|---|\n${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n${after}`);
}
