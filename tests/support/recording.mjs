// Recordings of what a real app-server sent, one { dir, message } a line: "in" came from it, "out" was sent to it.
// Directories and the model's port are replaced, everything else is as it was.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { supportDir } from './codex_env.mjs';

export const recordingPath = (name) => join(supportDir, 'recordings', `${name}.jsonl`);

// replacements: [[text, by], ...]; the first that matches wins, so the longer path goes first.
export function writeRecording(name, lines, replacements) {
  const text = lines.map((line) => JSON.stringify(line)).join('\n');
  writeFileSync(recordingPath(name), `${replacements.reduce((all, [from, to]) => all.replaceAll(from, to), text)}\n`);
}

export const readRecording = (name) => readFileSync(recordingPath(name), 'utf8').trim().split('\n').map((line) => JSON.parse(line));

const fields = (value) => Object.keys(value ?? {}).sort().join(' ');
// These depend on the machine, not on the protocol.
const LOCAL = new Set(['configWarning', 'remoteControl/status/changed', 'warning']);

// The messages of a kind that came in: what a reader of the protocol depends on, without values and without order.
export function shapes(lines) {
  const asked = new Map(lines.filter((line) => line.dir === 'out' && line.message.id !== undefined)
    .map((line) => [line.message.id, line.message.method]));
  const all = lines.filter((line) => line.dir === 'in' && !LOCAL.has(line.message.method)).map(({ message }) => {
    if (message.method === undefined) return `answer to ${asked.get(message.id)}: ${fields(message.result)}`;
    const item = message.params?.item ? ` ${message.params.item.type} {${fields(message.params.item)}}` : '';
    return `${message.method}${message.id === undefined ? '' : ' (request)'}: ${fields(message.params)}${item}`;
  });
  return [...new Set(all)].sort();
}
