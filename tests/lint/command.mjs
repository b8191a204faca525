// Programs that the rules run.

import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root } from './project.mjs';

export function findProgram(name) {
  return (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export const missing = (name) => (name.startsWith('/') || findProgram(name) ? undefined : `${name} is not installed`);

// { code, out, both } of a program that ran in the project's directory; `input` goes to its standard input.
export function run(program, args, { input = '', env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, env });
    let out = '';
    let both = '';
    child.stdout.on('data', (data) => { out += data; both += data; });
    child.stderr.on('data', (data) => { both += data; });
    child.stdin.on('error', () => {});
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, both }));
    child.stdin.end(input);
  });
}

// What a program has to say when it does not succeed.
export async function complaints(program, args, options) {
  const { code, both } = await run(program, args, options);
  return code === 0 ? [] : [both.trim() || `${program} ended with ${code}`];
}

// Applies an async function to all, `width` at a time.
export async function forAll(list, width, fn) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < list.length) {
      const i = next++;
      results[i] = await fn(list[i]);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
