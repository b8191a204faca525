// Checks messages against the official JSON Schemas of MCP, which stand in tests/support/schemas.
//
//   const check = validator('2025-06-18');     // null when ajv is not installed
//   check('InitializeResult', message.result);  // throws an AssertionError that says what is wrong

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { resolvePackage, supportDir } from '../support/codex_env.mjs';

async function load(name) {
  try {
    return (await import(resolvePackage(name))).default;
  } catch {
    return null;
  }
}

const Ajv07 = await load('ajv');
const Ajv2020 = await load('ajv/dist/2020.js');
const formats = await load('ajv-formats');

export const missing = Ajv07 && Ajv2020 && formats ? false : 'ajv is not installed (npm ci in tests/)';

const construct = (module) => module.default ?? module;

export function validator(version) {
  if (missing) return null;
  const schema = JSON.parse(readFileSync(join(supportDir, 'schemas', `mcp-${version}.json`), 'utf8'));
  const place = schema.$defs ? '$defs' : 'definitions';
  const Ajv = construct(schema.$defs ? Ajv2020 : Ajv07);
  const ajv = new Ajv({ strict: false, allErrors: true, schemas: { mcp: schema } });
  construct(formats)(ajv);
  return (type, value) => {
    const validate = ajv.getSchema(`mcp#/${place}/${type}`);
    assert.ok(validate, `${version} has no ${type}`);
    const good = validate(value);
    assert.ok(good, `${version} ${type}: ${ajv.errorsText(validate.errors)}: ${JSON.stringify(value)}`);
  };
}

// A check of JSON Schema 2020-12 itself, as tools use it.
export function compileSchema(schema) {
  const ajv = new (construct(Ajv2020))({ strict: false, allErrors: true });
  construct(formats)(ajv);
  return ajv.compile(schema);
}
