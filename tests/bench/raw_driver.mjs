// The least a client can do to run turns on an app-server of its own: for each task the requests that our worker makes
// (thread/start, turn/start, thread/unsubscribe once the turn has ended, whose answer nobody waits for), as many tasks at
// a time as the server may run, and nothing stored. Its process has the environment of the server's app-server, but is
// talked to on its standard streams, which costs less than a socket.

import { AppServer } from '../support/codex_env.mjs';

export const IN_FLIGHT = 4;

export class RawDriver {
  static async start({ home, cwd }) {
    const driver = new RawDriver();
    driver.ended = new Map(); // thread -> who waits for the end of its turn
    driver.server = await AppServer.start({ home, cwd, env: { HOME: cwd } });
    driver.server.watchers.add(() => driver.take());
    return driver;
  }

  // Every message is looked at once and kept nowhere: a floor must not grow with what has been.
  take() {
    const { inbox, lines } = this.server;
    for (const { method, params } of inbox.splice(0)) {
      if (method === 'turn/completed') this.ended.get(params.threadId)?.(params.turn);
    }
    lines.length = 0;
  }

  async runTask({ cwd, message }) {
    const thread = await this.server.startThread({ cwd, sandbox: 'read-only', approvalPolicy: 'on-request' });
    const ended = new Promise((done) => { this.ended.set(thread.id, done); });
    await this.server.startTurn(thread.id, message);
    const { status, error } = await ended;
    this.ended.delete(thread.id);
    // Without it the process would have more and more threads loaded than the other one.
    this.server.request('thread/unsubscribe', { threadId: thread.id }).catch(() => {});
    if (status !== 'completed') throw new Error(`raw turn: ${status} ${JSON.stringify(error)}`);
  }

  // Milliseconds from the first thread/start to the last turn/completed.
  async run(tasks) {
    const left = [...tasks];
    const lane = async () => {
      for (let task = left.shift(); task; task = left.shift()) await this.runTask(task);
    };
    const begin = performance.now();
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
    return performance.now() - begin;
  }

  stop() {
    return this.server.stop();
  }
}
