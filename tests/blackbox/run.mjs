#!/usr/bin/env node
// Runs the tests of this folder and prints TAP: run.mjs [--server PROGRAM] [--admin PROGRAM] [--hooks PROGRAM] [FILE...]

import { accessSync, constants, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { run } from 'node:test';
import { tap } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const programs = ['server', 'admin', 'hooks'];
const options = Object.fromEntries(programs.map((name) => [name, { type: 'string' }]));
const { values, positionals } = parseArgs({ options, allowPositionals: true });
const all = readdirSync(here).filter((name) => name.endsWith('.test.mjs')).map((name) => join(here, name));

for (const name of programs.filter((program) => values[program])) {
  const path = resolve(values[name]);
  accessSync(path, constants.X_OK);
  process.env[`CCP_${name.toUpperCase()}`] = path;
}
run({ files: positionals.length ? positionals.map((name) => resolve(name)) : all, concurrency: 1 })
  .on('test:fail', () => { process.exitCode = 1; })
  .compose(tap)
  .pipe(process.stdout);
