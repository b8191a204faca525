// Official clients against the real program: the SDK of the legacy era, the client of both eras, the inspector.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { findNode, makeTempDir, removeDir, resolvePackage, testsDir } from '../support/codex_env.mjs';
import { MODERN, program, serverEnv } from './mcp_server.mjs';

const modules = join(testsDir, 'node_modules', '@modelcontextprotocol');
const notInstalled = (name) => (existsSync(join(modules, name)) ? false : `${name} is not installed (npm ci in tests/)`);

const load = (name) => import(resolvePackage(`@modelcontextprotocol/${name}`));

async function loadLegacy() {
  const [{ Client }, { StdioClientTransport }] = [await load('sdk/client/index.js'), await load('sdk/client/stdio.js')];
  return { Client, StdioClientTransport };
}

async function loadDual() {
  // Resolved as an import: the package has another file for require().
  const dist = join(modules, 'client', 'dist');
  const [{ Client }, { StdioClientTransport }] = [await import(join(dist, 'index.mjs')), await import(join(dist, 'stdio.mjs'))];
  return { Client, StdioClientTransport };
}

const CLIENTS = [
  { name: 'sdk', needs: 'sdk', load: loadLegacy, options: {}, version: '2025-11-25' },
  { name: 'client, legacy', needs: 'client', load: loadDual, options: {}, version: '2025-11-25' },
  { name: 'client, auto', needs: 'client', load: loadDual, options: { versionNegotiation: { mode: 'auto' } }, version: MODERN },
  { name: 'client, pinned', needs: 'client', load: loadDual, options: { versionNegotiation: { mode: { pin: MODERN } } },
    version: MODERN },
];

async function withClient({ load: loadClient, options }, body) {
  const { Client, StdioClientTransport } = await loadClient();
  const dir = makeTempDir('codexcp-client');
  const client = new Client({ name: 'test', version: '1' }, options);
  const errors = [];
  client.onerror = (error) => errors.push(error);
  try {
    await client.connect(new StdioClientTransport({ command: program, cwd: dir, env: serverEnv(dir), stderr: 'ignore' }));
    await body(client, dir);
    assert.deepEqual(errors, []);
  } finally {
    await client.close();
    removeDir(dir);
  }
}

const payload = (result) => JSON.parse(result.content[0].text);

async function submit(client, dir, message) {
  const answer = payload(await client.callTool({
    name: 'codex_submit_task', arguments: { operation_type: 'start_chat', message, cwd: dir },
  }));
  assert.equal(answer.ok, true, JSON.stringify(answer));
  return answer.operationId ?? answer.operation_id;
}

for (const kind of CLIENTS) {
  const skip = notInstalled(kind.needs);
  const legacy = kind.version !== MODERN;
  const it = (name, body) => test(`${kind.name}: ${name}`, { skip, timeout: 60000 }, () => withClient(kind, body));

  it('connects', async (client) => {
    assert.equal(client.getServerVersion().name, 'codex-control-plane-mcp');
    assert.deepEqual(client.getServerCapabilities(), { tools: {} });
    assert.ok(client.getInstructions().length > 0);
    if (!legacy) assert.equal(client.getNegotiatedProtocolVersion(), kind.version);
    if (legacy) await client.ping();
  });

  it('lists tools and calls them', async (client) => {
    const { tools } = await client.listTools();
    const names = tools.map((tool) => tool.name);
    for (const name of ['codex_submit_task', 'codex_wait', 'codex_health_summary']) assert.ok(names.includes(name), name);
    const good = await client.callTool({ name: 'codex_health_summary', arguments: {} });
    assert.equal(payload(good).ok, true);
    assert.deepEqual(payload(good), good.structuredContent);
    const bad = await client.callTool({ name: 'codex_wait', arguments: {} });
    assert.equal(bad.isError, true);
    assert.equal(payload(bad).error.code, 'INVALID_ARGUMENT');
    await assert.rejects(client.callTool({ name: 'codex_nothing', arguments: {} }), { code: -32602 });
  });

  it('calls many at a time', async (client) => {
    const calls = Array.from({ length: 50 }, () => client.callTool({ name: 'codex_health_summary', arguments: {} }));
    for (const result of await Promise.all(calls)) assert.equal(payload(result).ok, true);
  });

  it('gives up waiting, and goes on', async (client, dir) => {
    const operation = await submit(client, dir, 'Nobody executes this.');
    const controller = new AbortController();
    const params = { name: 'codex_wait', arguments: { operation_id: operation, timeout_seconds: 60 } };
    // The second parameter is the options in one client, a schema in the other.
    const options = { signal: controller.signal };
    const waiting = kind.needs === 'sdk' ? client.callTool(params, undefined, options) : client.callTool(params, options);
    setTimeout(() => controller.abort('enough'), 50);
    await assert.rejects(waiting);
    assert.equal(payload(await client.callTool({ name: 'codex_health_summary', arguments: {} })).ok, true);
  });
}

const inspector = join(modules, 'inspector', 'clients', 'launcher', 'build', 'index.js');
const run = promisify(execFile);

async function inspect(...args) {
  const dir = makeTempDir('codexcp-inspector');
  try {
    const env = Object.entries(serverEnv(dir)).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    const { stdout } = await run(findNode(), [inspector, '--cli', ...env, program, ...args, '--format', 'json', '-q'], {
      cwd: dir, timeout: 60000,
      env: { ...serverEnv(dir), PATH: `${dirname(findNode())}:${process.env.PATH}`, MCP_INSPECTOR_SECRET_STORE: 'memory' },
    });
    return JSON.parse(stdout).result;
  } finally {
    removeDir(dir);
  }
}

for (const era of ['legacy', 'auto', 'modern']) {
  test(`inspector, ${era}`, { skip: notInstalled('inspector'), timeout: 120000 }, async () => {
    const listed = await inspect('--method', 'tools/list', '--strict', '--protocol-era', era);
    assert.ok(listed.tools.some((tool) => tool.name === 'codex_submit_task'));
    const called = await inspect('--method', 'tools/call', '--tool-name', 'codex_health_summary', '--protocol-era', era);
    assert.equal(called.structuredContent.ok, true);
  });
}
