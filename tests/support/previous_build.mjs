// The program as it was before the newest schema: built from the project's own history, for tests of upgrades.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeTempDir, removeDir, testsDir } from './codex_env.mjs';

// The last commit with schema 1.
const PREVIOUS = '75c56fb4a132afbffb39e3f21d916a857375b690';

const top = dirname(testsDir);
const git = (...args) => spawnSync('git', ['-C', top, ...args], { encoding: 'utf8' });

// Why it cannot be built, or false.
export const previousIsMissing = git('cat-file', '-e', `${PREVIOUS}^{commit}`).status === 0
  ? false : 'the history that has the previous version is not here';

// Builds the server; returns its path and what removes it.
export function buildPrevious() {
  const dir = makeTempDir('codexcp-previous');
  const source = join(dir, 'source');
  const build = join(dir, 'build');
  mkdirSync(source);
  const archive = execFileSync('git', ['-C', top, 'archive', PREVIOUS], { maxBuffer: 1 << 28 });
  execFileSync('tar', ['-x', '-C', source], { input: archive });
  execFileSync('meson', ['setup', build, source], { stdio: 'pipe' });
  execFileSync('ninja', ['-C', build, 'server/codex-control-plane-mcp'], { stdio: 'pipe' });
  const program = join(build, 'server', 'codex-control-plane-mcp');
  if (!existsSync(program)) throw new Error('the previous version was not built');
  return { program, remove: () => removeDir(dir) };
}
