// Rules that read the sources. Each has samples that break it: a rule that lets one pass is itself a problem.

import { basename, dirname } from 'node:path';
import { isC, makeFile, places } from './project.mjs';

// What a folder may include beside itself.
const BELOW = {
  base: [],
  runtime: ['base'],
  rpc: ['base', 'runtime'],
  store: ['base'],
  appserver: ['base', 'runtime', 'rpc'],
  domain: ['base', 'runtime', 'rpc', 'store', 'appserver'],
  service: ['base', 'runtime', 'rpc', 'store', 'appserver', 'domain'],
  server: ['base', 'runtime', 'rpc'],
  admin: ['base', 'runtime', 'rpc'],
  hooks: ['base', 'runtime', 'rpc'],
};
const PROGRAMS = ['server', 'admin', 'hooks'];

// Libraries that one folder hides from the rest.
const OWNERS = { 'uv.h': 'runtime', 'sqlite3.h': 'store', 'sodium.h': 'base', 'utf8proc.h': 'domain', 'wslay/wslay.h': 'appserver' };

const BANNED_FUNCTIONS = ['strcpy', 'strcat', 'sprintf', 'vsprintf', 'gets', 'strtok'];
const BANNED_OUTSIDE_TESTS = ['atoi', 'atol', 'system', 'popen', 'setlocale', 'umask'];
const BANNED_IN_LIBRARY = ['signal', 'sigaction', 'exit', '_exit', 'abort', 'printf', 'puts', 'perror'];
const BANNED_BELOW_MAIN = ['exit', '_exit', 'abort'];

// The command line parser is there to print for the programs; log.c has the programs' writer.
const PRINTING = ['libcodexcp/base/opt.c', 'libcodexcp/base/log.c'];
// The child's side of a fork can only leave by _exit().
const LEAVING = ['libcodexcp/runtime/process.c'];

const COLUMNS = 100;
const LINES_GOOD = 600;
const LINES_MAX = 900;
const FUNCTION_MAX = 100;

// Licences, lock files, recordings and other projects' schemas are not ours to word.
const FOREIGN = /^(LICENSE|tests\/package-lock\.json|tests\/support\/(schemas|recordings)\/)/;
const SELF = /^tests\/lint\//;

const folderOf = (path) => {
  const [top, next] = path.split('/');
  return top === 'libcodexcp' ? next : top;
};
const inProgram = (path) => PROGRAMS.includes(path.split('/')[0]);
const inLibrary = (path) => path.startsWith('libcodexcp/');
const isOurs = (path) => inLibrary(path) || inProgram(path);
const isPublic = (path) => path.startsWith('libcodexcp/include/');

const INCLUDE = /^#include\s+([<"])([^>"]+)[>"]/gm;
const includes = (file) => [...file.code.matchAll(INCLUDE)].map(([line, bracket, name]) => ({ line, bracket, name }));

function mayInclude(path, { bracket, name }) {
  const folder = folderOf(path);
  const [first] = name.split('/');
  if (isPublic(path)) return bracket === '<' && (first === 'codexcp' || name === 'jansson.h' || /^std\w+\.h$/.test(name));
  if (bracket === '"') return first === folder || BELOW[folder]?.includes(first);
  if (first === 'codexcp') return inProgram(path) || folder === 'service' || /(error|export|version)\.h$/.test(name);
  return (OWNERS[name] ?? folder) === folder;
}

const checkLayers = (file) => (isC(file.path) && isOurs(file.path)
  ? includes(file).filter((include) => !mayInclude(file.path, include)).map(({ line }) => `${file.path}: ${line}`)
  : []);

const SQL = /"[^"\n]*\b(SELECT\s+[\w*(].*\bFROM|INSERT\s+(OR \w+ )?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX)|PRAGMA\s+\w|BEGIN\s+IMMEDIATE)\b/g;

const checkSql = (file) => (isC(file.path) && isOurs(file.path) && folderOf(file.path) !== 'store'
  ? places(file, file.code, SQL, ([text]) => text.trim()) : []);

const FOREIGN_NAMES = [
  { pattern: /\b(?<!struct )uv_\w+/g, owner: 'runtime' },
  { pattern: /\bsqlite3_\w+/g, owner: 'store' },
];

function checkForeignNames(file) {
  if (!isC(file.path) || !isOurs(file.path)) return [];
  return FOREIGN_NAMES.filter(({ owner }) => folderOf(file.path) !== owner)
    .flatMap(({ pattern }) => places(file, file.bare, pattern, ([name]) => name));
}

function bannedIn(path) {
  const banned = [...BANNED_FUNCTIONS];
  if (!path.startsWith('tests/')) banned.push(...BANNED_OUTSIDE_TESTS);
  if (inLibrary(path)) banned.push(...BANNED_IN_LIBRARY);
  if (inProgram(path) && basename(path) !== 'main.c') banned.push(...BANNED_BELOW_MAIN);
  if (PRINTING.includes(path)) return banned.filter((name) => name !== 'printf');
  return LEAVING.includes(path) ? banned.filter((name) => name !== '_exit') : banned;
}

function checkBanned(file) {
  if (!isC(file.path)) return [];
  const call = new RegExp(`(?<![\\w.>])(${bannedIn(file.path).join('|')})\\s*\\(`, 'g');
  return places(file, file.bare, call, ([, name]) => `${name}()`);
}

// Each run of include lines: one kind of bracket (the file's own header apart), sorted.
function includeBlocks(file) {
  const blocks = [[]];
  for (const line of file.code.split('\n')) {
    const match = /^#include\s+([<"][^>"]+[>"])/.exec(line);
    if (match) blocks[blocks.length - 1].push(match[1]);
    else if (blocks[blocks.length - 1].length) blocks.push([]);
  }
  return blocks.filter((block) => block.length);
}

function checkIncludes(file) {
  if (!isC(file.path)) return [];
  const blocks = includeBlocks(file);
  const own = `"${folderOf(file.path)}/${basename(file.path, '.c')}.h"`;
  const problems = [];
  if (isOurs(file.path) && blocks.some((block, i) => block.includes(own) && (i > 0 || block.length > 1))) {
    problems.push(`${file.path}: ${own} stands first and alone`);
  }
  for (const block of blocks) {
    if ([...block].sort().join() !== block.join()) problems.push(`${file.path}: not sorted: ${block.join(' ')}`);
    if (new Set(block.map(([bracket]) => bracket)).size > 1) problems.push(`${file.path}: mixed: ${block.join(' ')}`);
  }
  // Several files may share a header of their folder: it stands first and alone, too.
  const hasOwn = blocks[0]?.length === 1 && blocks[0][0].startsWith(`"${folderOf(file.path)}/`);
  const kinds = blocks.slice(hasOwn ? 1 : 0).map(([[bracket]]) => bracket).join('');
  if (isOurs(file.path) && kinds.includes('"<')) problems.push(`${file.path}: system headers stand before ours`);
  return problems;
}

// A switch over an enumeration names every value; one over characters cannot.
function checkDefault(file) {
  if (!isC(file.path) || !isOurs(file.path)) return [];
  const lines = file.code.split('\n');
  return lines.flatMap((line, i) => {
    const [, indent] = /^(\s*)default:/.exec(line) ?? [];
    if (indent === undefined) return [];
    const labels = lines.slice(0, i).reverse();
    const label = labels.find((text) => text.startsWith(`${indent}case `) || text.startsWith(`${indent}switch `)) ?? '';
    return /case '/.test(label) ? [] : [`${file.path}:${i + 1}: a switch over an enum has no default`];
  });
}

const isCounted = (path) => /\.(c|h|mjs)$/.test(path);
const fileLength = (max) => (file) => (isCounted(file.path) && file.lines.length - 1 > max
  ? [`${file.path}: ${file.lines.length - 1} lines, more than ${max}`] : []);

// By our format a function's body begins and ends with a brace in the first column.
function checkFunctionLength(file) {
  if (!/\.c$/.test(file.path)) return [];
  let start = 0;
  return file.lines.flatMap((line, i) => {
    if (line === '{') start = i;
    return line === '}' && i - start - 1 > FUNCTION_MAX
      ? [`${file.path}:${start + 1}: a function of ${i - start - 1} lines, more than ${FUNCTION_MAX}`] : [];
  });
}

// Tables and samples, behind a tab, may be wider.
function checkComments(file) {
  if (!isC(file.path)) return [];
  const code = file.code.split('\n');
  const width = (line) => [...line].reduce((at, char) => (char === '\t' ? at + 8 - (at % 8) : at + 1), 0);
  return file.lines.flatMap((line, i) => (!code[i].trim() && !/^\s*\*\t/.test(line) && width(line) > COLUMNS
    ? [`${file.path}:${i + 1}: a comment of ${width(line)} columns`] : []));
}

const LATER = /\b(TO[D]O|FIX[M]E|X[X]X)\b/g;
// TAP knows a directive of that name.
const checkLater = (file) => (FOREIGN.test(file.path) || file.path === 'tests/support/tap_sum.mjs' ? []
  : places(file, file.text, LATER, ([word]) => word));

const OUTSIDE = [
  { pattern: /(?<![\w.$}/-])\/(work|Users|mnt)\//g, what: 'a path of one machine' },
  { pattern: /(?<![\w.$}/-])\/(home|root)\/(?!me\b|user\b)[\w.]/g, what: 'a path of one machine' },
  { pattern: /(\.\.\/)+shared\//g, what: 'a path outside the project' },
  { pattern: /\b(registry|proxy|mirror|index)\.(?!example)[\w-]+\.(org|com|dev|io|net)\b/g, what: 'a registry' },
];

const checkOutside = (file) => (FOREIGN.test(file.path) ? []
  : OUTSIDE.flatMap(({ pattern, what }) => places(file, file.text, pattern, ([match]) => `${what}: ${match}`)));

function checkWhitespace(file) {
  if (FOREIGN.test(file.path)) return [];
  const problems = places(file, file.text, /[ \t\r]+$/gm, () => 'white space at the end of a line');
  if (file.text && !/[^\n]\n$/.test(file.text)) problems.push(`${file.path}: ends without a line end, or with several`);
  return problems;
}

const perFile = (name, find, samples, more = {}) => ({
  name,
  samples,
  find,
  check: ({ files }) => files.flatMap(find),
  ...more,
});

const include = (name) => `#include ${name}\n`;
const lines = (n) => 'x\n'.repeat(n);

const rules = [
  perFile('a file includes only its own layer and those below', checkLayers, {
    'libcodexcp/store/a.c': include('"runtime/loop.h"'),
    'libcodexcp/appserver/a.c': include('"store/db.h"'),
    'libcodexcp/base/a.h': include('<uv.h>'),
    'libcodexcp/domain/a.c': include('<codexcp/codexcp.h>'),
    'libcodexcp/include/codexcp/a.h': include('"base/macro.h"'),
    'server/a.c': include('"service/tool.h"'),
  }),
  perFile('SQL stands in libcodexcp/store only', checkSql, {
    'libcodexcp/domain/a.c': 'run("UPDATE operations SET x = 1");\n',
    'server/a.c': 'run("SELECT id FROM operations");\n',
  }),
  perFile('uv_ and sqlite3_ stand in their own folder only', checkForeignNames, {
    'libcodexcp/service/a.c': 'uv_run(loop);\n',
    'libcodexcp/domain/a.c': 'sqlite3_step(statement);\n',
  }),
  perFile('no banned functions', checkBanned, {
    'libcodexcp/base/a.c': 'strcpy(a, b);\n',
    'libcodexcp/service/a.c': 'exit(1);\n',
    'server/a.c': 'umask(0);\n',
    'tests/unit/a.c': 'strcat(text, more);\n',
  }),
  perFile('includes are sorted, own header first', checkIncludes, {
    'libcodexcp/base/a.c': include('<string.h>') + include('<stdio.h>'),
    'libcodexcp/base/b.c': include('<stdio.h>') + include('"base/str.h"'),
    'libcodexcp/base/c.c': include('<stdio.h>') + '\n' + include('"base/c.h"'),
    'server/d.c': include('"base/str.h"') + '\n' + include('<stdio.h>'),
  }),
  perFile('no default in a switch over an enum', checkDefault, {
    'libcodexcp/base/a.c': 'switch (kind) {\ncase CCP_A:\n\tbreak;\ndefault:\n\tbreak;\n}\n',
  }),
  perFile(`files have at most ${LINES_MAX} lines`, fileLength(LINES_MAX), { 'server/a.c': lines(LINES_MAX + 1) },
    { warn: ({ files }) => files.flatMap(fileLength(LINES_GOOD)) }),
  perFile(`functions have at most ${FUNCTION_MAX} lines`, checkFunctionLength,
    { 'server/a.c': `int f(void)\n{\n${lines(FUNCTION_MAX + 1)}}\n` }),
  perFile(`comments keep to ${COLUMNS} columns`, checkComments, { 'server/a.c': `\t/* ${'word '.repeat(20)}*/\n` }),
  perFile('nothing is left for later', checkLater, { 'README.md': `${'TO'}${'DO'}: more\n` }),
  perFile('nothing names a place outside the project', checkOutside, {
    'a.md': `see ${'/wo'}${'rk'}/x\n`,
    'b.md': `see ../${'sha'}${'red'}/x\n`,
    'c.md': `from registry${'.np'}${'mjs'}.org\n`,
  }),
  perFile('no white space at the end', checkWhitespace, { 'a.c': 'int a; \n', 'b.c': 'int b;', 'c.c': 'int c;\n\n' }),
];

// A rule that cannot fail proves nothing.
const selfTest = {
  name: 'every rule catches its samples',
  check: () => rules.flatMap((rule) => Object.entries(rule.samples)
    .filter(([path, text]) => rule.find(makeFile(path, text)).length === 0)
    .map(([path, text]) => `"${rule.name}" lets pass in ${path}: ${text.slice(0, 60)}`)),
};

export default [selfTest, ...rules];
