// clang-tidy over the library and the programs. What is checked stands in .clang-tidy.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { forAll, missing, run } from './command.mjs';
import { root } from './project.mjs';

const OURS = /^(libcodexcp|server|admin|hooks)\//;

// Every file once: the command database has one entry for each target that compiles it.
function compiled(build) {
  const commands = JSON.parse(readFileSync(join(build, 'compile_commands.json'), 'utf8'));
  const paths = commands.map(({ directory, file }) => relative(root, resolve(directory, file)));
  return [...new Set(paths)].filter((path) => OURS.test(path)).sort();
}

async function findings(build, path) {
  const { code, out } = await run('clang-tidy', ['--quiet', '-p', build, path]);
  const inProject = (line) => line.replace(/^[^:]+/, (place) => relative(root, resolve(build, place)));
  const found = out.split('\n').filter((line) => /: (warning|error): /.test(line)).map(inProject);
  return found.length || code === 0 ? found : [`${path}: clang-tidy ended with ${code}`];
}

export default [{
  name: 'clang-tidy finds nothing',
  skip: () => missing('clang-tidy'),
  check: async ({ build }) => {
    const results = await forAll(compiled(build), availableParallelism(), (path) => findings(build, path));
    return results.length ? [...new Set(results.flat())] : ['nothing was compiled'];
  },
}];
