// The worker as a person or a script controls it: `worker status|stop|restart` of the server, and the user unit of
// systemd that the administrator's program writes. A systemctl of the test's own stands in for the real one.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { isAlive } from '../support/processes.mjs';
import { Place, run, server } from './admin_program.mjs';

const UNIT = 'codex-control-plane-mcp.service';

let place;
beforeEach(() => { place = new Place(); });
afterEach(async () => {
  await worker('stop');
  place.remove();
});

const variables = () => ({ ...place.variables, CODEX_PROJECTS_ROOT: place.projects, CODEX_BINARY_PATH: '/nowhere/codex' });
const worker = (...args) => run(server, ['worker', ...args], { cwd: place.projects, env: variables() });

// --- the server's own commands ---

test('status works with nothing there, and makes nothing', async () => {
  const { code, json } = await worker('status');
  assert.equal(code, 3);
  assert.deepEqual([json.ok, json.running, json.stateDb], [true, false, place.stateDb]);
  const { code: same, stdout } = await worker('status', '--text');
  assert.equal(same, 3);
  assert.match(stdout, /^no worker runs\n/);
  assert.ok(!existsSync(dirname(place.stateDb)));
});

test('stop without a worker is done', async () => {
  const { code, json } = await worker('stop');
  assert.deepEqual([code, json.ok, json.running, json.stopped], [0, true, false, undefined]);
});

test('restart starts one, replaces it, and stop ends it', async () => {
  const first = await worker('restart');
  assert.equal(first.code, 0, first.stdout + first.stderr);
  assert.equal(first.json.stopped, undefined);
  const { pid } = first.json.worker;
  assert.ok(isAlive(pid));
  const status = await worker('status');
  assert.equal(status.code, 0);
  assert.deepEqual([status.json.running, status.json.worker.pid, status.json.worker.epoch], [true, pid, 1]);
  assert.deepEqual([status.json.worker.processState, status.json.worker.effectiveStatus], ['alive', 'running']);
  assert.equal(status.json.operations.activeOperationCount, 0);
  assert.equal(status.json.appServer.running, false);
  assert.ok(existsSync(status.json.logPath));
  assert.match((await worker('status', '--text')).stdout, new RegExp(`^a worker runs\nworker: pid ${pid}, version `));
  const second = await worker('restart');
  assert.deepEqual([second.code, second.json.stopped.pid], [0, pid]);
  assert.ok(!isAlive(pid));
  assert.deepEqual([second.json.running, second.json.worker.epoch], [true, 2]);
  const stopped = await worker('stop');
  assert.deepEqual([stopped.code, stopped.json.stopped.pid, stopped.json.running], [0, second.json.worker.pid, false]);
  assert.ok(!isAlive(second.json.worker.pid));
});

test('a worker that does not end in time is an error that says so', async () => {
  const { pid } = (await worker('restart')).json.worker;
  process.kill(pid, 'SIGSTOP');
  try {
    const { code, json } = await worker('stop', '--timeout', '1');
    assert.deepEqual([code, json.ok, json.error.code], [1, false, 'CODEX_TIMEOUT']);
    assert.match(json.error.message, new RegExp(`process ${pid}.*worker\\.log`));
    const text = await worker('stop', '--timeout', '1', '--text');
    assert.equal(text.code, 1);
    assert.match(text.stderr, /has not ended in time/);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
});

test('wrong use and wrong configuration exit 2', async () => {
  for (const args of [['stop', '--timeout', 'soon'], ['status', '--timeout', '1'], ['stpo'], ['stop', 'it']]) {
    assert.equal((await worker(...args)).code, 2, args.join(' '));
  }
  for (const seconds of ['-1', '0', '1s', '']) {
    assert.equal((await worker('stop', '--timeout', seconds)).code, 2, `--timeout ${seconds}`);
  }
  const env = { ...variables(), CODEX_MCP_EXECUTION_MODE: 'sometimes' };
  for (const command of ['status', 'stop', 'restart']) {
    const { code, json } = await run(server, ['worker', command], { env });
    assert.deepEqual([code, json.error.code], [2, 'CODEX_CONFIG_INVALID'], command);
  }
});

test('the worker of another database is left alone', async () => {
  const { pid } = (await worker('restart')).json.worker;
  const env = { ...variables(), CODEX_MCP_STATE_DB: place.path('other', 'x.sqlite3') };
  assert.equal((await run(server, ['worker', 'status'], { env })).code, 3);
  assert.equal((await run(server, ['worker', 'stop'], { env })).code, 0);
  assert.ok(isAlive(pid));
});

// --- the unit ---

const unitFile = () => join(place.home, '.config', 'systemd', 'user', UNIT);
const calls = () => (existsSync(place.path('calls')) ? readFileSync(place.path('calls'), 'utf8').trim().split('\n') : []);

// A systemctl that writes down what it is asked; `body` is the rest of its script.
function systemctl(body = '') {
  const path = join(place.makeDir('bin'), 'systemctl');
  writeFileSync(path, `#!/bin/sh\necho "$*" >>'${place.path('calls')}'\n${body}\n`, { mode: 0o755 });
  return { PATH: `${dirname(path)}:/usr/bin:/bin` };
}

const unit = (command, args = [], options = {}) => place.admin(['worker', command, ...args], options);
const steps = ({ json }) => json.steps.map(({ name, ok }) => `${name} ${ok}`);

test('enable writes the unit and has it started', async () => {
  const result = await unit('enable', [], { variables: systemctl() });
  assert.equal(result.code, 0, result.stdout);
  assert.deepEqual(steps(result), ['state true', 'unit true', 'reload true', 'enable true']);
  assert.deepEqual([result.json.unit, result.json.changed, result.json.started], [unitFile(), true, true]);
  assert.deepEqual(calls(), ['--user daemon-reload', `--user enable --now ${UNIT}`]);
  const text = readFileSync(unitFile(), 'utf8');
  assert.equal(result.json.text, text);
  assert.equal(statSync(unitFile()).mode & 0o777, 0o644);
  const log = join(dirname(place.stateDb), 'log', 'worker.log');
  assert.equal(statSync(log).mode & 0o777, 0o600);
  assert.doesNotMatch(text, /^UMask=/m, 'it would be that of every command of Codex');
  for (const line of [
    `ExecStart="${server}" worker --stay`, `Environment="CODEX_MCP_STATE_DB=${place.stateDb}"`,
    `Environment="CODEX_PROJECTS_ROOT=${place.projects}"`, `Environment="CODEX_ALLOWED_ROOTS=${place.projects}"`,
    `Environment="PATH=${place.path('bin')}:/usr/bin:/bin"`, 'Restart=on-failure', 'KillMode=process',
    `StandardError=append:${log}`, 'WantedBy=default.target',
  ]) assert.ok(text.split('\n').includes(line), `${line}\n${text}`);
  const again = await unit('enable', [], { variables: systemctl() });
  assert.deepEqual([again.code, again.json.changed], [0, false]);
  const other = await unit('enable', ['--state-db', place.path('state', 'x.sqlite3')], { variables: systemctl() });
  assert.deepEqual([other.code, other.json.changed], [0, true]);
  assert.match(readFileSync(unitFile(), 'utf8'), /state\/x\.sqlite3/);
});

test('--no-start only writes, and says the rest', async () => {
  const { code, json } = await unit('enable', ['--no-start'], { variables: systemctl() });
  assert.deepEqual([code, json.ok, json.started], [0, true, false]);
  assert.deepEqual(json.commands, ['systemctl --user daemon-reload', `systemctl --user enable --now ${UNIT}`]);
  assert.deepEqual(calls(), []);
  assert.ok(existsSync(unitFile()));
  const { stdout } = await unit('enable', ['--no-start', '--text'], { variables: systemctl() });
  assert.ok(stdout.includes('\nExecStart=') && stdout.includes('\nsystemctl --user daemon-reload\n'), stdout);
});

for (const [what, make] of [
  ['no user manager', () => systemctl('echo "Failed to connect to bus" >&2; exit 1')],
  ['no systemctl', () => ({ PATH: place.makeDir('empty') })],
]) {
  test(`${what}: the file is written, the way on is said, and that is no success`, async () => {
    const result = await unit('enable', [], { variables: make() });
    assert.equal(result.code, 1);
    assert.deepEqual(steps(result), ['state true', 'unit true', 'reload false']);
    assert.deepEqual([result.json.ok, result.json.started, result.json.commands.length], [false, false, 2]);
    assert.match(result.json.steps.at(-1).detail, /systemctl|bus/);
    assert.ok(existsSync(unitFile()));
    const { code, json } = await unit('disable', [], { variables: make() });
    assert.deepEqual([code, json.changed], [1, true]);
    assert.ok(!existsSync(unitFile()));
  });
}

test('the unit stands where XDG_CONFIG_HOME says, and what is odd in a path is escaped', async () => {
  const config = place.makeDir('config');
  const odd = place.makeDir('100% "odd" \\dir $x');
  const { code, json } = await unit('enable', ['--no-start', '--projects-root', odd], { variables: { XDG_CONFIG_HOME: config } });
  assert.equal(code, 0, JSON.stringify(json));
  assert.equal(json.unit, join(config, 'systemd', 'user', UNIT));
  const escaped = odd.replace(/[\\"]/g, '\\$&').replace('%', '%%');
  assert.ok(json.text.includes(`\nEnvironment="CODEX_PROJECTS_ROOT=${escaped}"\n`), json.text);
});

test('a dollar in the path of the server is a dollar', async () => {
  const link = join(place.makeDir('a $HOME b'), 'server');
  symlinkSync(server, link);
  const { code, json } = await unit('enable', ['--no-start', '--server', link]);
  assert.equal(code, 0, JSON.stringify(json));
  assert.ok(json.text.includes(`\nExecStart="${link}" worker --stay\n`), json.text);
});

for (const [what, tail] of [['a line break', 'a\nExecStartPre=x'], ['a carriage return', 'a\rb'], ['a control character', 'a\x01'],
  ['a backslash at the end', 'a\\']]) {
  test(`${what} does not get into the unit`, async () => {
    const root = await unit('enable', ['--no-start', '--projects-root', place.makeDir(tail)]);
    assert.deepEqual([root.code, root.json.ok, existsSync(unitFile())], [2, false, false], root.stdout);
    assert.match(root.json.error.message, /^CODEX_PROJECTS_ROOT .*unit of systemd/);
    const path = await unit('enable', ['--no-start'], { variables: { PATH: `/usr/bin:/bin:/${tail}` } });
    assert.match(path.json.error.message, /^PATH /);
  });
}

const noAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0 ? false : 'systemd-analyze is not installed';

test('systemd understands the unit', { skip: noAnalyze }, async () => {
  const odd = place.makeDir('100% "odd" \\dir $x');
  await unit('enable', ['--no-start', '--projects-root', odd]);
  const env = { ...place.variables, XDG_RUNTIME_DIR: place.makeDir('runtime') };
  const complaints = () => spawnSync('systemd-analyze', ['--user', 'verify', unitFile()], { encoding: 'utf8', env })
    .stderr.split('\n').filter((line) => line.includes(UNIT));
  assert.deepEqual(complaints(), []);
  writeFileSync(unitFile(), readFileSync(unitFile(), 'utf8').replace('on-failure', 'sometimes'));
  assert.match(complaints().join(), /sometimes/);
});

test('a unit of somebody else is left as it is', async () => {
  await unit('enable', ['--no-start']);
  writeFileSync(unitFile(), '[Service]\nExecStart=/bin/true\n');
  const result = await unit('enable', [], { variables: systemctl() });
  assert.equal(result.code, 1);
  assert.deepEqual(steps(result), ['state true', 'unit false']);
  assert.match(result.json.steps.at(-1).detail, /somebody else/);
  const { code } = await unit('disable', [], { variables: systemctl() });
  assert.equal(code, 1);
  assert.equal(readFileSync(unitFile(), 'utf8'), '[Service]\nExecStart=/bin/true\n');
});

test('disable stops the unit and removes it', async () => {
  await unit('enable', ['--no-start']);
  const result = await unit('disable', [], { variables: systemctl() });
  assert.deepEqual([result.code, result.json.changed], [0, true]);
  assert.deepEqual(calls(), [`--user disable --now ${UNIT}`, '--user daemon-reload']);
  assert.ok(!existsSync(unitFile()));
  const again = await unit('disable', [], { variables: systemctl() });
  assert.deepEqual([again.code, again.json.changed, again.json.steps], [0, false, []]);
});

test('status says what is written, what systemd thinks, and what runs', async () => {
  const variables_ = systemctl('case "$*" in *UnitFileState*) echo enabled;; *ActiveState*) echo active;; esac');
  const none = await unit('status', [], { variables: variables_ });
  assert.deepEqual([none.code, none.json.installed, none.json.worker.running], [0, false, false]);
  await unit('enable', ['--no-start'], { variables: variables_ });
  const { json } = await unit('status', [], { variables: variables_ });
  assert.deepEqual([json.installed, json.current, json.enabled, json.active], [true, true, 'enabled', 'active']);
  writeFileSync(unitFile(), readFileSync(unitFile(), 'utf8').replace('RestartSec=1', 'RestartSec=2'));
  assert.equal((await unit('status', [], { variables: variables_ })).json.current, false);
  const { stdout } = await unit('status', ['--text'], { variables: { PATH: place.makeDir('empty') } });
  assert.match(stdout, /not what worker enable would write now[^]*systemd: unknown, unknown\nworker: does not run/);
});

test('no server, no unit; but what is there can be removed', async () => {
  const nowhere = { server: null, variables: { PATH: place.makeDir('empty') } };
  const { code, json } = await unit('enable', ['--no-start', '--server', '/nowhere/server'], nowhere);
  assert.deepEqual([code, json.error.code], [2, 'CODEX_CONFIG_INVALID']);
  assert.ok(!existsSync(unitFile()));
  await unit('enable', ['--no-start']);
  assert.equal((await unit('disable', ['--server', '/nowhere/server'], { server: null, variables: systemctl() })).code, 0);
});

test('the unit\'s command is a worker that stays, and doctor sees what runs', async () => {
  const child = spawn(server, ['worker', '--stay'], { env: variables(), cwd: place.projects, stdio: ['ignore', 'pipe', 'ignore'] });
  assert.equal((await once(child.stdout, 'data')).toString(), 'ready\n');
  const { json } = await worker('status');
  assert.deepEqual([json.running, json.worker.pid, json.worker.stay], [true, child.pid, true]);
  const doctor = await place.admin(['doctor', '--skip-smoke']);
  assert.equal(doctor.json.workerLifetime.unit, json.worker.unit);
  const exited = once(child, 'exit');
  assert.equal((await worker('stop')).json.stopped.pid, child.pid);
  assert.deepEqual(await exited, [0, null]);
});

test('a worker under its unit: doctor says so, and restart is left to systemd', async () => {
  const { pid } = (await worker('restart')).json.worker;
  const cgroup = `/user.slice/user-1.slice/user@1.service/app.slice/${UNIT}`;
  const db = new DatabaseSync(place.stateDb);
  db.exec(`UPDATE workers SET details = json_set(details, '$.unit', '${UNIT}', '$.cgroup', '${cgroup}')`);
  db.close();
  const { json } = await place.admin(['doctor', '--skip-smoke']);
  assert.deepEqual([json.workerLifetime.case, json.workerLifetime.unit, json.workerLifetime.survivesClient],
    ['worker_unit', UNIT, true]);
  const refused = await worker('restart');
  assert.deepEqual([refused.code, refused.json.error.code], [1, 'CODEX_BUSY']);
  assert.match(refused.json.error.message, new RegExp(`systemctl --user restart ${UNIT}`));
  assert.ok(isAlive(pid));
  assert.match((await unit('status', ['--text'])).stdout, new RegExp(`worker: runs in ${UNIT}`));
});
