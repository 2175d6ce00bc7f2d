// Reads the words of a script. The language has no tokens of its own: what a full stop means depends on what
// the parser expects, so the parser asks for what it expects.
import { ScriptError } from './verdict.ts';

const SPACE = /(?:[ \t\r\n\f\v]|\/\/[^\n]*|\/\*[\s\S]*?\*\/)+/y;
const NUMBER = /0[xX][0-9a-fA-F]+|\d+(?:\.(?!\.)\d*)?|\.\d+/y;
const INTEGER = /0[xX][0-9a-fA-F]+|\d+/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const FLAGS = /[FSRPUEWAC0-9]*\.?(?=[ \t(])|-(?=[ \t])|\.(?=\d)/y;

export class Scanner {
  readonly text: string;
  #at = 0;
  /** The furthest place whose line is known, and that line. */
  #knownAt = 0;
  #knownLine = 1;

  constructor(text: string) {
    this.text = text;
    this.#skip();
  }

  get line(): number {
    if (this.#at < this.#knownAt) {
      this.#knownAt = 0;
      this.#knownLine = 1;
    }
    for (; this.#knownAt < this.#at; this.#knownAt++) {
      if (this.text.charCodeAt(this.#knownAt) === 10) this.#knownLine++;
    }
    return this.#knownLine;
  }

  get atEnd(): boolean {
    return this.#at >= this.text.length;
  }

  /** @throws ScriptError always */
  fail(expected: string): never {
    const rest = this.text.slice(this.#at, this.#at + 30).split('\n')[0] ?? '';
    throw new ScriptError(
      this.line,
      `expected ${expected}, found ${rest === '' ? 'the end' : `"${rest.trimEnd()}"`}`,
    );
  }

  /** What follows, up to the end of the line at most. */
  get rest(): string {
    return this.text.slice(this.#at, this.#at + 80).split('\n')[0] ?? '';
  }

  /** True if `symbol` stands here. */
  sees(symbol: string): boolean {
    return this.text.startsWith(symbol, this.#at);
  }

  /** Takes `symbol` if it stands here. */
  take(symbol: string): boolean {
    if (!this.sees(symbol)) return false;
    this.#at += symbol.length;
    this.#skip();
    return true;
  }

  expect(symbol: string): void {
    if (!this.take(symbol)) this.fail(`"${symbol}"`);
  }

  /** The name that stands here, which stays. */
  peekName(): string | undefined {
    return this.#match(NAME);
  }

  takeName(): string | undefined {
    return this.#advance(this.#match(NAME));
  }

  name(expected: string): string {
    return this.takeName() ?? this.fail(expected);
  }

  /** Takes `word` if it is the name that stands here. */
  takeWord(word: string): boolean {
    if (this.peekName() !== word) return false;
    this.takeName();
    return true;
  }

  takeNumber(): number | undefined {
    const word = this.#advance(this.#match(NUMBER));
    return word === undefined ? undefined : Number(word);
  }

  number(expected: string): number {
    return this.takeNumber() ?? this.fail(expected);
  }

  /** An integer, with its sign if it has one. */
  integer(expected: string): number {
    const negative = this.sees('-');
    if (negative) this.#at++;
    const word = this.#advance(this.#match(INTEGER)) ?? this.fail(expected);
    return negative ? -Number(word) : Number(word);
  }

  /** The flags of a TCP packet. */
  flags(): string | undefined {
    return this.#advance(this.#match(FLAGS));
  }

  /** What stands between `open`, which stands here, and the next `close`; undefined if it does not. */
  between(open: string, close: string): string | undefined {
    if (!this.sees(open)) return undefined;
    const start = this.#at + open.length;
    const end = this.text.indexOf(close, start);
    if (end < 0) this.fail(`"${close}" after "${open}"`);
    this.#at = end + close.length;
    this.#skip();
    return this.text.slice(start, end);
  }

  /** A text in double quotes; undefined if none stands here. */
  string(): string | undefined {
    if (!this.sees('"')) return undefined;
    let end = this.#at + 1;
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === '\\' ? 2 : 1;
    if (end >= this.text.length) this.fail('the end of the text in quotes');
    const inside = this.text.slice(this.#at + 1, end);
    this.#at = end + 1;
    this.#skip();
    return inside.replace(/\\(x[0-9a-fA-F]{2}|.)/g, (_, code: string) => unescaped(code));
  }

  /** The rest of the line without surrounding space. */
  restOfLine(): string {
    const end = this.text.indexOf('\n', this.#at);
    const rest = this.text.slice(this.#at, end < 0 ? undefined : end);
    this.#at += rest.length;
    this.#skip();
    return (rest.split('//')[0] ?? '').trim();
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    return found === undefined || found === '' ? undefined : found;
  }

  #advance(word: string | undefined): string | undefined {
    if (word === undefined) return undefined;
    this.#at += word.length;
    this.#skip();
    return word;
  }

  #skip(): void {
    SPACE.lastIndex = this.#at;
    const space = SPACE.exec(this.text)?.[0];
    if (space !== undefined) this.#at += space.length;
    else if (this.sees('/*')) this.fail('"*/" after "/*"');
  }
}

function unescaped(code: string): string {
  if (code.startsWith('x') && code.length === 3) {
    return String.fromCharCode(Number.parseInt(code.slice(1), 16));
  }
  return { n: '\n', r: '\r', t: '\t', '0': '\0' }[code] ?? code;
}
