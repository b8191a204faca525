#!/usr/bin/env node
// A model for tests and the demo: the "responses" API on the loopback interface, with scripted answers.
//
//   node model_server.mjs [--port 0] [--port-file FILE] [--log FILE]
//
// prints {"port":N} when it listens. What it answers is decided by directives in the prompt, see script.mjs. Beside the
// API it serves
//
//   GET  /requests[?contains=TEXT][&min=N][&timeout=MS]  {count, peak, requests:[{text, at, model, tools, ...}]}; waits
//                                                        for N; peak: how many were answered at the same time
//   GET  /held[?name=NAME][&timeout=MS]                  {held:[names]}; with a name waits until it is held
//   POST /release?name=NAME                              lets one HOLD go (a later one if none is held yet); * for all
//   POST /reset                                          forgets requests, permits and failure counts

import { appendFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { parseArgs } from 'node:util';
import { defaultMessage, isTool, readRequest, stepsFor, toolCall, unescapeText } from './script.mjs';
import { Answer, sleep } from './sse.mjs';

const MAX_BODY = 64 * 1024 * 1024;
const MAX_LOGGED = 2000;
const MAX_TEXT = 4000;
const MAX_STREAM = 16 * 1024 * 1024;
const MAX_WAIT_MS = 10 * 60 * 1000;
const KEEP_ALIVE_MS = 5000;

const { values: options } = parseArgs({
  options: { port: { type: 'string', default: '0' }, 'port-file': { type: 'string' }, log: { type: 'string' } },
});

const state = {
  count: 0, // of all requests, also of those that are no longer in the list
  open: 0, // requests that are being answered
  peak: 0, // the most of them at the same time
  requests: [],
  held: new Map(), // name -> functions that let go
  permits: new Map(), // name -> how often it was released before it was held
  failures: new Map(), // directive of a turn -> how often it failed
  watchers: new Set(),
};

const changed = () => state.watchers.forEach((check) => check());

// Resolves once test() holds or the time is up.
function until(test, timeoutMs) {
  if (test() || !(timeoutMs > 0)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => { clearTimeout(timer); state.watchers.delete(check); resolve(); };
    const check = () => { if (test()) done(); };
    const timer = setTimeout(done, Math.min(timeoutMs, MAX_WAIT_MS));
    state.watchers.add(check);
  });
}

function remember(request, steps) {
  const entry = {
    n: ++state.count,
    at: new Date().toISOString(),
    text: request.text.slice(0, MAX_TEXT),
    steps: steps.map((step) => step.verb),
    outputs: request.outputs.length,
    schema: request.schema !== null,
  };
  for (const key of ['model', 'effort', 'kind', 'thread', 'turn', 'plan', 'users', 'images', 'tools']) entry[key] = request[key];
  state.requests.push(entry);
  if (state.requests.length > MAX_LOGGED) state.requests.shift();
  if (options.log) appendFileSync(options.log, `${JSON.stringify(entry)}\n`);
  changed();
}

async function hold(name, answer) {
  const permits = state.permits.get(name) ?? 0;
  if (permits > 0) {
    state.permits.set(name, permits - 1);
    return;
  }
  const waiting = state.held.get(name) ?? new Set();
  state.held.set(name, waiting);
  await new Promise((resolve) => {
    const keepAlive = setInterval(() => answer.keepAlive(), KEEP_ALIVE_MS);
    const go = () => {
      clearInterval(keepAlive);
      waiting.delete(go);
      if (!waiting.size && state.held.get(name) === waiting) state.held.delete(name);
      resolve();
    };
    waiting.add(go);
    answer.response.once('close', go);
    changed();
  });
}

function release(name) {
  if (name === '*') {
    for (const waiting of [...state.held.values()]) [...waiting].forEach((go) => go());
    return;
  }
  const [first] = state.held.get(name) ?? [];
  if (first) first();
  else state.permits.set(name, (state.permits.get(name) ?? 0) + 1);
}

async function pause(ms, answer) {
  for (let left = Math.min(ms, MAX_WAIT_MS); left > 0 && !answer.gone; left -= KEEP_ALIVE_MS) {
    await sleep(Math.min(left, KEEP_ALIVE_MS));
    answer.keepAlive();
  }
}

const FAILURES = {
  context: (answer) => answer.fail('context_length_exceeded', 'Your input exceeds the context window of this model.'),
  quota: (answer) => answer.fail('insufficient_quota', 'You exceeded your current quota.'),
  rate: (answer) => answer.fail('rate_limit_exceeded', 'Rate limit reached. Please try again in 1s.'),
  usage: (answer, seconds) => usageLimit(answer, Number.parseInt(seconds, 10)),
};

// The account's limit, told as the service does: headers say how much is used, and when each window begins anew.
function usageLimit(answer, seconds) {
  const resetsAt = Math.floor(Date.now() / 1000) + seconds;
  const primary = { 'used-percent': 100, 'window-minutes': 300, 'reset-at': resetsAt };
  const headers = seconds ? Object.entries(primary).map(([key, value]) => [`x-codex-primary-${key}`, String(value)]) : [];
  const error = { type: 'usage_limit_reached', message: 'The usage limit has been reached', plan_type: 'plus' };
  answer.httpError(429, seconds ? { ...error, resets_at: resetsAt } : error, Object.fromEntries(headers));
}

// true when this request was made to fail.
function failed(rest, request, answer) {
  const [what, times] = rest.split(/\s+/);
  const key = `${request.turn}|${request.text.slice(0, MAX_TEXT)}|${rest}`;
  const before = state.failures.get(key) ?? 0;
  if (times && before >= Number.parseInt(times, 10)) return false;
  state.failures.set(key, before + 1);
  const error = { type: 'server_error', code: 'scripted', message: `scripted failure ${what}` };
  const [kind, detail] = what.split(':');
  if (FAILURES[kind]) FAILURES[kind](answer, detail);
  else answer.httpError(Number.parseInt(what, 10) || 500, error);
  return true;
}

function stream(rest, answer) {
  const [bytes = 1000, chunks = 10, delayMs = 0] = (rest.match(/\d+/g) ?? []).map(Number);
  const line = 'All work and no play makes a long stream of text. ';
  const wanted = Math.min(bytes, MAX_STREAM);
  const text = line.repeat(Math.ceil(wanted / line.length)).slice(0, wanted);
  return answer.message(text, { size: Math.max(1, Math.ceil(wanted / Math.max(1, chunks))), delayMs });
}

// Carries out the steps; the answer is over when this returns.
async function perform(steps, request, answer, inputBytes) {
  const mayFail = steps.some((step) => step.verb === 'FAIL');
  for (const step of steps) {
    if (answer.gone) return;
    const { verb, rest } = step;
    if (!mayFail) answer.begin();
    if (verb === 'FAIL' && failed(rest, request, answer)) return;
    if (verb === 'CUT') return void answer.cut();
    if (verb === 'WAIT') await pause(Number.parseInt(rest, 10) || 0, answer);
    if (verb === 'HOLD') await hold(rest.split(/\s/)[0] || 'default', answer);
    if (verb === 'SAY') await answer.message(unescapeText(rest));
    if (verb === 'JSON') await answer.message(rest);
    if (verb === 'PLAN') await answer.message(`Here is my plan.\n<proposed_plan>\n${unescapeText(rest)}\n</proposed_plan>`);
    if (verb === 'STREAM') await stream(rest, answer);
    if (verb === 'DEFAULT') await answer.message(defaultMessage(request));
    if (isTool(verb)) answer.call(toolCall(step, request.tools));
  }
  answer.complete({ inputBytes });
}

async function readBody(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > MAX_BODY) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function sendJson(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(value)}\n`);
}

async function respond(request, response) {
  const raw = await readBody(request);
  if (!raw) return sendJson(response, 413, { error: { message: 'request too large' } });
  let body;
  try { body = JSON.parse(raw); } catch { return sendJson(response, 400, { error: { message: 'not JSON' } }); }
  const answer = new Answer(response);
  const read = readRequest(body);
  const steps = stepsFor(read);
  remember(read, steps);
  state.peak = Math.max(state.peak, ++state.open);
  await perform(steps, read, answer, raw.length).finally(() => { state.open--; });
}

async function listRequests(query, response) {
  const wanted = () => state.requests.filter((entry) => entry.text.includes(query.get('contains') ?? ''));
  await until(() => wanted().length >= Number(query.get('min') ?? 0), Number(query.get('timeout') ?? 0));
  const count = query.has('contains') ? wanted().length : state.count;
  sendJson(response, 200, { count, peak: state.peak, requests: wanted() });
}

async function listHeld(query, response) {
  const name = query.get('name');
  await until(() => !name || state.held.has(name), Number(query.get('timeout') ?? 0));
  sendJson(response, 200, { held: [...state.held.keys()] });
}

function reset() {
  Object.assign(state, { count: 0, peak: state.open, requests: [] });
  state.permits.clear();
  state.failures.clear();
}

async function serve(request, response) {
  const url = new URL(request.url, 'http://127.0.0.1');
  const route = `${request.method} ${url.pathname}`;
  if (route === 'POST /v1/responses') return respond(request, response);
  if (route === 'GET /v1/models') return sendJson(response, 200, { object: 'list', data: [], models: [] });
  if (route === 'GET /requests') return listRequests(url.searchParams, response);
  if (route === 'GET /held') return listHeld(url.searchParams, response);
  if (route === 'POST /release') release(url.searchParams.get('name') ?? 'default');
  else if (route === 'POST /reset') reset();
  else return sendJson(response, 404, { error: { message: `no ${route}` } });
  return sendJson(response, 200, { ok: true });
}

const server = http.createServer((request, response) => {
  serve(request, response).catch((error) => {
    process.stderr.write(`model_server: ${error.stack}\n`);
    response.destroy();
  });
});
server.requestTimeout = 0;
server.on('error', (error) => {
  process.stderr.write(`model_server: ${error.message}\n`);
  process.exit(1);
});
// A test that waits for a command stands still; its connection must not be closed under it.
server.keepAliveTimeout = 0;
server.listen(Number(options.port), '127.0.0.1', () => {
  const { port } = server.address();
  if (options['port-file']) writeFileSync(options['port-file'], `${port}\n`);
  process.stdout.write(`{"port":${port}}\n`);
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
