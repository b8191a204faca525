// Pages that are printed from tables: what stands in docs/ is what the program prints.
//
// `codex-control-plane-mcp-admin reference PAGE` prints one. With --update the pages are written instead of compared.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from './command.mjs';
import { readRequired, root } from './project.mjs';

const EXAMPLE = 'docs/examples/codex-control-plane-mcp.config.json';
const PAGES = [
  { page: 'tools', path: 'docs/TOOLS.md' },
  { page: 'config', path: 'docs/CONFIGURATION.md' },
  { page: 'state-machines', path: 'docs/STATE-MACHINES.md' },
  { page: 'errors', path: 'docs/API_CONTRACT.md', between: ['<!-- errors: printed -->\n', '<!-- errors: end -->\n'] },
  { page: 'config-example', path: EXAMPLE },
];

async function printed(build, page) {
  const { code, out, both } = await run(join(build, 'admin/codex-control-plane-mcp-admin'), ['reference', page]);
  if (code !== 0 || !out) throw new Error(`reference ${page}: ${both.trim() || `ended with ${code}`}`);
  return out;
}

// The printed part of a page, and what stands around it.
function parts(path, between) {
  const text = readRequired(path);
  if (!between) return { before: '', part: text, after: '' };
  const [start, end] = [text.indexOf(between[0]) + between[0].length, text.indexOf(between[1])];
  if (start < between[0].length || end < start) throw new Error(`${path} has no ${between.join('... ')}`);
  return { before: text.slice(0, start), part: text.slice(start, end), after: text.slice(end) };
}

function firstDifference(path, is, wanted) {
  const [a, b] = [is.split('\n'), wanted.split('\n')];
  const at = b.findIndex((line, i) => line !== a[i]);
  const i = at < 0 ? b.length : at;
  return `${path}: line ${i + 1} of what is printed differs:\n  page:    ${a[i] ?? '(none)'}\n  printed: ${b[i] ?? '(none)'}`;
}

async function checkPage({ build }, { page, path, between }) {
  const wanted = await printed(build, page);
  const { part } = parts(path, between);
  return part === wanted ? [] : [firstDifference(path, part, wanted)];
}

export async function update(build) {
  for (const { page, path, between } of PAGES) {
    const text = await printed(build, page);
    const { before, after } = between ? parts(path, between) : { before: '', after: '' };
    writeFileSync(join(root, path), before + text + after);
  }
}

// The real server, started with the example as its file, must say that it read it.
async function loadExample({ build }) {
  const dir = mkdtempSync(join(tmpdir(), 'ccp-lint-'));
  const env = {
    PATH: process.env.PATH,
    HOME: dir,
    CODEX_CONTROL_PLANE_MCP_CONFIG: join(root, EXAMPLE),
    CODEX_MCP_STATE_DB: join(dir, 'state', 'lint.sqlite3'),
    CODEX_MCP_EXECUTION_MODE: 'client',
  };
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'codex_health_summary', arguments: {} } };
  try {
    const { out, both } = await run(join(build, 'server/codex-control-plane-mcp'), [], { env, input: `${JSON.stringify(call)}\n` });
    const text = JSON.parse(out || 'null')?.result?.content[0].text;
    const answer = JSON.parse(text ?? 'null');
    if (!answer?.ok) return [`the server does not take ${EXAMPLE}: ${both}`];
    return answer.paths.configFile === env.CODEX_CONTROL_PLANE_MCP_CONFIG ? [] : [`${EXAMPLE} was not read`];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

// Links, relative to the page, and the files and test cases that promises name, relative to the project.
function checkNames({ path, text }) {
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, name]) => join(dirname(path), name));
  const files = [...text.matchAll(/`((?:tests|libcodexcp|server|docs)\/[\w./-]+\.\w+)`/g)].map(([, name]) => name);
  const gone = [...links, ...files].filter((name) => !/_(N|NAME)\./.test(name) && !existsSync(join(root, name)));
  return gone.map((name) => `${path}: there is no ${name}`);
}

// "`file`: words" in a table of promises: the file has these words.
function checkCases({ path, text }) {
  const rows = text.split('\n').filter((line) => line.startsWith('|')).join('\n');
  const named = [...rows.matchAll(/`(tests\/[\w./-]+)`: ([\w ]+)/g)];
  return named.filter(([, file, words]) => existsSync(join(root, file)) && !readRequired(file).includes(words.trim()))
    .map(([, file, words]) => `${path}: ${file} has no "${words.trim()}"`);
}

const documents = ({ files }) => files.filter(({ path }) => path.endsWith('.md'));

export default [
  ...PAGES.map((each) => ({
    name: `${each.path} is what the program prints`,
    check: (project) => checkPage(project, each),
  })),
  {
    name: 'documents name files and tests that exist',
    check: (project) => documents(project).flatMap((file) => [...checkNames(file), ...checkCases(file)]),
  },
  { name: 'the example configuration is one that loads', check: loadExample },
];
