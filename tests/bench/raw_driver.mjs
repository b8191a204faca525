// The least a client can do to run turns: threads and turns on an app-server of its own, nothing stored, four at a time.

import { AppServer } from '../support/codex_env.mjs';

export const IN_FLIGHT = 4;

export class RawDriver {
  static async start({ home, cwd }) {
    const driver = new RawDriver();
    driver.server = await AppServer.start({ home, cwd });
    return driver;
  }

  async runTask({ cwd, message }) {
    const thread = await this.server.startThread({ cwd, sandbox: 'read-only', approvalPolicy: 'on-request' });
    const { completed } = await this.server.runTurn(thread.id, message);
    if (completed.status !== 'completed') throw new Error(`raw turn: ${JSON.stringify(completed)}`);
  }

  // Milliseconds from the first thread/start to the last turn/completed.
  async run(tasks) {
    const left = [...tasks];
    const lane = async () => {
      for (let task = left.shift(); task; task = left.shift()) await this.runTask(task);
    };
    // What earlier tasks have left behind is looked through by every wait.
    this.server.inbox.length = 0;
    const begin = performance.now();
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
    return performance.now() - begin;
  }

  stop() {
    return this.server.stop();
  }
}
