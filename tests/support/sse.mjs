// The wire side of the scripted model: one "responses" answer as server-sent events.
//
//   const answer = new Answer(response);
//   answer.message('hello');
//   answer.complete({ input: 120 });
//
// Nothing is sent before the first event, so an HTTP error can still be the answer until then.

const CHUNK = 4096;
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let counter = 0;
export const makeId = (prefix) => `${prefix}_${process.pid}_${++counter}`;

export class Answer {
  constructor(response) {
    this.response = response;
    this.id = makeId('resp');
    this.index = 0;
    this.bytes = 0;
    this.gone = false;
    response.on('close', () => { this.gone = true; });
    response.on('error', () => { this.gone = true; });
  }

  get started() {
    return this.response.headersSent;
  }

  begin() {
    if (this.started || this.gone) return;
    this.response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    this.event('response.created', { response: { id: this.id, status: 'in_progress' } });
  }

  event(type, fields) {
    if (this.gone) return true;
    return this.response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`);
  }

  // A comment line: keeps the connection from looking dead while the model "thinks".
  keepAlive() {
    if (!this.gone && this.started) this.response.write(': keep-alive\n\n');
  }

  async drained(writable) {
    if (writable || this.gone) return;
    await new Promise((resolve) => {
      const done = () => {
        this.response.off('drain', done).off('close', done);
        resolve();
      };
      this.response.on('drain', done).on('close', done);
    });
  }

  // A whole message, its text cut into deltas of at most `size` characters with `delayMs` between them.
  async message(text, { size = CHUNK, delayMs = 0 } = {}) {
    this.begin();
    const id = makeId('msg');
    const at = { output_index: this.index++, item_id: id };
    const item = { type: 'message', id, role: 'assistant' };
    this.bytes += text.length;
    this.event('response.output_item.added', { ...at, item: { ...item, status: 'in_progress', content: [] } });
    for (let from = 0; from < text.length && !this.gone; from += size) {
      const delta = text.slice(from, from + size);
      await this.drained(this.event('response.output_text.delta', { ...at, content_index: 0, delta }));
      if (delayMs > 0) await sleep(delayMs);
    }
    const content = [{ type: 'output_text', text, annotations: [] }];
    await this.drained(this.event('response.output_item.done', { ...at, item: { ...item, status: 'completed', content } }));
  }

  call(fields) {
    this.begin();
    const item = { id: makeId('fc'), call_id: makeId('call'), status: 'completed', ...fields };
    this.event('response.output_item.done', { output_index: this.index++, item });
  }

  complete({ inputBytes }) {
    this.begin();
    const input = Math.ceil(inputBytes / 4);
    const output = Math.max(1, Math.ceil(this.bytes / 4));
    this.event('response.completed', {
      response: {
        id: this.id,
        status: 'completed',
        usage: {
          input_tokens: input,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: output,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: input + output,
        },
      },
    });
    if (!this.gone) this.response.end();
  }

  // The stream itself reports the failure (as for an exceeded context window).
  fail(code, message) {
    this.begin();
    this.event('response.failed', { response: { id: this.id, status: 'failed', error: { code, message } } });
    if (!this.gone) this.response.end();
  }

  httpError(status, error, headers = {}) {
    if (this.gone) return;
    if (this.started) {
      this.fail(error.code ?? 'server_error', error.message);
      return;
    }
    this.response.writeHead(status, { 'content-type': 'application/json', ...headers });
    this.response.end(JSON.stringify({ error }));
  }

  // The connection breaks in the middle of the stream.
  cut() {
    this.begin();
    const at = { output_index: this.index, item_id: makeId('msg') };
    this.event('response.output_item.added', { ...at, item: { type: 'message', id: at.item_id, role: 'assistant', content: [] } });
    this.event('response.output_text.delta', { ...at, content_index: 0, delta: 'cut h' });
    setImmediate(() => this.response.destroy());
  }
}
