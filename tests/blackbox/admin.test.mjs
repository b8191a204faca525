// The administrator's program as a person or an installer runs it.

import assert from 'node:assert/strict';
import {
  chmodSync, existsSync, lstatSync, readdirSync, readFileSync, realpathSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { CODEX_VERSION, codexEnv, findCodex, testsDir } from '../support/codex_env.mjs';
import { missing as noLive, withEnv } from '../support/live_env.mjs';
import { admin, hooks, Place, run, server } from './admin_program.mjs';

const NAME = 'codex-control-plane-mcp';
const SECRET = 'sk-proj-abcdefghijklmnopqrstuvwxyz0123456789';
const noCodex = findCodex() ? false : 'Codex is not installed (npm ci in tests/)';

let place;
beforeEach(() => { place = new Place(); });
afterEach(() => place.remove());

const mode = (path) => (statSync(path).mode & 0o777).toString(8);
const serverOf = ({ json }) => json.mcpClientConfig.mcpServers[NAME];
const checkOf = ({ json }, name) => json.checks.find((check) => check.name === name);
const stepsOf = (report) => report.steps.map((step) => `${step.name} ${step.ok}`);

function fails(result, status, code, message) {
  assert.equal(result.code, status, result.stdout + result.stderr);
  assert.equal(result.json.ok, false);
  assert.equal(result.json.error.code, code);
  assert.match(result.json.error.message, message);
  return result.json.error;
}

// --- use ---

test('help lists what users need, and the build\'s own command works', async () => {
  const { code, stdout } = await run(admin, ['--help']);
  assert.equal(code, 0);
  for (const command of ['init', 'doctor', 'print-config', 'smoke']) assert.match(stdout, new RegExp(`^  ${command} `, 'm'));
  assert.doesNotMatch(stdout, /reference/);
  assert.match((await run(admin, ['--version'])).stdout, /^codex-control-plane-mcp-admin \d+\.\d+\.\d+\n$/);
});

for (const [args, message] of [[['intt'], /did you mean init/], [[], /no command/], [['init', '--nothing'], /--nothing/]]) {
  test(`wrong use: ${args.join(' ') || 'nothing'}`, async () => {
    const { code, stdout, stderr } = await run(admin, args);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, message);
  });
}

test('a full standard output is a failure', async () => {
  const { code, stderr } = await run('/bin/sh', ['-c', `"${admin}" print-config >/dev/full`], { env: place.variables });
  assert.equal(code, 1);
  assert.match(stderr, /cannot write/);
});

test('hooks promises nothing yet', async () => {
  assert.match((await run(hooks, ['--version'])).stdout, /^codex-control-plane-mcp-hooks \d+\.\d+\.\d+\n$/);
  const { code, stdout } = await run(hooks, ['--help']);
  assert.equal(code, 0);
  assert.doesNotMatch(stdout, /install|doctor/);
  for (const args of [['install', '--codex-home', 'x'], ['status'], []]) {
    const refused = await run(hooks, args);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /no hooks yet/);
  }
});

// --- print-config ---

test('the block names the server, the state and the roots', async () => {
  const result = await place.admin(['print-config']);
  assert.equal(result.code, 0);
  assert.equal(result.json.ok, true);
  assert.deepEqual(serverOf(result), {
    command: server,
    env: { CODEX_PROJECTS_ROOT: place.projects, CODEX_ALLOWED_ROOTS: place.projects, CODEX_MCP_STATE_DB: place.stateDb },
  });
  assert.deepEqual(result.json.warnings, []);
  assert.ok(!existsSync(dirname(place.stateDb)), 'printing makes nothing');
});

test('options become variables, with absolute paths', async () => {
  const [one, two] = [place.makeDir('one'), place.makeDir('two')];
  const result = await place.admin(['print-config', '--codex-home', '../codex', '--state-db', 'state/x.sqlite3',
    '--projects-root', '../one', '--allowed-root', one, '--allowed-root', '../two']);
  assert.deepEqual(serverOf(result).env, {
    CODEX_HOME: place.path('codex'),
    CODEX_PROJECTS_ROOT: one,
    CODEX_ALLOWED_ROOTS: `${one};${two}`,
    CODEX_MCP_STATE_DB: join(place.projects, 'state', 'x.sqlite3'),
  });
});

test('a projects root alone is the allowed root', async () => {
  const root = place.makeDir('root');
  const { env } = serverOf(await place.admin(['print-config', '--projects-root', root]));
  assert.deepEqual([env.CODEX_PROJECTS_ROOT, env.CODEX_ALLOWED_ROOTS], [root, root]);
});

test('nobody opens the home directory by standing in it', async () => {
  const result = await place.admin(['print-config'], { cwd: place.home });
  assert.deepEqual(Object.keys(serverOf(result).env), ['CODEX_MCP_STATE_DB']);
  assert.match(result.json.warnings.join(), /no allowed root.*CODEX_PROJECTS_ROOT/);
});

test('what the environment says stands in the block, secrets do not', async () => {
  const variables = {
    CODEX_MCP_EXECUTION_MODE: 'inline', CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL: '2', CODEX_BINARY_PATH: '/opt/codex/codex',
    OPENAI_API_KEY: SECRET, CODEX_API_KEY: SECRET, DEEPSEEK_API_KEY: SECRET, UNKNOWN: 'x',
  };
  const result = await place.admin(['print-config'], { variables });
  const { env } = serverOf(result);
  assert.equal(env.CODEX_MCP_EXECUTION_MODE, 'inline');
  assert.equal(env.CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL, '2');
  assert.equal(env.CODEX_BINARY_PATH, '/opt/codex/codex');
  assert.ok(!('UNKNOWN' in env));
  assert.ok(!result.stdout.includes(SECRET));
});

test('a configuration file is named, its secrets stay in it', async () => {
  const file = place.path('config.json');
  writeFileSync(file, JSON.stringify({ projects_root: 'projects', codex_home: 'codex', app_server_env: { API_TOKEN: SECRET }, odd: 1 }));
  const variables = { CODEX_CONTROL_PLANE_MCP_CONFIG: '../config.json' };
  const result = await place.admin(['print-config'], { variables, cwd: place.makeDir('elsewhere') });
  const { env } = serverOf(result);
  assert.equal(env.CODEX_CONTROL_PLANE_MCP_CONFIG, file);
  assert.equal(env.CODEX_PROJECTS_ROOT, place.projects);
  assert.equal(env.CODEX_HOME, place.path('codex'));
  assert.match(result.json.warnings.join(), /unknown key odd/);
  const doctor = await place.admin(['doctor', '--skip-smoke'], { variables });
  assert.deepEqual(doctor.json.configuration.options.app_server_env, ['API_TOKEN']);
  for (const { stdout } of [result, doctor]) assert.ok(!stdout.includes(SECRET));
});

test('wrong configuration is named, and exits 2', async () => {
  const file = place.path('config.json');
  writeFileSync(file, '{"max_active_turns_global": "many"}');
  for (const command of ['init', 'doctor', 'print-config', 'smoke']) {
    const fromFile = await place.admin([command], { variables: { CODEX_CONTROL_PLANE_MCP_CONFIG: file } });
    const { details } = fails(fromFile, 2, 'CODEX_CONFIG_INVALID', /max_active_turns_global: expected an integer/);
    assert.deepEqual([details.file, details.key], [file, 'max_active_turns_global']);
    const fromVariable = await place.admin([command], { variables: { CODEX_MCP_EXECUTION_MODE: 'sometimes' } });
    fails(fromVariable, 2, 'CODEX_CONFIG_INVALID', /CODEX_MCP_EXECUTION_MODE: expected auto/);
  }
  const told = await place.admin(['doctor', '--text'], { variables: { CODEX_CONTROL_PLANE_MCP_CONFIG: '/nowhere.json' } });
  assert.equal(told.code, 2);
  assert.match(told.stderr, /CODEX_CONFIG_INVALID: \/nowhere\.json: there is no such file/);
});

// --- clients ---

const yaml = () => createRequire(join(testsDir, 'package.json'))('yaml');
const JSON_CLIENTS = {
  'claude-code': { keys: ['mcpServers'], more: {} },
  cursor: { keys: ['mcpServers'], more: {} },
  vscode: { keys: ['servers'], more: { type: 'stdio' } },
  openclaw: { keys: ['mcp', 'servers'], more: {} },
};
// A directory that needs quoting everywhere.
const ODD = 'a "quoted" \\ $HOME: #ünïcode\u007f\t{x}';

async function print(client) {
  const root = place.makeDir(ODD);
  const result = await place.admin(['print-config', '--client', client, '--projects-root', root, '--codex-home', place.path('codex')]);
  assert.equal(result.code, 0, result.stderr);
  const env = { CODEX_HOME: place.path('codex'), CODEX_PROJECTS_ROOT: root, CODEX_ALLOWED_ROOTS: root, CODEX_MCP_STATE_DB: place.stateDb };
  return { ...result, env };
}

for (const [client, { keys, more }] of Object.entries(JSON_CLIENTS)) {
  test(`${client} gets its own form`, async () => {
    const { json, env } = await print(client);
    const expected = keys.reduceRight((inner, key) => ({ [key]: inner }), { [NAME]: { ...more, command: server, env } });
    assert.deepEqual(json, expected);
  });
}

test('hermes gets YAML', async () => {
  const { stdout, env } = await print('hermes');
  assert.deepEqual(yaml().parse(stdout), { mcp_servers: { [NAME]: { command: server, env } } });
});

test('codex gets TOML that the real Codex reads', { skip: noCodex }, async () => {
  const { stdout, env } = await print('codex');
  const home = place.makeDir('codex');
  writeFileSync(join(home, 'config.toml'), `model = "x"\n\n${stdout}`);
  const listed = await run(findCodex(), ['mcp', 'list', '--json'], { env: codexEnv(home) });
  assert.equal(listed.code, 0, listed.stderr);
  const [{ name, transport }] = listed.json;
  assert.equal(name, NAME);
  assert.deepEqual([transport.type, transport.command, transport.env], ['stdio', server, env]);
});

test('an unknown client is wrong use, and nothing is printed that could be appended', async () => {
  const { code, stdout, stderr } = await place.admin(['print-config', '--client', 'kursor']);
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /--client: expected one of .*; did you mean cursor/);
  fails(await place.admin(['init', '--client', 'nobody']), 2, 'INVALID_ARGUMENT', /--client/);
  assert.ok(!existsSync(dirname(place.stateDb)), 'nothing was made');
});

// --- --write ---

const write = (file, ...args) => place.admin(['print-config', '--write', file, ...args]);
const backupsOf = (file) => readdirSync(dirname(file)).filter((name) => name.startsWith(`${file.split('/').pop()}.codex-control-plane-backup-`));

test('--write makes a file', async () => {
  const file = place.path('mcp.json');
  const { json } = await write(file);
  assert.deepEqual(json.written, { file, changed: true });
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), json.mcpClientConfig);
  assert.equal(mode(file), '600');
  assert.deepEqual(backupsOf(file), []);
});

test('--write leaves what is not ours, in its order and with its numbers', async () => {
  const file = place.path('mcp.json');
  const text = '\ufeff{"zeta": 0.1, "big": 1e300, "count": 9007199254740993, "mcpServers": {"other": {"command": "ü", "b": 1, "a": null},'
    + ` "${NAME}": {"disabled": false, "command": "python", "args": ["-m", "old"], "env": {"MY": "own", "CODEX_MCP_STATE_DB": "/old"}},`
    + ' "last": {}}, "alpha": ["\\u0000", {}]}';
  writeFileSync(file, text, { mode: 0o640 });
  const { json, code } = await write(file);
  assert.equal(code, 0);
  assert.equal(json.written.changed, true);
  const after = readFileSync(file, 'utf8');
  const value = JSON.parse(after);
  assert.deepEqual(Object.keys(value), ['zeta', 'big', 'count', 'mcpServers', 'alpha']);
  assert.deepEqual(Object.keys(value.mcpServers), ['other', NAME, 'last']);
  assert.deepEqual(value.mcpServers.other, { command: 'ü', b: 1, a: null });
  assert.deepEqual(value.alpha, ['\0', {}]);
  assert.match(after, /"zeta": 0\.1,\n {2}"big": 1e\+?300,\n {2}"count": 9007199254740993,/);
  const ours = value.mcpServers[NAME];
  assert.deepEqual(Object.keys(ours), ['disabled', 'command', 'env']);
  assert.equal(ours.command, server);
  assert.deepEqual(ours.env, { MY: 'own', ...serverOf({ json }).env });
  assert.equal(mode(file), '640');
  assert.equal(readFileSync(json.written.backup, 'utf8'), text);
  assert.equal(mode(json.written.backup), '640');
});

test('--write writes nothing when nothing changes', async () => {
  const file = place.path('mcp.json');
  await write(file);
  const text = JSON.stringify(JSON.parse(readFileSync(file, 'utf8')));
  writeFileSync(file, text);
  const { ino } = statSync(file);
  const { json } = await write(file);
  assert.deepEqual(json.written, { file, changed: false });
  assert.equal(readFileSync(file, 'utf8'), text);
  assert.equal(statSync(file).ino, ino);
  assert.deepEqual(backupsOf(file), []);
});

test('backups of one second do not overwrite each other', async () => {
  const file = place.path('mcp.json');
  const texts = [];
  writeFileSync(file, '{}');
  for (let i = 0; i < 4; i++) {
    texts.push(readFileSync(file, 'utf8'));
    assert.equal((await write(file, '--state-db', place.path(`state-${i}.sqlite3`))).json.written.changed, true);
  }
  const kept = backupsOf(file).map((name) => readFileSync(place.path(name), 'utf8'));
  assert.deepEqual(kept.sort(), texts.sort());
});

test('--write follows a link and leaves it one', async () => {
  const [file, link] = [place.path('dotfiles.json'), place.path('mcp.json')];
  writeFileSync(file, '{}');
  symlinkSync(file, link);
  const { json } = await write(link);
  assert.equal(json.written.file, realpathSync(file));
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.ok(JSON.parse(readFileSync(file, 'utf8')).mcpServers[NAME]);
});

for (const [client, { keys }] of Object.entries(JSON_CLIENTS)) {
  test(`--write for ${client}`, async () => {
    const file = place.path('settings.json');
    writeFileSync(file, JSON.stringify({ theme: 'dark', [keys[0]]: {} }));
    const { json } = await write(file, '--client', client);
    const value = JSON.parse(readFileSync(file, 'utf8'));
    assert.deepEqual(value, { theme: 'dark', ...json.mcpClientConfig });
    assert.equal(json.client, client);
  });
}

const BROKEN = [
  ['a comment', '{\n  // mine\n  "a": 1\n}', /line 2 column 3/],
  ['a comma at the end', '{\n  "a": 1,\n}', /line 3 column 1/],
  ['nothing', '', /line 1/],
  ['an array', '[]', /JSON object/],
  ['a key that stands twice', '{"a": 1, "a": 2}', /duplicate/],
  ['a number that is too large', '{"a": 99999999999999999999}', /too big/],
  ['servers that are no object', '{"mcpServers": []}', /"mcpServers" is not an object/],
  ['a server that is no object', `{"mcpServers": {"${NAME}": "x"}}`, /is not an object/],
];
for (const [what, text, message] of BROKEN) {
  test(`--write leaves a file with ${what}`, async () => {
    const file = place.path('mcp.json');
    writeFileSync(file, text);
    const error = fails(await write(file), 2, 'INVALID_ARGUMENT', message);
    assert.ok(error.message.startsWith(file), error.message);
    assert.equal(readFileSync(file, 'utf8'), text);
    assert.deepEqual(backupsOf(file), []);
  });
}

for (const client of ['codex', 'hermes']) {
  test(`--write does not touch the file of ${client}`, async () => {
    const file = place.path('config');
    writeFileSync(file, '# mine\n');
    fails(await write(file, '--client', client), 2, 'INVALID_ARGUMENT', /comments; append what "print-config/);
    assert.equal(readFileSync(file, 'utf8'), '# mine\n');
  });
}

test('--write into a directory that is not there', async () => {
  fails(await write(place.path('nowhere', 'mcp.json')), 1, 'CODEX_INTERNAL', /nowhere/);
});

// --- init ---

test('init in a fresh home', async () => {
  const result = await place.admin(['init']);
  assert.equal(result.code, 0, result.stdout);
  const { json } = result;
  assert.equal(json.ok, true);
  assert.equal(json.stateDb, place.stateDb);
  assert.deepEqual(json.hooks, { skipped: true });
  assert.equal(json.protocolSmoke.returnCode, 0);
  assert.equal(json.protocolSmoke.serverInfo.name, NAME);
  assert.ok(json.protocolSmoke.steps.every((step) => step.ok));
  assert.equal(serverOf(result).env.CODEX_MCP_STATE_DB, place.stateDb);
  assert.equal(mode(dirname(place.stateDb)), '700');
  assert.equal(mode(place.stateDb), '600');
  assert.equal((await place.admin(['init', '--skip-hooks', '--skip-smoke'])).code, 0, 'again');
  const doctor = await place.admin(['doctor', '--skip-smoke']);
  assert.equal(checkOf(doctor, 'state').detail, place.stateDb);
});

test('init without the smoke test, for people, into a file', async () => {
  const file = place.path('mcp.json');
  const { code, stdout } = await place.admin(['init', '--skip-smoke', '--text', '--write', file]);
  assert.equal(code, 0);
  assert.match(stdout, /"mcpServers"/);
  assert.ok(JSON.parse(readFileSync(file, 'utf8')).mcpServers[NAME]);
});

test('init with a client whose form is no JSON', async () => {
  const { json } = await place.admin(['init', '--skip-smoke', '--client', 'codex']);
  assert.match(json.mcpClientConfig, /^\[mcp_servers\.codex-control-plane-mcp\]\n/);
});

test('init refuses a state directory that others can read, and says what to do', async () => {
  const open = place.makeDir('open');
  chmodSync(open, 0o755);
  const error = fails(await place.admin(['init', '--state-db', join(open, 'x.sqlite3')]), 1, 'CODEX_STATE_UNAVAILABLE', /chmod 700/);
  assert.equal(error.details.reason, 'not_private');
  assert.deepEqual(readdirSync(open), []);
});

test('init warns of a state that a turn could write to', async () => {
  const { json, code } = await place.admin(['init', '--skip-smoke', '--state-db', 'state/x.sqlite3']);
  assert.equal(code, 0);
  assert.match(json.warnings.join(), /inside the allowed root/);
});

for (const [what, program] of [['ends at once', '/bin/false'], ['is not there', '/nowhere/server']]) {
  test(`init writes no client's file for a server that ${what}`, async () => {
    const file = place.path('mcp.json');
    const { code, json } = await place.admin(['init', '--write', file], { server: program });
    assert.equal(code, 1);
    assert.equal(json.ok, false);
    assert.equal(json.protocolSmoke.ok, false);
    assert.equal(json.protocolSmoke.steps.at(-1).ok, false);
    assert.ok(!existsSync(file));
  });
}

test('the server is found beside the program', async () => {
  const bin = place.makeDir('bin');
  const copies = [[admin, `${NAME}-admin`], [server, NAME]].map(([from, name]) => {
    writeFileSync(join(bin, name), readFileSync(from), { mode: 0o755 });
    return join(bin, name);
  });
  const { json } = await run(copies[0], ['print-config'], { cwd: place.projects, env: place.variables });
  assert.equal(serverOf({ json }).command, copies[1]);
});

// --- doctor ---

test('doctor finds nothing wrong with a real Codex', { skip: noCodex }, async () => {
  const result = await place.admin(['doctor'], { variables: { CODEX_BINARY_PATH: findCodex() } });
  assert.equal(result.code, 0, result.stdout);
  const { json } = result;
  assert.equal(json.ok, true);
  assert.deepEqual(json.codex, { path: findCodex(), version: `codex-cli ${CODEX_VERSION}` });
  assert.ok(json.checks.every((check) => check.ok));
  assert.deepEqual(json.hooks, { skipped: true });
  assert.equal(json.protocolSmoke.ok, true);
  assert.ok(['systemd_unit', 'container', 'plain'].includes(json.workerLifetime.case));
  assert.equal(typeof json.workerLifetime.survivesClient, 'boolean');
  assert.deepEqual(json.configuration.allowedRoots, [place.projects]);
  assert.equal(json.configuration.options.max_active_turns_global, 4);
  assert.ok(!existsSync(dirname(place.stateDb)), 'looking makes nothing');
});

test('doctor tells a container by what its processes are told', async () => {
  const { json } = await place.admin(['doctor', '--skip-smoke'], { variables: { container: 'podman' } });
  assert.equal(json.workerLifetime.case, 'container');
});

test('doctor names everything that is wrong', async () => {
  const open = place.makeDir('open');
  chmodSync(open, 0o755);
  const variables = { CODEX_BINARY_PATH: '/nowhere/codex', CODEX_HOME: place.path('nowhere'), CODEX_MCP_STATE_DB: join(open, 'x.sqlite3'),
    CODEX_ALLOWED_ROOTS: place.path('gone') };
  const result = await place.admin(['doctor', '--skip-smoke'], { variables });
  assert.equal(result.code, 1);
  assert.equal(result.json.ok, false);
  assert.match(checkOf(result, 'codex').detail, /\/nowhere\/codex does not exist; set CODEX_BINARY_PATH/);
  assert.match(checkOf(result, 'codex_home').detail, /does not exist/);
  assert.match(checkOf(result, 'state').detail, /chmod 700/);
  assert.match(checkOf(result, 'allowed_roots').detail, /no allowed root/);
  assert.match(result.json.warnings.join(), /gone does not exist/);
  assert.deepEqual(result.json.protocolSmoke, { skipped: true });
  const people = await place.admin(['doctor', '--skip-smoke', '--text'], { variables });
  assert.equal(people.code, 1);
  assert.equal(people.stdout.match(/^FAILED /gm).length, 4);
});

test('doctor asks the Codex that is there', async () => {
  const fake = place.path('codex');
  for (const [script, message] of [['exit 3', /has failed \(3\)/], ['echo broken >&2; exit 1', /broken/], ['exit 0', /has failed/]]) {
    writeFileSync(fake, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const result = await place.admin(['doctor', '--skip-smoke'], { variables: { CODEX_BINARY_PATH: fake } });
    assert.equal(result.code, 1);
    assert.match(checkOf(result, 'codex').detail, message);
  }
});

test('doctor sees a database that is none', async () => {
  const state = place.makeDir('state');
  writeFileSync(join(state, 'x.sqlite3'), 'no database, whatever it is called\n'.repeat(100), { mode: 0o600 });
  const result = await place.admin(['doctor', '--skip-smoke', '--state-db', join(state, 'x.sqlite3')]);
  assert.equal(checkOf(result, 'state').ok, false);
  assert.equal(checkOf(result, 'state').error.code, 'CODEX_STATE_UNAVAILABLE');
});

// --- smoke ---

const PROTOCOL = ['start', 'initialize', 'ping', 'tools/list', 'server/discover', 'tools/list, modern', 'end'];

test('smoke speaks both eras', async () => {
  const { code, json } = await place.admin(['smoke']);
  assert.equal(code, 0);
  assert.deepEqual(json.steps.map((step) => step.name), PROTOCOL);
  assert.ok(json.steps.every((step) => step.ok && step.milliseconds >= 0));
  assert.equal(json.returnCode, 0);
  const people = await place.admin(['smoke', '--scenario', 'protocol', '--text', '--cwd', '/']);
  assert.equal(people.stdout.match(/^ok /gm).length, PROTOCOL.length);
});

for (const [args, message] of [
  [['--scenario', 'protocl'], /--scenario.*did you mean protocol/], [['--timeout-seconds', '0'], /--timeout-seconds/],
  [['--timeout-seconds', 'soon'], /--timeout-seconds/], [['--cwd', '/nowhere'], /--cwd/],
]) {
  test(`smoke ${args.join(' ')}`, async () => {
    fails(await place.admin(['smoke', ...args]), 2, 'INVALID_ARGUMENT', message);
  });
}

const serverSays = (line) => `#!/bin/sh\nread request\necho '${line}'\nread rest\n`;
for (const [what, script, message] of [
  ['talks', serverSays('Welcome!'), /no JSON-RPC: Welcome!/],
  ['is another one', serverSays('{"jsonrpc":"2.0","id":1,"result":{"serverInfo":{"name":"other"}}}'), /it is other/],
  ['refuses', serverSays('{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"not today"}}'), /not today/],
  ['dies', '#!/bin/sh\nread request\necho last words >&2\nkill -9 $$\n', /ended \(-9\): last words/],
]) {
  test(`smoke of a server that ${what}`, async () => {
    const program = place.path('server');
    writeFileSync(program, script, { mode: 0o755 });
    const { code, json } = await place.admin(['smoke'], { server: program });
    assert.equal(code, 1);
    assert.deepEqual(stepsOf(json), ['start true', 'initialize false']);
    assert.match(json.steps[1].detail, message);
  });
}

const smokeTask = (env, ...args) => run(admin, ['smoke', '--server', server, '--scenario', 'safe-operation', '--cwd', env.project, ...args],
  { env: env.variables });

test('a safe operation of the real Codex', { skip: noLive, timeout: 120000 }, () => withEnv({}, async (env) => {
  const { code, json } = await smokeTask(env);
  assert.equal(code, 0, JSON.stringify(json, null, 1));
  assert.deepEqual(stepsOf(json), ['start', 'initialize', 'submit', 'retry', 'wait', 'report', 'end'].map((name) => `${name} true`));
  assert.ok(json.finalReport.text);
  assert.equal(json.finalReport.text, json.steps[5].detail);
  assert.equal(await env.asked('MCP LIVE TEST / DO NOT MODIFY FILES'), 1);
  const client = await env.client();
  const status = await client.status(json.operationId, { detail: 'full' });
  assert.equal(status.status, 'completed');
  assert.deepEqual([status.cwd, status.effective.sandbox, status.effective.approvalPolicy], [env.project, 'read-only', 'never']);
  assert.deepEqual(readdirSync(env.project), []);
}));

test('a safe operation that does not end in time is stopped', { skip: noLive, timeout: 120000 }, async () => {
  const variables = { CODEX_MCP_EXECUTION_MODE: 'client' };
  await withEnv({ variables }, async (env) => {
    const { code, json } = await smokeTask(env, '--timeout-seconds', '1');
    assert.equal(code, 1);
    assert.deepEqual(stepsOf(json).slice(-2), ['wait false', 'interrupt true']);
    assert.match(json.steps.at(-2).detail, /still queued: no worker runs/);
    const client = await env.client();
    assert.equal((await client.status(json.operationId)).status, 'interrupted');
  });
});

test('a safe operation outside of the roots is refused', { skip: noLive, timeout: 120000 }, () => withEnv({}, async (env) => {
  const { code, json } = await smokeTask(env, '--cwd', '/');
  assert.equal(code, 1);
  assert.deepEqual(stepsOf(json).at(-1), 'submit false');
  assert.equal(json.steps.at(-1).error.details.error.code, 'INVALID_ARGUMENT');
}));

// --- reference ---

for (const [page, start] of [['tools', '# Tools\n'], ['config', '# Configuration\n'], ['errors', '| code |'], ['state-machines', '# State machines\n']]) {
  test(`reference ${page}`, async () => {
    const { code, stdout } = await place.admin(['reference', page]);
    assert.equal(code, 0);
    assert.ok(stdout.startsWith(start), stdout.slice(0, 100));
  });
}

test('the example of the reference is a configuration', async () => {
  const { stdout } = await place.admin(['reference', 'config-example']);
  const file = place.path('config.json');
  writeFileSync(file, stdout);
  const { code, json } = await place.admin(['doctor', '--skip-smoke'], { variables: { CODEX_CONTROL_PLANE_MCP_CONFIG: file } });
  assert.equal(code, 1, 'its directories are not there');
  assert.equal(json.configuration.configFile, file);
});

test('reference of no page', async () => {
  fails(await place.admin(['reference', 'nothing']), 2, 'INVALID_ARGUMENT', /PAGE/);
});

// --- db ---

test('db: before there is a database', async () => {
  for (const args of [['check'], ['backup', place.path('copy')]]) {
    const error = fails(await place.admin(['db', ...args]), 1, 'CODEX_STATE_UNAVAILABLE', /init or the first task makes it/);
    assert.deepEqual(error.details, { path: place.stateDb, reason: 'missing' });
  }
  assert.equal(existsSync(place.path('copy')), false);
  assert.equal(existsSync(dirname(place.stateDb)), false);
});

test('db: check, backup, prune, vacuum', async () => {
  assert.equal((await place.admin(['init', '--skip-smoke'])).code, 0);
  const check = await place.admin(['db', 'check']);
  assert.equal(check.code, 0);
  assert.equal(check.json.path, place.stateDb);
  assert.ok(check.json.checks.length >= 8 && check.json.checks.every(({ ok }) => ok));

  const copy = place.path('copy.sqlite3');
  const backup = await place.admin(['db', 'backup', copy]);
  assert.deepEqual(backup.json, { ok: true, path: place.stateDb, backup: copy, bytes: statSync(copy).size });
  assert.equal(mode(copy), '600');
  fails(await place.admin(['db', 'backup', copy]), 2, 'INVALID_ARGUMENT', /exists/);
  fails(await place.admin(['db', 'backup']), 2, 'INVALID_ARGUMENT', /FILE/);
  const another = place.path('another.sqlite3');
  const text = await place.admin(['db', 'backup', another, '--text', '--state-db', place.stateDb]);
  assert.equal(text.stdout, `${another}: ${statSync(another).size} bytes\n`);
  // The copy is a state database like any other.
  assert.equal((await place.admin(['db', 'check', '--state-db', copy])).code, 0);

  const prune = await place.admin(['db', 'prune', '--older-than', '12h', '--keep', '5', '--dry-run']);
  assert.equal(prune.code, 0);
  assert.equal(prune.json.dryRun, true);
  assert.equal(prune.json.operations, 0);
  assert.equal((await place.admin(['db', 'prune', '--text'])).stdout, 'removed 0 operations, 0 rows\n');
  assert.equal((await place.admin(['db', 'vacuum'])).json.mode, 'full');
});

for (const [args, message] of [
  [['prune', '--older-than', 'soon'], /--older-than: expected an age such as 30d/],
  [['prune', '--older-than', '0d'], /--older-than/],
  [['prune', '--keep', '-1'], /--keep/],
]) {
  test(`db ${args.join(' ')}`, async () => {
    fails(await place.admin(['db', ...args]), 2, 'INVALID_ARGUMENT', message);
  });
}

test('db check says what is wrong, and exits 1', async () => {
  assert.equal((await place.admin(['init', '--skip-smoke'])).code, 0);
  writeFileSync(place.stateDb, 'no database at all\n'.repeat(500));
  const error = fails(await place.admin(['db', 'check']), 1, 'CODEX_STATE_UNAVAILABLE', /damaged/);
  assert.equal(error.details.reason, 'corrupt');
});
