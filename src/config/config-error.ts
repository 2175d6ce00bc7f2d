/**
 * A configuration file (or a choice taken from it) that cannot be used.
 *
 * `message` is one line: where, what, and what is allowed. A file with several mistakes has them
 * all in `problems`, one line each; `message` is then the first, with the number of the others.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** Every problem found, one line each, in the order of the file. Never empty. */
  readonly problems: readonly string[];

  constructor(problems: string | readonly string[], options?: ErrorOptions) {
    const list = typeof problems === 'string' ? [problems] : problems;
    super(summary(list), options);
    this.problems = list;
  }
}

function summary(problems: readonly string[]): string {
  const [first = 'the configuration cannot be used', ...others] = problems;
  if (others.length === 0) return first;
  return `${first} (and ${others.length} more ${others.length === 1 ? 'problem' : 'problems'})`;
}
