// The C programs of this folder: one batch in, one line of JSON out.

import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// The value that so many percent of all are not above.
export function percentile(values, percent) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1];
}

export const initialize = {
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
};
export const call = (name, args) => ({ method: 'tools/call', params: { name, arguments: args } });

// A program that measures: { us: [microseconds], answer } a batch.
class Meter {
  constructor(command, args, options = {}) {
    this.child = spawn(command, args, { ...options, stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.exited = new Promise((done, failed) => {
      this.child.once('error', failed);
      this.child.once('exit', done);
    });
  }

  async measure(batch) {
    this.child.stdin.write(`${batch}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`${this.child.spawnfile} has ended`);
    return JSON.parse(value);
  }

  async close() {
    this.child.stdin.end();
    if (await this.exited !== 0) throw new Error(`${this.child.spawnfile} failed`);
  }
}

// A server behind bench-latency. Requests are { method, params }.
export class Latency extends Meter {
  constructor({ dir, server, env, cwd }) {
    super(join(dir, 'bench-latency'), [server], { env, cwd });
    this.nextId = 1;
  }

  batch(verb, requests, args = []) {
    const lines = requests.map((request) => JSON.stringify({ jsonrpc: '2.0', id: this.nextId++, ...request }));
    return this.measure([[verb, requests.length, ...args].join(' '), ...lines].join('\n'));
  }

  spawn(count, program) {
    return this.measure(`spawn ${count} ${program}`);
  }

  greet(requests) {
    return this.batch('greet', requests);
  }

  // At once one after the other, or one each so many milliseconds.
  ask(requests, everyMs = 0) {
    return this.batch('ask', requests, [everyMs]);
  }
}

export class CommitFloor extends Meter {
  constructor({ dir, file, bytes }) {
    super(join(dir, 'bench-commit-floor'), [file, String(bytes)]);
  }

  commit(count) {
    return this.measure(count);
  }
}

export const store = (dir, ...args) => execFileSync(join(dir, 'bench-store'), args.map(String), { encoding: 'utf8' }).trim();

// The best of the medians of several rounds: what is left when the machine's other users are quiet. Floors get the same.
export class Rounds {
  constructor() {
    this.medians = [];
    this.samples = 0;
  }

  add({ us }) {
    this.medians.push(median(us));
    this.samples += us.length;
  }

  get best() {
    return Math.min(...this.medians);
  }
}
