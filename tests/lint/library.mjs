// Rules about what embedders see: the public headers and the names that libcodexcp.so exports.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { missing, run, complaints } from './command.mjs';
import { readRequired } from './project.mjs';

const PUBLIC = 'libcodexcp/include/codexcp/';
const DECLARATION = /^CODEXCP_API\b[^;{]*?\b(codexcp_\w+)\s*\([^;]*;/gm;
const WARNINGS = ['-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only', '-Ilibcodexcp/include'];

const publicHeaders = ({ files }) => files.filter(({ path }) => path.startsWith(PUBLIC) && path.endsWith('.h'));
const declarations = (project) => publicHeaders(project).flatMap((file) => (
  [...file.code.matchAll(DECLARATION)].map((match) => ({ file, name: match[1], at: match.index }))));

const listed = () => [...readRequired('libcodexcp/codexcp.sym').matchAll(/^\t(codexcp_\w+);$/gm)].map(([, name]) => name);

async function exported({ build }) {
  const { code, both } = await run('nm', ['-D', '--defined-only', '--format=posix', join(build, 'libcodexcp/libcodexcp.so')]);
  if (code !== 0) throw new Error(both);
  return both.trim().split('\n').map((line) => line.split(/[ @]/)[0]).filter((name) => !/^CODEXCP_\d/.test(name));
}

// What only tests may have stands in no file that is installed.
function findCrashPoints({ build }) {
  const files = ['libcodexcp/libcodexcp.so', 'server/codex-control-plane-mcp', 'admin/codex-control-plane-mcp-admin'];
  const holds = (file) => /CODEXCP_CRASH|ccp_crash|crash-points/.test(readFileSync(join(build, file), 'latin1'));
  return files.filter(holds).map((file) => `${file} has crash points`);
}

function differences(left, right, leftName, rightName) {
  const only = (a, b, where) => a.filter((name) => !b.includes(name)).map((name) => `${name}: only in ${where}`);
  return [...only(left, right, leftName), ...only(right, left, rightName)];
}

// A program of nothing but the header (and a declaration, since C wants one): it must bring all it needs.
const includeOnly = ({ path }) => `#include <codexcp/${path.slice(PUBLIC.length)}>\nextern int something;\n`;

async function jansson() {
  const { out } = await run('pkg-config', ['--cflags', 'jansson']);
  return out.trim().split(/\s+/).filter(Boolean);
}

async function compileEach(project, compiler, args) {
  const flags = [...WARNINGS, ...await jansson(), ...args, '-'];
  const results = publicHeaders(project).map((file) => complaints(compiler, flags, { input: includeOnly(file) }));
  return (await Promise.all(results)).flat();
}

const compiles = (compiler, language, standard) => ({
  name: `each public header compiles alone: ${compiler} as ${standard}`,
  skip: () => missing(compiler),
  check: (project) => compileEach(project, compiler, ['-x', language, `-std=${standard}`]),
});

// The comment that ends right before the declaration.
const isDocumented = ({ file, at }) => /\/\*\*(?:(?!\*\/)[\s\S])*\*\/\s*$/.test(file.text.slice(0, at));

export default [
  {
    name: 'codexcp.sym lists what the public headers declare',
    check: (project) => {
      const names = declarations(project).map(({ name }) => name);
      return names.length ? differences(listed(), names, 'codexcp.sym', 'the headers') : ['no declaration was found'];
    },
  },
  {
    name: 'codexcp.sym is sorted',
    check: () => (listed().join() === [...listed()].sort().join() ? [] : ['codexcp.sym is not sorted']),
  },
  {
    name: 'libcodexcp.so exports what codexcp.sym lists',
    check: async (project) => differences(listed(), await exported(project), 'codexcp.sym', 'libcodexcp.so'),
  },
  { name: 'there are no crash points where nobody asked for them', check: findCrashPoints },
  compiles('gcc', 'c', 'c17'),
  compiles('g++', 'c++', 'c++17'),
  compiles('clang', 'c', 'c17'),
  compiles('clang++', 'c++', 'c++17'),
  {
    name: 'comments of the public headers name the right parameters (-Wdocumentation)',
    skip: () => missing('clang'),
    check: (project) => compileEach(project, 'clang', ['-x', 'c', '-std=c17', '-Wdocumentation']),
  },
  {
    name: 'every exported function is documented',
    check: (project) => declarations(project).filter((each) => !isDocumented(each))
      .map(({ file, name }) => `${file.path}: ${name} has no comment`),
  },
];
