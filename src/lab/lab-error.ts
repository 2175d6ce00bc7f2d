/**
 * A lab that cannot be built, found or asked. `message` is one line: what, where, how to mend it.
 */
export class LabError extends Error {
  override readonly name = 'LabError';
}
