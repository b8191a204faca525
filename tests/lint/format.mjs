// Rules that other programs decide: formatting, and the shell scripts.

import { complaints, forAll, missing } from './command.mjs';
import { isC } from './project.mjs';

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

export default [
  each('C is formatted as .clang-format says', 'clang-format', ['--dry-run', '-Werror'], ({ path }) => isC(path)),
  each('shell scripts parse', 'bash', ['-n'], isShell),
  each('shell scripts pass shellcheck', 'shellcheck', [], isShell),
  each('Node scripts parse', process.execPath, ['--check'], isNode),
];
