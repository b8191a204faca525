// The administrator's programs, run to their end.
//
//   const place = new Place();                       // a home, a directory of projects, nothing else
//   const { code, stdout, stderr, json } = await place.admin(['doctor']);
//   place.remove();

import { execFile } from 'node:child_process';
import { mkdirSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeTempDir, removeDir, testsDir } from '../support/codex_env.mjs';
import { program as server } from './mcp_server.mjs';

const built = (folder, name) => join(testsDir, '..', 'build', folder, name);

export const admin = resolve(process.env.CCP_ADMIN ?? built('admin', 'codex-control-plane-mcp-admin'));
export const hooks = resolve(process.env.CCP_HOOKS ?? built('hooks', 'codex-control-plane-mcp-hooks'));

const TIMEOUT_MS = 90000;

// { code, signal, stdout, stderr, json }; json is what stdout holds, undefined when that is no JSON.
export function run(program, args, options = {}) {
  return new Promise((done) => {
    execFile(program, args, { timeout: TIMEOUT_MS, ...options }, (error, stdout, stderr) => {
      let json;
      try { json = JSON.parse(stdout); } catch { /* for people */ }
      done({ code: error ? error.code : 0, signal: error?.signal, stdout, stderr, json });
    });
  });
}

export class Place {
  constructor(variables = {}) {
    this.dir = realpathSync(makeTempDir('codexcp-admin'));
    this.home = this.makeDir('home');
    this.projects = this.makeDir('projects');
    this.variables = { PATH: '/usr/bin:/bin', HOME: this.home, ...variables };
    for (const name of ['TMPDIR', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS']) {
      if (process.env[name]) this.variables[name] = process.env[name];
    }
  }

  path(...names) {
    return join(this.dir, ...names);
  }

  makeDir(...names) {
    mkdirSync(this.path(...names), { recursive: true, mode: 0o700 });
    return this.path(...names);
  }

  get stateDb() {
    return join(this.home, '.local', 'state', 'codex-control-plane-mcp', 'codex-mcp-state.sqlite3');
  }

  // The server is the built one; `server: null` leaves it to be found.
  admin([command, ...rest], { cwd = this.projects, variables = {}, server: path = server } = {}) {
    const words = ['db', 'worker'].includes(command) ? [command, rest[0]] : [command];
    const where = path && command !== 'reference' ? ['--server', path] : [];
    return run(admin, [...words, ...where, ...rest.slice(words.length - 1)], { cwd, env: { ...this.variables, ...variables } });
  }

  remove() {
    removeDir(this.dir);
  }
}

export { server };
