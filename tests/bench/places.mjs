// Directories of the benchmark, all below one on the disk of the build: fsync on a memory file system costs nothing.

import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';

export const makeRoot = (parent) => {
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, 'bench-'));
};

// A state directory, projects, and the environment of a server that uses them.
export function makePlace(root, name, { projects = ['project'], home, env = {} } = {}) {
  const dir = join(root, name);
  const place = { dir, stateDb: join(dir, 'state', 'codex-mcp-state.sqlite3') };
  mkdirSync(join(dir, 'state'), { recursive: true, mode: 0o700 });
  place.projects = projects.map((project) => join(dir, project));
  for (const project of place.projects) mkdirSync(project);
  place.env = {
    PATH: process.env.PATH,
    HOME: dir,
    CODEX_HOME: home ?? join(dir, 'codex-home'),
    CODEX_MCP_STATE_DB: place.stateDb,
    CODEX_ALLOWED_ROOTS: place.projects.join(';'),
    ...env,
  };
  return place;
}
