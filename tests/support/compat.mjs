#!/usr/bin/env node
// The live tests with each version of Codex, one after the other: compat.mjs --build DIR [--update]
//
// Prints a table; with --update it is written into docs/COMPATIBILITY.md. Fails when a test has failed.

import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findNode, newestCodex, programIn, testsDir } from './codex_env.mjs';
import { readTap } from './tap_sum.mjs';

const SUITE_TIMEOUT_MS = 10 * 60 * 1000;
const PAGE = join(testsDir, '..', 'docs', 'COMPATIBILITY.md');

const { values: options } = parseArgs({ options: { build: { type: 'string' }, update: { type: 'boolean' } } });
process.env.CODEXCP_BUILD_DIR = options.build;

// { name, codex }, oldest first; codex is null where a version does not exist for this machine.
function versions() {
  const place = join(testsDir, 'codex');
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'));
  const packages = Object.keys({ ...dependencies, ...optionalDependencies });
  const names = new Set(packages.map((name) => /^codex-(0\.\d+)/.exec(name)[1]));
  const programOf = (name) => [`codex-${name}`, `codex-${name}-linux-${process.arch}`]
    .map((directory) => programIn(join(place, 'node_modules', directory))).find(Boolean) ?? null;
  const older = [...names].sort((a, b) => a.split('.')[1] - b.split('.')[1]);
  return [...older.map((name) => ({ name, codex: programOf(name) })), { name: 'newest', codex: newestCodex() }];
}

// What the running instance says about itself, once a task has run there.
async function probe(codex) {
  process.env.CODEX_BIN = codex;
  const { withEnv } = await import('./live_env.mjs');
  let appServer;
  await withEnv({}, async (env) => {
    const client = await env.client();
    await client.run('SAY hello');
    ({ appServer } = await client.ok('codex_get_worker_status'));
  });
  return { version: appServer.codexVersion, transport: appServer.transport, lacks: appServer.unsupportedFeatures.map(({ feature }) => feature) };
}

// The TAP of the whole suite; what takes too long is ended, and counts as ended early.
function runSuite(codex) {
  const files = readdirSync(join(testsDir, 'live')).filter((name) => name.endsWith('.test.mjs')).sort();
  const args = ['--test', '--test-concurrency=2', '--test-reporter=tap', ...files.map((name) => join(testsDir, 'live', name))];
  const child = spawn(findNode(), args, {
    env: { ...process.env, CODEX_BIN: codex }, stdio: ['ignore', 'pipe', 'ignore'], timeout: SUITE_TIMEOUT_MS, killSignal: 'SIGTERM',
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (data) => { text += data; });
  return new Promise((done, failed) => {
    child.once('error', failed);
    child.once('close', () => done(text));
  });
}

async function tryVersion({ name, codex }) {
  if (!codex) return { name, absent: true };
  const begin = performance.now();
  const known = await probe(codex);
  const { passed, failures, skips } = readTap(await runSuite(codex), known.version);
  return { name, ...known, passed, failures, skips, seconds: Math.round((performance.now() - begin) / 1000) };
}

const byReason = (skips) => [...skips.reduce((all, { reason }) => all.set(reason, (all.get(reason) ?? 0) + 1), new Map())];
const row = (cells) => `| ${cells.join(' | ')} |`;
const cells = (result) => (result.absent ? [result.name, '', '', '', '', 'not made for this machine']
  : [result.version, result.transport, result.passed, result.failures.length, result.skips.length,
    result.skips.length ? `[why](#${result.version.replaceAll('.', '')})` : '']);

const table = (results) => [
  row(['Codex', 'transport', 'passed', 'failed', 'skipped', '']), row(Array(6).fill('---')), ...results.map((result) => row(cells(result))),
].join('\n');

const details = ({ version, lacks, skips }) => [`### ${version}`,
  `The running instance lacks: ${lacks.join('; ') || 'nothing'}.`,
  byReason(skips).map(([reason, n]) => `- ${n} skipped: ${reason}`).join('\n')].filter(Boolean).join('\n\n');

const page = (results) => `# Codex versions

What the live tests found with each version, on Linux ${process.arch}. Written by \`./bootstrap compat --update\`; \`./bootstrap test\` runs the
oldest and the newest. The version is asked of the running app-server, never of the file on disk; \`codex_health_summary\`
tells what it lacks in \`appServer.unsupportedFeatures\`.

${table(results)}

A group of tests that is skipped as a whole counts once.

What an old version means for its users:

- Before 0.130 there is no app-server on a socket: turns run on the worker's pipes and end with it. Calls from inside a turn do
  not say which thread calls; nothing may be started there, whatever \`max_depth\` says.
- Before 0.145 a turn does not carry the operation's id; after a loss it is found by its place in the thread's history.
- Before 0.146 a history calls failed turns completed, before 0.115 also those that were cut. A turn whose end nobody saw is
  completed only if the app-server that ran it still tells so; else it ends as \`unknown_after_app_server_exit\`.
- Before 0.147 a thread that is open in another Codex is not locked: do not use it in both.
- Before 0.163 Codex forgets a thread's sandbox and approval policy when it unloads the thread. They are given back when an
  operation of ours has set them; a thread from elsewhere gets those of Codex's configuration.

${results.filter((result) => !result.absent).map(details).join('\n\n')}
`;

if (!existsSync(join(options.build ?? '', 'server', 'codex-control-plane-mcp'))) {
  console.error('usage: compat.mjs --build DIR [--update]');
  process.exit(2);
}
const results = [];
for (const version of versions()) {
  const result = await tryVersion(version);
  results.push(result);
  console.log(result.absent ? `${result.name}: not made for this machine`
    : `${result.version} (${result.transport}): ${result.passed} passed, ${result.failures.length} failed, ${result.skips.length} skipped, ${result.seconds} s`);
  for (const { name, details: why } of result.failures ?? []) console.log(`FAILED ${name}\n${why.replace(/^/gm, '    ')}`);
}
console.log(`\n${table(results)}\n\n${results.filter((result) => !result.absent).map(details).join('\n\n')}`);
if (options.update) writeFileSync(PAGE, page(results));
process.exitCode = results.some((result) => result.failures?.length) ? 1 : 0;
