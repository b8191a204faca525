// Lines and everything that the server says to them, in order; then its input ends.
//
// `version`: initialize with it first. `send`: messages, or lines as they stand. `expect`: what each answer must have at
// least; a RegExp stands for a string that matches.

import { modernMeta } from './mcp_server.mjs';

const error = (id, code, more = {}) => ({ jsonrpc: '2.0', id, error: { code, message: /./, ...more } });
const result = (id, value = {}) => ({ jsonrpc: '2.0', id, result: value });
const request = (id, method, params) => ({ jsonrpc: '2.0', id, method, params });
const modern = (id, method, params = {}, version = undefined) => request(id, method, { _meta: modernMeta(version), ...params });
const ping = (id) => request(id, 'ping');

export default [
  { name: 'ping', send: [ping(1)], expect: [result(1)] },
  { name: 'ids are strings and integers', send: [ping('a'), ping(''), ping(-5), ping(9007199254740991)],
    expect: [result('a'), result(''), result(-5), result(9007199254740991)] },
  { name: 'a fraction is no id', send: ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}'], expect: [error(null, -32600)] },
  { name: 'null is no id', send: ['{"jsonrpc":"2.0","id":null,"method":"ping"}'], expect: [error(null, -32600)] },
  { name: 'an object is no id', send: ['{"jsonrpc":"2.0","id":{},"method":"ping"}'], expect: [error(null, -32600)] },
  { name: 'no method', send: ['{"jsonrpc":"2.0","id":3}'], expect: [error(3, -32600)] },
  { name: 'a method that is no string', send: ['{"jsonrpc":"2.0","id":3,"method":[]}'], expect: [error(3, -32600)] },
  { name: 'another JSON-RPC', send: ['{"jsonrpc":"1.0","id":3,"method":"ping"}'], expect: [error(3, -32600)] },
  { name: 'bad JSON, then good', send: ['{', 'x', '{"id":1,', ping(1)],
    expect: [error(null, -32700), error(null, -32700), error(null, -32700), result(1)] },
  { name: 'bad UTF-8 in JSON', send: [Buffer.from('7b22ff227d', 'hex').toString('latin1'), ping(1)], latin1: true,
    expect: [error(null, -32700), result(1)] },
  { name: 'no object', send: ['1', '"a"', 'null', 'true'],
    expect: [error(null, -32600), error(null, -32600), error(null, -32600), error(null, -32600)] },
  { name: 'blank lines', send: ['', '  ', '\r', ping(1)], expect: [result(1)] },
  { name: 'a carriage return at the end', send: [`${JSON.stringify(ping(1))}\r`], expect: [result(1)] },
  { name: 'a byte order mark', send: [`\ufeff${JSON.stringify(ping(1))}`], expect: [result(1)] },
  { name: 'responses and unknown notifications are ignored',
    send: [{ jsonrpc: '2.0', id: 5, result: {} }, { jsonrpc: '2.0', id: 5, error: { code: 1, message: 'x' } },
      { jsonrpc: '2.0', method: 'notifications/nothing' }, ping(1)],
    expect: [result(1)] },
  { name: 'unknown methods', version: '2025-06-18',
    send: [request(1, 'logging/setLevel', { level: 'debug' }), request(2, 'resources/list'), request(3, '')],
    expect: [error(1, -32601), error(2, -32601), error(3, -32601)] },
  { name: 'a tool that is not there', version: '2025-06-18',
    send: [request(1, 'tools/call', { name: 'codex_health_sumary' })], expect: [error(1, -32602)] },
  { name: 'parameters of the wrong shape',
    send: [request(1, 'tools/call'), request(2, 'tools/call', { name: 5 }), request(3, 'tools/call', []),
      request(4, 'tools/call', { name: 'codex_wait', arguments: 'x' }),
      request(5, 'tools/call', { name: 'codex_wait', arguments: [] }), request(6, 'tools/list', { cursor: 'x' }),
      request(7, 'initialize', {})],
    expect: [1, 2, 3, 4, 5, 6, 7].map((id) => error(id, -32602)) },
  { name: 'a cancellation of nothing', send: [{ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 9 } },
    { jsonrpc: '2.0', method: 'notifications/cancelled' }, ping(1)], expect: [result(1)] },
  { name: 'without initialize', send: [request(1, 'tools/list')], expect: [result(1, { tools: [{}] })] },
  { name: 'initialize again', version: '2024-11-05',
    send: [request(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} })],
    expect: [result(1, { protocolVersion: '2025-11-25' })] },

  { name: 'a batch', version: '2025-03-26',
    send: [JSON.stringify([ping(1), { jsonrpc: '2.0', method: 'notifications/initialized' }, ping('b'), 7])],
    expect: [[result(1), result('b'), error(null, -32600)]] },
  { name: 'a batch of notifications', version: '2025-03-26',
    send: ['[{"jsonrpc":"2.0","method":"notifications/initialized"}]', ping(1)], expect: [result(1)] },
  { name: 'an empty batch', version: '2025-03-26', send: ['[]'], expect: [error(null, -32600)] },
  { name: 'initialize in a batch', version: '2025-03-26',
    send: [JSON.stringify([request(1, 'initialize', { protocolVersion: '2025-03-26' })])], expect: [[error(1, -32600)]] },
  ...['2024-11-05', '2025-06-18', '2025-11-25', undefined].map((version) => ({
    name: `no batches in ${version ?? 'what was not initialized'}`, version,
    send: [JSON.stringify([ping(1), ping(2)]), ping(3)], expect: [error(null, -32600), result(3)] })),

  { name: 'discover', send: [modern(1, 'server/discover')],
    expect: [result(1, { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } })] },
  { name: 'discover without a version', send: [request(1, 'server/discover'), request(2, 'server/discover', {})],
    expect: [error(1, -32602), error(2, -32602)] },
  { name: 'a version that is not there', send: [modern(1, 'tools/list', {}, '2099-01-01')],
    expect: [error(1, -32022, { data: { supported: ['2026-07-28'], requested: '2099-01-01' } })] },
  { name: 'a legacy version in _meta', send: [modern(1, 'tools/list', {}, '2025-11-25')], expect: [error(1, -32022)] },
  { name: 'no client capabilities',
    send: [request(1, 'tools/list', { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } })],
    expect: [error(1, -32602)] },
  { name: 'what the modern era dropped', send: ['ping', 'initialize', 'logging/setLevel', 'nothing'].map((m, i) => modern(i, m)),
    expect: [0, 1, 2, 3].map((id) => error(id, -32601)) },
  { name: 'both eras on one connection', version: '2025-06-18',
    send: [modern(1, 'server/discover'), ping(2), modern(3, 'tools/list'), request(4, 'tools/list')],
    expect: [result(1, { resultType: 'complete' }), result(2), result(3, { resultType: 'complete' }), result(4, { tools: [{}] })] },
  { name: 'a probe, then the handshake',
    send: [modern('probe', 'server/discover', {}, '2027-01-01'),
      request(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} })],
    expect: [error('probe', -32022), result(1, { protocolVersion: '2025-11-25' })] },
];
