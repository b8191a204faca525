// Rules that other programs decide: formatting, and the shell scripts. With --update the C files are formatted.

import { complaints, forAll, missing, run } from './command.mjs';
import { isC, readProject } from './project.mjs';

const ourC = ({ path }) => isC(path);
const isShell = ({ path, text }) => path.endsWith('.sh') || /^#!.*\b(ba)?sh\b/.test(text);
const isNode = ({ path }) => path.endsWith('.mjs');

const each = (name, program, args, wanted, width = 4) => ({
  name,
  skip: () => missing(program),
  check: async ({ files }) => {
    const paths = files.filter(wanted).map(({ path }) => path);
    return (await forAll(paths, width, (path) => complaints(program, [...args, path]))).flat();
  },
});

// Twice: what the first pass breaks anew the second one aligns.
export async function update() {
  const paths = readProject().filter(ourC).map(({ path }) => path);
  for (let pass = 0; pass < 2; pass++) await run('clang-format', ['-i', ...paths]);
}

export default [
  each('C is formatted as .clang-format says', 'clang-format', ['--dry-run', '-Werror'], ourC),
  each('shell scripts parse', 'bash', ['-n'], isShell),
  each('shell scripts pass shellcheck', 'shellcheck', [], isShell),
  each('Node scripts parse', process.execPath, ['--check'], isNode),
];
