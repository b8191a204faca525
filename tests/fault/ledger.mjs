// What there is to say about an operation when all is over: from our rows, from Codex's own history, from the model.
//
//   const entry = await stage.ledger().entry(operationId, marker);
//   entry.problems    what contradicts the promises; empty when they are kept
//   entry.outcome     "completed", "interrupted (app_server_exit)", ...
//   entry.evidence    the events that decided after something was lost

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const TERMINAL = ['completed', 'failed', 'interrupted', 'unknown_after_app_server_exit'];
// The way of a task that nothing happens to, and what people do.
const PLAIN = ['claim', 'app_server_ready', 'thread_ready', 'turn_started', 'turn_completed', 'interrupt'];

// How many user messages with this id stand in Codex's history.
function messagesIn(home, id) {
  const sessions = join(home, 'sessions');
  if (!existsSync(sessions)) return 0;
  const files = readdirSync(sessions, { recursive: true }).filter((name) => name.endsWith('.jsonl'));
  const lines = files.flatMap((name) => readFileSync(join(sessions, name), 'utf8').split('\n'));
  return lines.filter((line) => line.includes('"item_completed"') && line.includes(`"client_id":"${id}"`)).length;
}

// The same in the files of the fake app-server.
function messagesInFake(dir, id) {
  const files = readdirSync(dir).filter((name) => name.endsWith('.json'));
  const turns = files.flatMap((name) => JSON.parse(readFileSync(join(dir, name), 'utf8')).thread.turns);
  return turns.flatMap((turn) => turn.items).filter((item) => item.clientId === id).length;
}

export class Ledger {
  constructor(env) {
    this.env = env;
    this.db = new DatabaseSync(env.stateDb, { readOnly: true });
  }

  close() {
    this.db.close();
  }

  operations() {
    return this.db.prepare('SELECT id, client_request_id AS request, status, phase, active FROM operations ORDER BY seq').all();
  }

  // { event, from, to, reason, epoch, attempt } of each change of status.
  history(id) {
    const rows = this.db.prepare("SELECT text, data FROM journal WHERE op_id = ? AND category = 'operation_status' ORDER BY id").all(id);
    return rows.map(({ text, data }) => {
      const [from, to] = text.split(' -> ');
      return { from, to, ...JSON.parse(data ?? '{}') };
    }).filter(({ to }) => to);
  }

  messages(id) {
    const fake = this.env.variables.CCP_FAKE_STATE;
    return fake ? messagesInFake(fake, id) : messagesIn(this.env.home, id);
  }

  // `marker` stands in its prompt and in no other.
  async entry(id, marker) {
    const row = this.db.prepare('SELECT * FROM operations WHERE id = ?').get(id);
    if (!row) return { id, outcome: 'lost', evidence: [], problems: [`${id} (${marker}) was acknowledged, and there is no row`] };
    const history = this.history(id);
    const fake = Boolean(this.env.variables.CCP_FAKE_STATE);
    const asked = fake ? this.messages(id) : await this.env.asked(marker);
    const facts = { row, history, asked, messages: this.messages(id) };
    return {
      id,
      marker,
      ...facts,
      outcome: row.reason ? `${row.status} (${row.reason})` : row.status,
      evidence: [...new Set(history.map(({ event }) => event))].filter((event) => !PLAIN.includes(event)),
      problems: problemsOf(facts).map((problem) => `${id} (${marker}): ${problem}`),
    };
  }
}

function problemsOf({ row, history, asked, messages }) {
  const problems = [];
  const ends = history.filter(({ to }) => TERMINAL.includes(to));
  const claims = history.filter(({ event }) => event === 'claim').length;
  if (row.active || !TERMINAL.includes(row.status)) problems.push(`it has not ended: ${row.status}`);
  if (ends.length !== 1 || ends[0].to !== row.phase) problems.push(`its ends are ${ends.map(({ to }) => to).join(', ') || 'none'}`);
  // The death of processes gives no operation a second turn: an attempt is only made again when the one before left none.
  // What goes on after the account's limit may have to say again what was asked for.
  const turns = 1 + row.quota_waits + row.continuations;
  if (asked > turns) problems.push(`the model was asked ${asked} times, for ${turns} turns`);
  if (messages > 1) problems.push(`Codex has ${messages} turns of it, for ${claims} claims`);
  if (row.status === 'completed' && (asked < 1 || messages < 1)) {
    problems.push(`it is completed, with ${messages} turns in Codex and ${asked} at the model`);
  }
  const epochs = history.map(({ epoch }) => epoch);
  if (epochs.some((epoch, i) => epoch < epochs[i - 1])) problems.push(`an earlier worker wrote after a later one: ${epochs}`);
  return problems;
}
