// What the scripted model says: reads the directives out of a request's newest user text. No I/O here.
//
// A directive stands at the start of a line (or after ";;") and is written in capitals:
//
//   SAY text                       a message ("\n" makes a line break)
//   STREAM n [k] [ms]              a message of n bytes in k deltas, ms milliseconds apart
//   JSON {...}                     a message that is this JSON
//   PLAN text                      a <proposed_plan>
//   WAIT ms                        a pause
//   HOLD name                      a pause until POST /release?name=NAME
//   RUN command                    run a command; without a later message its output is quoted
//   ESCALATE command               the same, asking to run it outside of the sandbox
//   WRITE path text                RUN, writing a file
//   PATCH path text                apply_patch, adding a file
//   CALL [namespace/]tool {...}    any other tool, for example CALL mcp__server/tool {"a":1}
//   ASK question | label | label   request_user_input (plan mode)
//   FAIL what [n]                  an error: an HTTP status, or context, quota, rate, usage (usage:SECONDS says when
//                                  the limit ends); n times, or always
//   CUT                            the stream breaks
//
// They run in order. A tool call ends a model request; the request that brings its output goes on behind it.
// In plan mode a text that has RUN, WRITE, SAY, ... but no PLAN is answered by a plan whose steps are these lines, and
// an "implement" prompt without directives follows the plan that was proposed last.

// The verb may follow a list mark ("- ", "2. ") or a short label ("Task: ").
const VERBS = 'SAY|STREAM|JSON|PLAN|WAIT|HOLD|RUN|ESCALATE|WRITE|PATCH|CALL|ASK|FAIL|CUT';
const DIRECTIVE = new RegExp(`^[\\s>*-]*(?:\\d+[.)]\\s*)?(?:[\\w ]{1,20}:\\s*)?(${VERBS})(?:\\s+(.*))?$`);
const TOOLS = new Set(['RUN', 'ESCALATE', 'WRITE', 'PATCH', 'CALL', 'ASK']);
const MESSAGES = new Set(['SAY', 'STREAM', 'JSON', 'PLAN']);
// What happens in plan mode too; the rest becomes a step of the plan.
const PAUSES_AND_FAULTS = new Set(['WAIT', 'HOLD', 'FAIL', 'CUT', 'ASK', 'PLAN']);
// User messages that Codex adds by itself.
const CONTEXT_TAGS = ['environment_context', 'turn_aborted', 'user_instructions', 'skill', 'skills_instructions', 'INSTRUCTIONS',
  'apps_instructions', 'plugins_instructions', 'user_shell_command', 'subagent_notification'];
const CONTEXT = new RegExp(`^\\s*<(${CONTEXT_TAGS.join('|')})\\b|^# AGENTS\\.md instructions`);
// The prompt with which Codex goes on working for a goal; the scripted model then calls the goal complete.
const GOAL = /<codex_internal_context source="goal">/;
const PLAN_TAG = /<proposed_plan>\s*([\s\S]*?)\s*<\/proposed_plan>/;

const textOf = (item) => (typeof item.content === 'string' ? item.content
  : (item.content ?? []).map((part) => part.text ?? '').filter(Boolean).join('\n'));

export function parseDirectives(text) {
  const found = [];
  for (const line of text.split(/\n|;;/)) {
    const match = DIRECTIVE.exec(line.trim());
    if (match) found.push({ verb: match[1], rest: (match[2] ?? '').trim() });
  }
  return found;
}

function lastPlan(input, before) {
  for (let i = before - 1; i >= 0; i--) {
    const match = input[i].role === 'assistant' && PLAN_TAG.exec(textOf(input[i]));
    if (match) return match[1];
  }
  return '';
}

function inPlanMode(input) {
  const modes = input.filter((item) => item.role === 'developer' && /<collaboration_mode>/.test(textOf(item)));
  const newest = modes.length ? textOf(modes[modes.length - 1]) : '';
  return /# Plan Mode/i.test(newest.slice(newest.lastIndexOf('<collaboration_mode>')).slice(0, 200));
}

function toolNames(tools) {
  return (tools ?? []).flatMap((tool) => (tool.type === 'namespace'
    ? (tool.tools ?? []).map((member) => `${tool.name}/${member.name}`)
    : [tool.name ?? tool.type]));
}

// Everything about a request body that decides the answer.
export function readRequest(body) {
  const input = Array.isArray(body.input) ? body.input : [{ role: 'user', content: String(body.input ?? '') }];
  let at = -1;
  input.forEach((item, i) => {
    if (item.role === 'user' && textOf(item) && !CONTEXT.test(textOf(item))) at = i;
  });
  const text = at >= 0 ? textOf(input[at]) : '';
  const outputs = input.slice(at + 1).filter((item) => /_output$/.test(item.type ?? ''));
  const metadata = body.client_metadata ?? {};
  let turn = {};
  try { turn = JSON.parse(metadata['x-codex-turn-metadata'] ?? '{}'); } catch { /* older versions have none */ }
  return {
    text,
    outputs,
    images: [input[at]?.content ?? []].flat().filter((part) => part.type === 'input_image').length,
    users: input.filter((item) => item.role === 'user' && !CONTEXT.test(textOf(item))).length,
    tools: toolNames(body.tools),
    plan: inPlanMode(input),
    earlierPlan: lastPlan(input, Math.max(at, 0)),
    schema: body.text?.format?.schema ?? null,
    model: body.model ?? null,
    effort: body.reasoning?.effort ?? null,
    kind: turn.request_kind ?? null,
    thread: metadata.thread_id ?? turn.thread_id ?? body.prompt_cache_key ?? null,
    turn: metadata.turn_id ?? turn.turn_id ?? null,
  };
}

// The steps of this model request: the directives behind the tool calls that have been answered already, up to and
// including the next tool call.
export function stepsFor(request) {
  if (request.kind === 'compaction' || /CONTEXT CHECKPOINT COMPACTION/.test(request.text))
    return [{ verb: 'SAY', rest: 'Summary: the work so far was summarised by the scripted model.' }];
  let all = parseDirectives(request.text);
  if (!all.length && request.earlierPlan && /\bimplement/i.test(request.text) && !request.plan)
    all = parseDirectives(request.earlierPlan);
  if (request.plan) all = planSteps(all, request.text);
  if (GOAL.test(request.text) && request.tools.includes('update_goal'))
    all.push({ verb: 'CALL', rest: 'update_goal {"status":"complete"}' });
  let segment = [];
  let answered = request.outputs.length;
  for (const step of all) {
    segment.push(step);
    if (!TOOLS.has(step.verb)) continue;
    if (answered-- <= 0) return segment;
    segment = [];
  }
  if (!segment.some((step) => MESSAGES.has(step.verb) || step.verb === 'CUT')) segment.push({ verb: 'DEFAULT', rest: '' });
  return segment;
}

function planSteps(all, text) {
  const kept = all.filter((step) => PAUSES_AND_FAULTS.has(step.verb));
  if (kept.some((step) => step.verb === 'PLAN')) return kept;
  const steps = all.filter((step) => !PAUSES_AND_FAULTS.has(step.verb)).map((step) => `${step.verb} ${step.rest}`);
  if (!steps.length) steps.push(`Do what was asked: ${firstLine(text)}`, 'Check the result');
  return [...kept, { verb: 'PLAN', rest: steps.map((step, i) => `${i + 1}. ${step}`).join('\\n') }];
}

const firstLine = (text) => text.trim().split('\n')[0].slice(0, 200);
const quote = (word) => `'${word.replaceAll("'", "'\\''")}'`;
export const unescapeText = (text) => text.replaceAll('\\n', '\n');

function firstWord(text) {
  const match = /^(\S+)\s*([\s\S]*)$/.exec(text) ?? ['', '', ''];
  return [match[1], match[2]];
}

function commandCall(command, tools, escalate) {
  const extra = escalate ? { sandbox_permissions: 'require_escalated', justification: `May I run ${command}?` } : {};
  if (tools.includes('exec_command')) return { name: 'exec_command', arguments: { cmd: command, yield_time_ms: 30000, ...extra } };
  if (tools.includes('shell_command')) return { name: 'shell_command', arguments: { command, ...extra } };
  return { name: 'shell', arguments: { command: ['bash', '-c', command], ...extra } };
}

function patchCall(path, text, tools) {
  const lines = unescapeText(text).split('\n').map((line) => `+${line}`).join('\n');
  const patch = `*** Begin Patch\n*** Add File: ${path}\n${lines}\n*** End Patch\n`;
  if (tools.includes('apply_patch')) return { type: 'custom_tool_call', name: 'apply_patch', input: patch };
  return commandCall(`apply_patch <<'EOF'\n${patch}EOF`, tools, false);
}

function questionCall(rest) {
  const [question, ...labels] = rest.split('|').map((part) => part.trim());
  const options = (labels.length ? labels : ['Yes', 'No']).map((label) => ({ label, description: `Choose ${label}.` }));
  const asked = { id: 'choice', header: 'Choice', question: question || 'Which?', options };
  return { name: 'request_user_input', arguments: { questions: [asked] } };
}

// A tool of an MCP server is called mcp__server__tool before 0.130, and mcp__server__/tool there.
function anyCall(rest, tools) {
  const [target, json] = firstWord(rest);
  const slash = target.lastIndexOf('/');
  const name = target.slice(slash + 1);
  let args = {};
  try { args = JSON.parse(json || '{}'); } catch { args = { text: json }; }
  const namespace = target.slice(0, Math.max(slash, 0));
  if (tools.includes(`${namespace}__${name}`)) return { name: `${namespace}__${name}`, arguments: args };
  if (tools.includes(`${namespace}__/${name}`)) return { namespace: `${namespace}__`, name, arguments: args };
  return namespace ? { namespace, name, arguments: args } : { name, arguments: args };
}

// The output item of a tool directive.
export function toolCall({ verb, rest }, tools) {
  const [path, text] = firstWord(rest);
  const call = {
    RUN: () => commandCall(rest, tools, false),
    ESCALATE: () => commandCall(rest, tools, true),
    WRITE: () => commandCall(`printf '%s\\n' ${quote(unescapeText(text))} > ${quote(path)}`, tools, false),
    PATCH: () => patchCall(path, text, tools),
    CALL: () => anyCall(rest, tools),
    ASK: () => questionCall(rest),
  }[verb]();
  if (call.type === 'custom_tool_call') return call;
  return { type: 'function_call', ...call, arguments: JSON.stringify(call.arguments) };
}

export const isTool = (verb) => TOOLS.has(verb);

// The smallest value that a JSON Schema allows, as far as tests need it.
export function sample(schema, name = 'value') {
  if (!schema || typeof schema !== 'object') return null;
  if ('const' in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const alternative = schema.anyOf ?? schema.oneOf;
  if (alternative) return sample(alternative[0], name);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object' || schema.properties)
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, value]) => [key, sample(value, key)]));
  if (type === 'array') return Array.from({ length: schema.minItems ?? 0 }, () => sample(schema.items, name));
  if (type === 'number' || type === 'integer') return schema.minimum ?? 0;
  if (type === 'boolean') return true;
  return type === 'null' ? null : `scripted ${name}`;
}

function outputText(output) {
  const value = output.output;
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map((part) => part.text ?? '').join('\n');
  return value?.content ?? JSON.stringify(value ?? '');
}

// The message of a turn whose prompt asks for none.
export function defaultMessage(request) {
  if (request.schema) return JSON.stringify(sample(request.schema));
  if (request.outputs.length) return `The tool answered:\n${outputText(request.outputs[request.outputs.length - 1]).slice(-4000)}`;
  return `Done. I was asked: ${firstLine(request.text) || '(nothing)'}`;
}
