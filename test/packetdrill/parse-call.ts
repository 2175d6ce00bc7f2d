// System calls in a script: `read(4, ..., 1000) = -1 EAGAIN (Resource temporarily unavailable)`.
import type { Scanner } from './scanner.ts';
import type { CallSpec, Expression, When } from './script.ts';

/** Nesting of an argument at most, so that no script exhausts the stack. */
const MAX_DEPTH = 32;

export function parseCall(scanner: Scanner, until: When | undefined): CallSpec {
  const name = scanner.name('a packet, a system call, a command or code');
  scanner.expect('(');
  const list = parseItems(scanner, ')', 0);
  scanner.expect('=');
  const result = parseExpression(scanner, 0);
  // The name of an error; what follows in brackets is a remark.
  const error = scanner.peekName()?.startsWith('E') ? scanner.takeName() : undefined;
  if (scanner.sees('(')) scanner.between('(', ')');
  else if (scanner.sees('[')) scanner.between('[', ']');
  return { kind: 'call', name, arguments: list, result, error, until };
}

/** Expressions separated by commas, up to `close`, which is taken. */
function parseItems(scanner: Scanner, close: string, depth: number): Expression[] {
  const items: Expression[] = [];
  while (!scanner.take(close)) {
    if (items.length > 0) scanner.expect(',');
    items.push(parseExpression(scanner, depth + 1));
  }
  return items;
}

function parseExpression(scanner: Scanner, depth: number): Expression {
  const first = parseTerm(scanner, depth);
  if (!scanner.sees('|')) return first;
  const parts = [first];
  while (scanner.take('|')) parts.push(parseTerm(scanner, depth));
  return { kind: 'or', parts };
}

function parseTerm(scanner: Scanner, depth: number): Expression {
  if (depth > MAX_DEPTH) scanner.fail('an argument that is not nested so deeply');
  if (scanner.take('...')) return { kind: 'any' };
  const text = scanner.string();
  if (text !== undefined) {
    // "..."/100: the size of what is written is stated beside the text.
    if (scanner.take('/')) scanner.integer('a length');
    return { kind: 'text', value: text };
  }
  if (scanner.take('[')) return { kind: 'list', items: parseItems(scanner, ']', depth) };
  if (scanner.take('{')) return parseStruct(scanner, depth);
  const name = scanner.takeName();
  if (name !== undefined) {
    if (!scanner.take('(')) return { kind: 'name', name };
    return { kind: 'call', name, arguments: parseItems(scanner, ')', depth) };
  }
  // SHUT_WR is a name, 1.5 no argument: whole numbers only.
  return { kind: 'number', value: scanner.integer('an argument') };
}

/** `{name=value, ...}`; a value without a name is known by its place: "0", "1". */
function parseStruct(scanner: Scanner, depth: number): Expression {
  const fields = new Map<string, Expression>();
  while (!scanner.take('}')) {
    if (fields.size > 0) scanner.expect(',');
    const value = parseExpression(scanner, depth + 1);
    if (scanner.take('=') && value.kind !== 'any') {
      const key = value.kind === 'name' || value.kind === 'call' ? value.name : '';
      if (key === '') scanner.fail('the name of a field before "="');
      fields.set(key, parseExpression(scanner, depth + 1));
    } else fields.set(String(fields.size), value);
  }
  return { kind: 'struct', fields };
}
