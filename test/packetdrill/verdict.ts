// How a script ends before its end. Both are thrown inside the interpreter and caught by the runner alone.

/** The script is wrong, or what it expects did not happen. */
export class ScriptError extends Error {
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.name = 'ScriptError';
    this.line = line;
  }
}

/** The script uses something that the interpreter or the stack does not have. */
export class Unsupported extends Error {
  readonly line: number;
  /** The name of the thing. */
  readonly what: string;

  constructor(line: number, what: string) {
    super(`unsupported: ${what}`);
    this.name = 'Unsupported';
    this.line = line;
    this.what = what;
  }
}

export type Verdict = 'passed' | 'failed' | 'unsupported';

export interface Result {
  readonly file: string;
  readonly verdict: Verdict;
  /** One line; empty for a script that passed. */
  readonly reason: string;
  /** Where in the file the reason lies; 0 when it has no place. */
  readonly line: number;
}
