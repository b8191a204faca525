// The files of the project as the rules see them: { path, text, code, bare, lines }. `code` is C without comments, `bare`
// also without what stands in quotes; both keep every line where it was.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const SKIPPED = /^(\.git|build.*|node_modules|subprojects|\.cache)$/;
const BINARY = /\.(png|ico|gz|zst|sqlite3)$/;
const TOKEN = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g;

const blank = (text) => text.replace(/[^\n]/g, ' ');
const isComment = (token) => token.startsWith('/');

export const isC = (path) => ['.c', '.h'].includes(extname(path));

export function makeFile(path, text) {
  const code = isC(path) ? text.replace(TOKEN, (token) => (isComment(token) ? blank(token) : token)) : text;
  const quotes = (token) => token[0] + blank(token.slice(1, -1)) + token[0];
  const bare = isC(path) ? code.replace(TOKEN, (token) => (isComment(token) ? token : quotes(token))) : text;
  return { path, text, code, bare, lines: text.split('\n') };
}

function walk(folder, paths = []) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !SKIPPED.test(entry.name)) walk(path, paths);
    else if (entry.isFile() && !BINARY.test(entry.name)) paths.push(path);
  }
  return paths;
}

// Every text file, sorted by path.
export function readProject() {
  return walk(root).sort().map((path) => makeFile(relative(root, path), readFileSync(path, 'utf8')));
}

// A file that must be there; a problem for the rule that asks, when it is not.
export function readRequired(path) {
  const full = join(root, path);
  if (!existsSync(full)) throw new Error(`${path} is missing`);
  return readFileSync(full, 'utf8');
}

// "path:line: what" for every match of a global pattern in text, a view of file.
export function places(file, text, pattern, what) {
  return [...text.matchAll(pattern)].map((match) => {
    const line = text.slice(0, match.index).split('\n').length;
    return `${file.path}:${line}: ${what(match)}`;
  });
}
