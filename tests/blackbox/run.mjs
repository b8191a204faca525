#!/usr/bin/env node
// Runs the tests of this folder and prints TAP: run.mjs [--server PROGRAM] [FILE...]

import { accessSync, constants, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { run } from 'node:test';
import { tap } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const { values, positionals } = parseArgs({ options: { server: { type: 'string' } }, allowPositionals: true });
const all = readdirSync(here).filter((name) => name.endsWith('.test.mjs')).map((name) => join(here, name));

if (values.server) {
  process.env.CCP_SERVER = resolve(values.server);
  accessSync(process.env.CCP_SERVER, constants.X_OK);
}
run({ files: positionals.length ? positionals.map((name) => resolve(name)) : all, concurrency: 1 })
  .on('test:fail', () => { process.exitCode = 1; })
  .compose(tap)
  .pipe(process.stdout);
