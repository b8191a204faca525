#!/usr/bin/env node
// Measures a release build: run.mjs --server PROGRAM [--only TEXT]; `./bootstrap bench` calls it.
//
// Prints a table and writes build/bench.json. Times are held against floors that were measured in the same run, turn and
// turn about: a figure of one machine says nothing about another, a ratio does. Each is the best median of several rounds.
// The exit status is 1 when a figure misses its target.

import { accessSync, constants, rmSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findCodex, testsDir } from '../support/codex_env.mjs';
import { frontEndFigures } from './front_end.mjs';
import { manyFigures } from './many.mjs';
import { makeRoot } from './places.mjs';
import { wholeFigures } from './whole.mjs';

const GROUPS = { 'front-end': frontEndFigures, whole: wholeFigures, many: manyFigures };

const { values: options } = parseArgs({ options: { server: { type: 'string' }, only: { type: 'string' } } });
const buildDir = join(testsDir, '..', 'build');

function judge(figure) {
  const ratio = figure.floor === undefined ? undefined : figure.value / figure.floor;
  const { ratio: most, value } = figure.limit ?? {};
  const met = most !== undefined ? ratio <= most : value === undefined || figure.value <= value;
  return { ...figure, ratio, met };
}

const digits = (value) => value.toFixed(value < 10 ? 3 : value < 1000 ? 1 : 0);
const withUnit = (value, unit) => (value === undefined ? '' : `${digits(value)} ${unit}`);

function target({ limit, unit }) {
  if (!limit) return '';
  return limit.ratio === undefined ? `<= ${limit.value} ${unit}` : `<= ${limit.ratio} x`;
}

function note({ against, p99, pss, unit, samples, rounds }) {
  const count = rounds > 1 && rounds !== samples ? `${samples} samples in ${rounds} rounds` : `${samples} sample${samples === 1 ? '' : 's'}`;
  return [against && `floor: ${against}`, p99 && `p99 ${withUnit(p99, unit)}`, pss && `Pss ${digits(pss)} MiB`, count].filter(Boolean).join('; ');
}

function printTable(figures) {
  const rows = [['', 'figure', 'measured', 'floor', 'ratio', 'target', '']];
  for (const figure of figures) {
    rows.push([!figure.limit ? '' : figure.met ? 'ok' : 'MISS', figure.name, withUnit(figure.value, figure.unit), withUnit(figure.floor, figure.unit),
      figure.ratio === undefined ? '' : `${figure.ratio.toFixed(2)} x`, target(figure), note(figure)]);
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) console.log(row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd());
}

async function measure(context) {
  const figures = [];
  for (const [name, group] of Object.entries(GROUPS)) {
    if (options.only && options.only !== name) continue;
    console.error(`measuring: ${name}`);
    figures.push(...(await group(context)).map(judge));
  }
  return figures;
}

async function main() {
  if (!options.server || (options.only && !GROUPS[options.only])) throw new Error(`usage: run.mjs --server PROGRAM [--only ${Object.keys(GROUPS).join('|')}]`);
  const server = resolve(options.server);
  accessSync(server, constants.X_OK);
  if (!findCodex()) throw new Error('Codex is not installed (npm ci in tests/)');
  const root = makeRoot(buildDir);
  try {
    const figures = await measure({ server, root, dir: join(dirname(server), '..', 'tests', 'bench') });
    const path = join(buildDir, 'bench.json');
    const machine = { cpu: cpus()[0]?.model, cpus: cpus().length, kernel: release() };
    printTable(figures);
    writeFileSync(path, `${JSON.stringify({ at: new Date().toISOString(), server, machine, figures }, null, 2)}\n`);
    console.log(path);
    if (figures.some(({ met }) => !met)) process.exitCode = 1;
  } finally {
    rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

main().catch((error) => {
  console.error(`bench: ${error.stack}`);
  process.exitCode = 2;
});
