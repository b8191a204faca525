#!/usr/bin/env node
// Checks of the project, one TAP line a rule: lint.mjs GROUP [--build DIR] [--update]
//
// With --update, `pages` first prints the pages anew (needs --build), `format` first formats the C files.
//
// GROUP is one of the modules below. A rule is { name, check(project) -> problems, skip?(project) -> reason, warn?(project)
// -> notes }; a problem is one line of text, a rule without problems holds.

import { parseArgs } from 'node:util';
import { resolve } from 'node:path';
import { readProject } from './project.mjs';

const GROUPS = ['sources', 'library', 'pages', 'format', 'cppcheck', 'clang-tidy'];

const note = (text) => console.log(text.split('\n').map((line) => `# ${line}`).join('\n'));

async function problemsOf(rule, project) {
  try {
    return await rule.check(project);
  } catch (error) {
    return [error.message];
  }
}

async function run(rules, project) {
  let failed = 0;
  console.log(`1..${rules.length}`);
  for (const [i, rule] of rules.entries()) {
    const skip = rule.skip?.(project);
    const problems = skip ? [] : await problemsOf(rule, project);
    console.log(`${problems.length ? 'not ok' : 'ok'} ${i + 1} - ${rule.name}${skip ? ` # SKIP ${skip}` : ''}`);
    [...problems, ...(skip ? [] : rule.warn?.(project) ?? [])].forEach(note);
    failed += problems.length > 0;
  }
  return failed;
}

const { values, positionals } = parseArgs({
  options: { build: { type: 'string' }, update: { type: 'boolean' } },
  allowPositionals: true,
});
if (!GROUPS.includes(positionals[0])) {
  console.error(`usage: lint.mjs ${GROUPS.join('|')} [--build DIR]`);
  process.exit(2);
}
const { default: rules, update } = await import(`./${positionals[0]}.mjs`);
if (values.update) await update?.(values.build && resolve(values.build));
const project = { files: readProject(), build: values.build && resolve(values.build) };
process.exitCode = await run(rules, project) ? 1 : 0;
