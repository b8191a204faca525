// Processes that are not our children: whether they live, what they are, and waiting for their end.

import { readdirSync, readFileSync } from 'node:fs';

const LOOK_MS = 25;
const GONE_MS = 10000;

// The first true value of test(). Nothing tells when a process that is not our child ends, so it is asked again.
export async function until(test, what, timeoutMs = GONE_MS) {
  const begin = performance.now();
  for (;;) {
    const value = await test();
    if (value) return value;
    if (performance.now() - begin > timeoutMs) throw new Error(`timed out: ${what}`);
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

function readProc(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

// A zombie has ended, whether or not anybody has looked.
export const isAlive = (pid) => /^State:\s+[^ZX]/m.test(readProc(pid, 'status'));

export const isStopped = (pid) => /^State:\s+T/m.test(readProc(pid, 'status'));

export const parentOf = (pid) => Number(/^PPid:\s+(\d+)/m.exec(readProc(pid, 'status'))?.[1]);

// { pid, args } of the processes that have the line NAME=VALUE in their environment.
export function processesWith(line) {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
    .filter((pid) => isAlive(pid) && readProc(pid, 'environ').split('\0').includes(line))
    .map((pid) => ({ pid, args: readProc(pid, 'cmdline').split('\0') }));
}

// The pids of processes whose command line is this.
export function processesRunning(line) {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
    .filter((pid) => isAlive(pid) && readProc(pid, 'cmdline').split('\0').join(' ').trim() === line);
}

export async function killAndSee(pid, signal = 'SIGKILL') {
  process.kill(pid, signal);
  await until(() => !isAlive(pid), `the end of process ${pid}`);
}

// A process that stands still goes on; one that has ended is left alone.
export function letRun(pid) {
  if (isAlive(pid)) process.kill(pid, 'SIGCONT');
}
