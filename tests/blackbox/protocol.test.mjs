// The protocol as it stands on the wire: raw lines to the real program.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { makeTempDir, removeDir } from '../support/codex_env.mjs';
import cases from './cases.mjs';
import {
  endServers, initialize, LEGACY, MODERN, modernMeta, program, Server, serverEnv, submitOperation, waitCall,
  withServer, withTimeout,
} from './mcp_server.mjs';
import { compileSchema, missing as noSchemas, validator } from './schema.mjs';

const LINE_MAX = 16 * 1024 * 1024;
// The server has 200 ms to leave; the rest is for starting and ending a process on a busy machine.
const LEAVE_MS = 2000;

afterEach(endServers);

const ping = (id) => ({ jsonrpc: '2.0', id, method: 'ping' });

// Whether the value has at least what is expected; arrays are as long as expected, unless that is [{}].
function matches(actual, expected) {
  if (expected instanceof RegExp) return typeof actual === 'string' && expected.test(actual);
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual)) return false;
    const some = JSON.stringify(expected) === '[{}]';
    return some ? actual.length > 0 : actual.length === expected.length && expected.every((e, i) => matches(actual[i], e));
  }
  if (expected === null || typeof expected !== 'object') return actual === expected;
  return actual !== null && typeof actual === 'object'
    && Object.entries(expected).every(([key, value]) => matches(actual[key], value));
}

for (const { name, version, send, expect, latin1 } of cases) {
  test(`line: ${name}`, async () => {
    const server = Server.start();
    if (version) server.send(initialize(version));
    if (latin1) server.child.stdin.setDefaultEncoding('latin1');
    server.send(...send);
    const { code } = await server.close();
    const messages = server.messages.slice(version ? 1 : 0);
    assert.equal(code, 0, server.stderr);
    assert.ok(matches(messages, expect), `said ${JSON.stringify(messages, null, 1)}`);
    assert.equal(server.rest, '');
  });
}

for (const [asked, got] of [...LEGACY.map((v) => [v, v]), ['2026-07-28', '2025-11-25'], ['2024-10-07', '2025-11-25'],
  ['draft', '2025-11-25']]) {
  test(`initialize with ${asked} is answered with ${got}`, () => withServer({}, async (server) => {
    assert.equal((await server.initialize(asked)).result.protocolVersion, got);
  }));
}

// --- shapes, by the official schemas ---

for (const version of LEGACY) {
  test(`messages of ${version} fit its schema`, { skip: noSchemas }, () => withServer({}, async (server) => {
    const check = validator(version);
    const errorType = version === '2025-11-25' ? 'JSONRPCErrorResponse' : 'JSONRPCError';
    check('InitializeResult', (await server.initialize(version)).result);
    check('ListToolsResult', (await server.request(1, 'tools/list', {})).result);
    check('CallToolResult', (await server.request(2, 'tools/call', { name: 'codex_health_summary', arguments: {} })).result);
    check('CallToolResult', (await server.request(3, 'tools/call', { name: 'codex_wait', arguments: {} })).result);
    check('EmptyResult', (await server.request(4, 'ping')).result);
    check(errorType, await server.request(5, 'nothing'));
    check(errorType, await server.request(6, 'tools/call', { name: 'nothing' }));
    server.messages.forEach((message) => check('JSONRPCMessage', message));
  }));
}

test('messages of 2026-07-28 fit its schema', { skip: noSchemas }, () => withServer({}, async (server) => {
  const check = validator(MODERN);
  const _meta = modernMeta();
  check('DiscoverResultResponse', await server.request(1, 'server/discover', { _meta }));
  check('ListToolsResultResponse', await server.request(2, 'tools/list', { _meta }));
  check('CallToolResultResponse', await server.request(3, 'tools/call', { _meta, name: 'codex_health_summary' }));
  check('CallToolResultResponse', await server.request(4, 'tools/call', { _meta, name: 'codex_wait', arguments: {} }));
  check('UnsupportedProtocolVersionError', await server.request(5, 'tools/list', { _meta: modernMeta('1999-01-01') }));
  check('JSONRPCErrorResponse', await server.request(6, 'tools/call', { _meta, name: 'nothing' }));
  for (const { result } of server.messages.filter((message) => message.result)) {
    assert.equal(result._meta['io.modelcontextprotocol/serverInfo'].name, 'codex-control-plane-mcp');
  }
  server.messages.forEach((message) => check('JSONRPCMessage', message));
}));

test('tools have what their version knows', () => withServer({}, async (server) => {
  const known = {
    '2024-11-05': [false, false, false], '2025-03-26': [true, false, false],
    '2025-06-18': [true, true, true], '2025-11-25': [true, true, true],
  };
  for (const [version, keys] of Object.entries(known)) {
    server.send(initialize(version, version));
    const { result } = await server.request(`list ${version}`, 'tools/list');
    for (const tool of result.tools) {
      assert.deepEqual(['annotations', 'title', 'outputSchema'].map((key) => key in tool), keys, `${version} ${tool.name}`);
    }
  }
}));

test('input and output schemas are JSON Schema 2020-12, names are legal', { skip: noSchemas },
  () => withServer({}, async (server) => {
    await server.initialize('2025-11-25');
    const { tools } = (await server.request(1, 'tools/list')).result;
    for (const tool of tools) {
      assert.match(tool.name, /^[A-Za-z0-9_.-]{1,64}$/);
      assert.equal(tool.inputSchema.type, 'object');
      compileSchema(tool.inputSchema);
      if (tool.outputSchema) compileSchema(tool.outputSchema);
    }
    assert.equal(new Set(tools.map((tool) => tool.name)).size, tools.length);
  }));

test('the text of a result is its structured content', { skip: noSchemas }, () => withServer({}, async (server) => {
  await server.initialize('2025-06-18');
  const { tools } = (await server.request(1, 'tools/list')).result;
  for (const [id, name] of [[2, 'codex_health_summary'], [3, 'codex_wait']]) {
    const { result } = await server.request(id, 'tools/call', { name, arguments: {} });
    const { outputSchema } = tools.find((tool) => tool.name === name);
    assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
    assert.equal(result.isError, !result.structuredContent.ok);
    if (outputSchema) {
      const validate = compileSchema(outputSchema);
      assert.ok(validate(result.structuredContent), JSON.stringify(validate.errors));
    }
  }
}));

// --- framing ---

test('lines come in pieces', () => withServer({}, async (server) => {
  const bytes = Buffer.from(`${JSON.stringify(ping('äöü'))}\n`);
  for (const byte of bytes) {
    server.child.stdin.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  await server.answer('äöü');
}));

test('the last line needs no newline', async () => {
  const server = Server.start();
  server.child.stdin.write(`${JSON.stringify(ping(1))}\n${JSON.stringify(ping(2))}`);
  assert.equal((await server.close()).code, 0);
  assert.deepEqual(server.messages.map(({ id }) => id), [1, 2]);
});

test('a line of 16 MiB is read, a longer one is refused, the stream goes on', () => withServer({}, async (server) => {
  const [head, tail] = ['{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"', '"}}'];
  const line = (len) => head + 'x'.repeat(len - head.length - tail.length) + tail;
  server.send(line(LINE_MAX));
  assert.deepEqual((await server.answer(1)).result, {});
  server.send(line(LINE_MAX + 1), ping(2));
  await server.answer(2);
  const refused = server.messages.find(({ id }) => id === null);
  assert.equal(refused.error.code, -32600);
  assert.ok(refused.error.message.includes(String(LINE_MAX)));
  assert.equal(server.lines.length, 3);
}));

test('ten thousand requests in one go', async () => {
  const server = Server.start();
  server.send(...Array.from({ length: 10000 }, (_, id) => ping(id)));
  await server.answer(9999);
  await server.close();
  assert.deepEqual(server.messages.map(({ id }) => id), Array.from({ length: 10000 }, (_, id) => id));
});

// --- calls that wait ---

test('a call that waits holds nobody up', () => withServer({}, async (server) => {
  await server.initialize('2025-06-18');
  const operation = await submitOperation(server);
  server.send(waitCall('w', operation));
  await server.request(1, 'ping');
  await server.request(2, 'tools/call', { name: 'codex_health_summary', arguments: {} });
  assert.ok(!server.messages.some(({ id }) => id === 'w'));
}));

test('an id that is in use is refused', () => withServer({}, async (server) => {
  await server.initialize('2025-06-18');
  const operation = await submitOperation(server);
  server.send(waitCall(7, operation), ping('7'), ping(7));
  await server.answer('7');
  const { error } = await server.answer(7);
  assert.equal(error.code, -32600);
}));

test('a cancelled call is not answered and its id is free', () => withServer({}, async (server) => {
  await server.initialize('2025-06-18');
  const operation = await submitOperation(server);
  server.send(waitCall(7, operation));
  server.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7, reason: 'test' } }, ping(8));
  await server.answer(8);
  assert.ok(!server.messages.some(({ id }) => id === 7));
  server.send(ping(7));
  assert.deepEqual((await server.answer(7)).result, {});
}));

test('a batch is answered when its last call is', async () => {
  const server = Server.start();
  await server.initialize('2025-03-26');
  const operation = await submitOperation(server);
  server.send(JSON.stringify([ping(1), waitCall('w', operation)]), ping(2));
  await server.answer(2);
  const { code } = await server.close();
  assert.equal(code, 0);
  assert.deepEqual(server.messages.at(-1).map(({ id }) => id), [1, 'w']);
});

// --- the end ---

test('at the end of input a call that waits is answered with the present state', async () => {
  const server = Server.start();
  await server.initialize('2025-06-18');
  const operation = await submitOperation(server);
  server.send(waitCall('w', operation));
  const { code, signal, ms } = await server.close();
  assert.deepEqual([code, signal], [0, null]);
  assert.ok(ms < LEAVE_MS, `${ms} ms`);
  assert.equal((await server.answer('w')).result.structuredContent.ok, true);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
  test(`${signal} ends it`, async () => {
    const server = Server.start();
    await server.initialize('2025-06-18');
    const operation = await submitOperation(server);
    server.send(waitCall('w', operation), ping(1));
    await server.answer(1);
    server.child.kill(signal);
    const how = await server.exit();
    assert.deepEqual([how.code, how.signal], [0, null]);
    assert.ok(how.ms < LEAVE_MS, `${how.ms} ms`);
  });
}

test('a closed output ends it', async () => {
  const server = Server.start();
  await server.initialize('2025-06-18');
  server.child.stdout.destroy();
  server.send(ping(1));
  const { code, signal, ms } = await server.exit();
  assert.deepEqual([code, signal], [0, null]);
  assert.ok(ms < LEAVE_MS, `${ms} ms`);
});

test('an output that nobody reads does not hold it at the end', async () => {
  const server = Server.start();
  await server.initialize('2025-06-18');
  server.child.stdout.pause();
  server.send(...Array.from({ length: 200 }, (_, id) => ({ jsonrpc: '2.0', id, method: 'tools/list' })));
  server.child.stdin.end();
  const gone = new Promise((done) => server.child.once('exit', (code, signal) => done([code, signal])));
  assert.deepEqual(await withTimeout(gone, () => 'the end'), [0, null]);
  server.child.stdout.resume();
  await server.exit();
});

// --- what descriptors may be ---

// Runs the server from a shell command line; its answers as messages.
function shell(dir, command) {
  const { status, stdout, stderr, signal } = spawnSync('/bin/sh', ['-c', command], {
    cwd: dir, env: serverEnv(dir, { SERVER: program }), encoding: 'utf8', timeout: 20000,
  });
  return { status, signal, stderr, messages: stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line)) };
}

for (const [name, command, answers] of [
  ['a file', '"$SERVER" <in', 2],
  ['a file as output', '"$SERVER" <in >out; status=$?; cat out; exit $status', 2],
  ['a pipe', 'cat in | "$SERVER" | cat', 2],
  ['the null device', '"$SERVER" </dev/null', 0],
  ['nothing', '"$SERVER" <&-', 0],
]) {
  test(`the input may be ${name}`, () => {
    const dir = makeTempDir('codexcp-mcp');
    try {
      writeFileSync(join(dir, 'in'), `${JSON.stringify(ping(1))}\n${JSON.stringify(ping(2))}`);
      const { status, stderr, messages } = shell(dir, command);
      assert.equal(status, 0, stderr);
      assert.deepEqual(messages.map(({ id }) => id), [1, 2].slice(0, answers));
    } finally {
      removeDir(dir);
    }
  });
}

test('input and output may be one socket', async () => {
  const dir = makeTempDir('codexcp-mcp');
  const listener = createServer();
  let client;
  let socket;
  try {
    await new Promise((done) => listener.listen(join(dir, 'socket'), done));
    const accepted = new Promise((done) => listener.once('connection', done));
    client = connect(join(dir, 'socket'));
    socket = await accepted;
    const child = spawn(program, [], { stdio: [socket, socket, 'inherit'], env: serverEnv(dir) });
    const gone = new Promise((done) => child.once('exit', done).once('error', done));
    let said = '';
    client.on('data', (data) => { said += data; });
    client.end(`${JSON.stringify(ping(1))}\n`);
    assert.equal(await withTimeout(gone, () => 'the end'), 0);
    socket.destroy();
    await new Promise((done) => client.once('close', done));
    assert.deepEqual(JSON.parse(said).result, {});
  } finally {
    client?.destroy();
    socket?.destroy();
    listener.close();
    removeDir(dir);
  }
});

const noTerminal = existsSync('/usr/bin/script') ? false : 'the program `script` is not installed';

test('input and output may be a terminal', { skip: noTerminal }, () => {
  const dir = makeTempDir('codexcp-mcp');
  try {
    writeFileSync(join(dir, 'in'), `${JSON.stringify(ping(1))}\n`);
    const text = execFileSync('/bin/sh', ['-c', 'script -qec "$SERVER" /dev/null <in'], {
      cwd: dir, env: serverEnv(dir, { SERVER: program, TERM: 'dumb' }), encoding: 'utf8', timeout: 20000,
    });
    assert.ok(text.includes('{"jsonrpc":"2.0","id":1,"result":{}}'), text);
  } finally {
    removeDir(dir);
  }
});

test('a full output is an end, not a crash', { skip: existsSync('/dev/full') ? false : 'no /dev/full' }, async () => {
  const full = openSync('/dev/full', 'w');
  const server = Server.start({ stdout: full });
  closeSync(full);
  server.send(ping(1));
  const { code, signal } = await server.exit();
  assert.deepEqual([code, signal], [0, null]);
});

// --- starting ---

test('initialize, discover and tools/list touch no disk', async () => {
  const server = Server.start();
  server.send(initialize('2025-06-18'), { jsonrpc: '2.0', id: 1, method: 'tools/list' },
    { jsonrpc: '2.0', id: 2, method: 'server/discover', params: { _meta: modernMeta() } });
  server.child.stdin.end();
  await withTimeout(server.ended, () => 'the end');
  assert.deepEqual(server.messages.map(({ id }) => id), ['init', 1, 2]);
  assert.deepEqual(readdirSync(server.dir), []);
  assert.equal((await server.exit()).code, 0);
});

// --- the worker, as whoever starts it sees it ---

test('the worker says that it is ready, once, and ends on SIGTERM', async () => {
  const server = Server.start({ args: ['worker'] });
  await server.waitForLine(/^ready$/);
  server.child.kill('SIGTERM');
  const { code, signal } = await server.exit();
  assert.deepEqual([code, signal], [0, null], server.stderr);
  assert.deepEqual(server.lines, ['ready']);
});

test('the worker says why it fails', async () => {
  const server = Server.start({ args: ['worker'], env: { CODEX_MCP_EXECUTION_MODE: 'nonsense' } });
  await server.waitForLine(/^failed .+/);
  const { code } = await server.exit();
  assert.equal(code, 2);
  assert.equal(server.lines.length, 1);
});

// --- the command line ---

for (const [name, args, status, text] of [
  ['--version', ['--version'], 0, /^codex-control-plane-mcp \d+\.\d+\.\d+/],
  ['--help', ['--help'], 0, /worker/],
  ['worker --help', ['worker', '--help'], 0, /observe/],
  ['an unknown option', ['--nothing'], 2, /--nothing/],
  ['an unknown command', ['nothing'], 2, /nothing/],
]) {
  test(`command line: ${name}`, () => {
    const result = spawnSync(program, args, { encoding: 'utf8', timeout: 20000 });
    assert.equal(result.status, status);
    assert.match(status ? result.stderr : result.stdout, text);
    if (status) assert.equal(result.stderr.trimEnd().split('\n').length, 1);
  });
}
