// The Python that scripts use in %{ }%: `assert` and `print` over names, numbers, texts and operators. A parser
// by precedence that computes while it reads.
import { ScriptError, Unsupported } from './verdict.ts';

export type Value = number | string | boolean;
export type Lookup = (name: string) => Value | undefined;

const TOKEN =
  /\s*(?:(0[xX][0-9a-fA-F]+|\d+\.?\d*|\.\d+)|([A-Za-z_]\w*)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(==|!=|<=|>=|<<|>>|\/\/|\*\*|[-+*/%<>()[\],~&|^=.:]))/y;
const MAX_DEPTH = 64;

/** Runs statements, one a line or separated by semicolons. */
export function runPython(text: string, line: number, lookup: Lookup): void {
  let at = line;
  for (const part of joinLines(text)) {
    for (const statement of splitStatements(part.text)) runStatement(statement, at, lookup);
    at += part.lines;
  }
}

/** Lines, of which those that end within brackets or with a backslash go on. */
function joinLines(text: string): { text: string; lines: number }[] {
  const joined: { text: string; lines: number }[] = [];
  let depth = 0;
  let continued = false;
  for (const raw of text.split('\n')) {
    const line = raw.replace(/#.*$/, '');
    const last = joined.at(-1);
    if (last !== undefined && (depth > 0 || continued)) {
      last.text += ` ${line.replace(/\\$/, '')}`;
      last.lines++;
    } else joined.push({ text: line.replace(/\\$/, ''), lines: 1 });
    continued = line.endsWith('\\');
    for (const letter of line) {
      if (letter === '(' || letter === '[') depth++;
      else if (letter === ')' || letter === ']') depth--;
    }
  }
  return joined;
}

const splitStatements = (text: string): string[] =>
  (text.match(/(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^;"'])+/g) ?? []).map((each) => each.trim());

function runStatement(statement: string, line: number, lookup: Lookup): void {
  if (statement === '' || /^(print\b|pass$|import\b)/.test(statement)) return;
  if (!/^assert\b/.test(statement)) {
    throw new Unsupported(line, `code "${statement.slice(0, 40)}"`);
  }
  const reader = new Reader(statement.slice('assert'.length), line, lookup);
  const holds = reader.expression(0);
  // What follows a comma is printed when the assertion fails.
  const shown = reader.take(',') ? `: ${String(reader.expression(0))}` : '';
  if (!reader.atEnd) reader.fail('the end of the assertion');
  if (!truth(holds))
    throw new ScriptError(line, `${statement.split(/,\s*(?=['"(a-z])/)[0]}${shown}`);
}

const truth = (value: Value): boolean => value !== 0 && value !== '' && value !== false;

/** Python's remainder has the sign of the divisor. */
const modulo = (left: number, right: number): number => ((left % right) + right) % right;

/** `'cwnd=%d' % cwnd`: each value, in order, for a conversion. */
function format(text: string, values: Value): string {
  const rest = String(values).split(', ');
  return text.replace(/%[-+0-9.]*[a-z]/g, () => rest.shift() ?? '');
}

type Operator = (left: Value, right: Value) => Value;

const number = (operate: (left: number, right: number) => Value): Operator => {
  return (left, right) => operate(Number(left), Number(right));
};

const same = (left: Value, right: Value): boolean =>
  typeof left === 'string' || typeof right === 'string'
    ? left === right
    : Number(left) === Number(right);

/** Operators from the loosest to the tightest. `and`, `or`, `not` and comparisons have rules of their own. */
const LEVELS: readonly Readonly<Record<string, Operator>>[] = [
  { '|': number((left, right) => left | right) },
  { '^': number((left, right) => left ^ right) },
  { '&': number((left, right) => left & right) },
  {
    '<<': number((left, right) => left * 2 ** right),
    '>>': number((left, right) => Math.floor(left / 2 ** right)),
  },
  { '+': number((left, right) => left + right), '-': number((left, right) => left - right) },
  {
    '*': number((left, right) => left * right),
    '//': number((left, right) => Math.floor(left / right)),
    '/': number((left, right) => left / right),
    '%': (left, right) =>
      typeof left === 'string' ? format(left, right) : number(modulo)(left, right),
  },
];

const COMPARISONS: Readonly<Record<string, Operator>> = {
  '==': same,
  '!=': (left, right) => !same(left, right),
  '<=': number((left, right) => left <= right),
  '>=': number((left, right) => left >= right),
  '<': number((left, right) => left < right),
  '>': number((left, right) => left > right),
};

class Reader {
  readonly #tokens: string[] = [];
  readonly #line: number;
  readonly #lookup: Lookup;
  #at = 0;

  constructor(text: string, line: number, lookup: Lookup) {
    this.#line = line;
    this.#lookup = lookup;
    TOKEN.lastIndex = 0;
    const end = text.trimEnd().length;
    while (TOKEN.lastIndex < end) {
      const from = TOKEN.lastIndex;
      const found = TOKEN.exec(text);
      if (found === null) {
        throw new ScriptError(line, `this is no Python: "${text.slice(from, from + 20).trim()}"`);
      }
      this.#tokens.push(found[0].trim());
    }
  }

  get atEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  fail(expected: string): never {
    throw new ScriptError(
      this.#line,
      `expected ${expected}, found "${this.#tokens[this.#at] ?? ''}"`,
    );
  }

  take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  expression(depth: number): Value {
    if (depth > MAX_DEPTH) this.fail('an expression that is not nested so deeply');
    let value = this.#and(depth);
    while (this.take('or')) {
      const right = this.#and(depth);
      value = truth(value) ? value : right;
    }
    return value;
  }

  #and(depth: number): Value {
    let value = this.#not(depth);
    while (this.take('and')) {
      const right = this.#not(depth);
      value = truth(value) ? right : value;
    }
    return value;
  }

  #not(depth: number): Value {
    let negated = false;
    while (this.take('not')) negated = !negated;
    const value = this.#comparison(depth);
    return negated ? !truth(value) : value;
  }

  /** A chain as in mathematics: `1 <= x <= 3`. */
  #comparison(depth: number): Value {
    let left = this.#level(0, depth);
    let holds: Value | undefined;
    for (;;) {
      const compare = COMPARISONS[this.#tokens[this.#at] ?? ''];
      if (compare === undefined) return holds ?? left;
      this.#at++;
      const right = this.#level(0, depth);
      holds = (holds === undefined || truth(holds)) && truth(compare(left, right));
      left = right;
    }
  }

  #level(level: number, depth: number): Value {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary(depth);
    let left = this.#level(level + 1, depth);
    for (;;) {
      const operate = operators[this.#tokens[this.#at] ?? ''];
      if (operate === undefined) return left;
      this.#at++;
      left = operate(left, this.#level(level + 1, depth));
    }
  }

  #unary(depth: number): Value {
    if (depth > MAX_DEPTH) this.fail('an expression that is not nested so deeply');
    if (this.take('-')) return -Number(this.#unary(depth + 1));
    if (this.take('+')) return Number(this.#unary(depth + 1));
    if (this.take('~')) return ~Number(this.#unary(depth + 1));
    return this.#primary(depth);
  }

  #primary(depth: number): Value {
    const token = this.#tokens[this.#at] ?? '';
    if (this.take('(')) {
      const values = [this.expression(depth + 1)];
      // A tuple, which only the text of a failed assertion needs.
      while (this.take(',')) values.push(this.expression(depth + 1));
      if (!this.take(')')) this.fail('")"');
      return values.length === 1 ? values[0] : values.join(', ');
    }
    this.#at++;
    if (/^[\d.]/.test(token)) return Number(token);
    if (/^["']/.test(token)) return token.slice(1, -1);
    if (token === 'True' || token === 'False') return token === 'True';
    if (!/^[A-Za-z_]/.test(token)) {
      this.#at--;
      this.fail('a value');
    }
    if (this.take('(')) return this.#function(token, depth);
    const value = this.#lookup(token);
    if (value === undefined) throw new Unsupported(this.#line, token);
    return value;
  }

  #function(name: string, depth: number): Value {
    const values: number[] = [];
    while (!this.take(')')) {
      if (values.length > 0 && !this.take(',')) this.fail('"," or ")"');
      values.push(Number(this.expression(depth + 1)));
    }
    const [first = 0, second = 0] = values;
    switch (name) {
      case 'abs':
        return Math.abs(first);
      case 'min':
        return Math.min(...values);
      case 'max':
        return Math.max(...values);
      case 'int':
        return Math.trunc(first);
      case 'pow':
        return first ** second;
      default:
        throw new Unsupported(this.#line, `${name}() in code`);
    }
  }
}
