// An MCP client of a few lines, on nothing but Node: starts the server, speaks JSON lines.
//
//   const client = await RawClient.start({ program, env, cwd });
//   const answer = await client.call('codex_health_summary');
//   await client.close();

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const PROTOCOL = '2025-11-25';

export class RawClient {
  static async start({ program, env, cwd }) {
    const client = new RawClient();
    const begin = performance.now();
    client.child = spawn(program, { env, cwd, stdio: ['pipe', 'pipe', 'inherit'] });
    client.pending = new Map();
    client.nextId = 1;
    client.child.stdin.on('error', () => {});
    // The end of what the server says, and of the server.
    client.outputEnded = new Promise((done) => { client.child.stdout.once('end', done); });
    client.exited = new Promise((done) => {
      client.child.once('error', (error) => client.gone(error, done));
      client.child.once('exit', (code, signal) => client.gone(new Error(`the server has ended (${signal ?? code})`), done));
    });
    createInterface({ input: client.child.stdout }).on('line', (line) => client.receive(JSON.parse(line)));
    client.server = await client.request('initialize', {
      protocolVersion: PROTOCOL, capabilities: {}, clientInfo: { name: 'raw-client', version: '1' },
    });
    client.initializedMs = performance.now() - begin;
    client.send({ method: 'notifications/initialized' });
    return client;
  }

  gone(error, done) {
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
    done();
  }

  receive(message) {
    if (message.method === 'notifications/progress') {
      this.pending.get(message.params.progressToken)?.progress?.(message.params);
      return;
    }
    const { resolve, reject } = this.pending.get(message.id) ?? {};
    this.pending.delete(message.id);
    if (message.error) reject?.(new Error(message.error.message));
    else resolve?.(message.result);
  }

  send(message) {
    this.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  // `progress` is called with each notification that belongs to the request.
  request(method, params, progress) {
    const id = this.nextId++;
    const answer = new Promise((resolve, reject) => this.pending.set(id, { resolve, reject, progress }));
    this.send({ id, method, params: progress ? { ...params, _meta: { progressToken: id } } : params });
    return answer;
  }

  // The answer of a tool; one that says ok:false is an error.
  async call(tool, args = {}, progress = undefined) {
    const { structuredContent } = await this.request('tools/call', { name: tool, arguments: args }, progress);
    if (!structuredContent.ok) throw new Error(`${tool}: ${structuredContent.error.code}: ${structuredContent.error.message}`);
    return structuredContent;
  }

  close() {
    this.child.stdin.end();
    return this.exited;
  }

  kill() {
    this.child.kill('SIGKILL');
    return this.exited;
  }
}
