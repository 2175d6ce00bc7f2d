/**
 * A mistake in what a person asked for. `message` is one line: what, where, how to mend it. The
 * command line prints it without a stack and ends with exit code 2.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Names of the errors that are a person's to mend; every other error is a fault of ours. */
const MENDABLE: ReadonlySet<unknown> = new Set(['UsageError', 'ConfigError', 'LabError']);

/** Whether `error` is for the person who typed the command, told by its name: no module is loaded for it. */
export function isMendable(error: unknown): error is Error {
  return error instanceof Error && MENDABLE.has(error.name);
}
