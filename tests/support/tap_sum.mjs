#!/usr/bin/env node
// Adds up test results: node tap_sum.mjs FILE...
//
// *.json is the testlog.json of `meson test`, anything else the TAP of `node --test`. Prints what failed and why, what
// was skipped and why, and as the last line "N passed, N failed, N skipped". Counts single test cases, not programs.

import { existsSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const TAIL_LINES = 40;
const LINE = /^(\s*)(not )?ok\b\s*\d*\s*-?\s*(.*?)(?:\s+# (SKIP|TODO)\b\s*(.*))?$/i;

const tail = (text) => (text ?? '').trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
const newResult = () => ({ passed: 0, failures: [], skips: [] });

// The YAML block behind line i of a TAP stream, "" without one.
function diagnosis(lines, i) {
  if (lines[i + 1]?.trim() !== '---') return '';
  const end = lines.findIndex((line, at) => at > i + 1 && line.trim() === '...');
  return lines.slice(i + 2, end < 0 ? i + 2 + TAIL_LINES : end).join('\n');
}

export function readTap(text, name) {
  const result = newResult();
  const lines = text.split('\n');
  let plan = null;
  let top = 0;
  lines.forEach((line, i) => {
    const planned = /^1\.\.(\d+)\s*(?:# SKIP\S*\s*(.*))?$/i.exec(line);
    if (planned) {
      plan = Number(planned[1]);
      if (plan === 0) result.skips.push({ name, reason: planned[2] ?? '' });
      return;
    }
    const match = LINE.exec(line);
    if (!match) return;
    const [, indent, not, title, directive, reason] = match;
    if (!indent) top++;
    const yaml = diagnosis(lines, i);
    const full = { name: `${name}: ${title}`, details: yaml };
    const group = /^\s*type: 'suite'$/m.test(yaml);
    if (directive?.toUpperCase() === 'SKIP') result.skips.push({ name: full.name, reason });
    else if (directive) return;
    else if (!not) result.passed += group ? 0 : 1;
    else if (!/failureType: 'subtestsFailed'/.test(yaml)) result.failures.push(full);
  });
  if (plan === null || plan !== top) {
    const details = `${top} of ${plan ?? '?'} results`;
    result.failures.push({ name: `${name}: ended early`, details, early: true });
  }
  return result;
}

// One entry of testlog.json.
export function readMesonTest(test) {
  const output = `${tail(test.stdout)}\n${tail(test.stderr)}`.trim();
  if (/^(TAP version|1\.\.\d|(not )?ok\b)/m.test(test.stdout ?? '')) {
    const result = readTap(test.stdout, test.name);
    for (const failure of result.failures) {
      if (!failure.details || failure.early) failure.details = [failure.details, test.result, tail(test.stderr)].join('\n').trim();
    }
    const good = ['OK', 'SKIP', 'EXPECTEDFAIL'].includes(test.result);
    if (!good && !result.failures.length) result.failures.push({ name: `${test.name}: ${test.result}`, details: output });
    return result;
  }
  const result = newResult();
  // A TAP program that prints nothing is "skipped" to meson.
  const silent = test.result === 'SKIP' && test.returncode === 0 && !test.stdout?.trim();
  if (test.result === 'OK' || test.result === 'EXPECTEDFAIL') result.passed++;
  else if (test.result === 'SKIP' && !silent) result.skips.push({ name: test.name, reason: tail(test.stdout).split('\n').pop() });
  else result.failures.push({ name: `${test.name}: ${silent ? 'no results' : test.result}`, details: output });
  return result;
}

function readFile(path) {
  if (!existsSync(path)) return [{ ...newResult(), failures: [{ name: `no results in ${path}`, details: '' }] }];
  const text = readFileSync(path, 'utf8');
  if (!path.endsWith('.json')) return [readTap(text, path.replace(/^.*\/|\.\w+$/g, ''))];
  return text.split('\n').filter(Boolean).map((line) => readMesonTest(JSON.parse(line)));
}

function main(files) {
  const results = files.flatMap(readFile);
  const failures = results.flatMap((result) => result.failures);
  const skips = results.flatMap((result) => result.skips);
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  for (const { name, details } of failures) console.log(`FAILED ${name}${details ? `\n${details.replace(/^/gm, '    ')}` : ''}`);
  for (const { name, reason } of skips) console.log(`skipped ${name}${reason ? ` (${reason})` : ''}`);
  console.log(`${passed} passed, ${failures.length} failed, ${skips.length} skipped`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main(process.argv.slice(2));
