/**
 * Where records are kept beside the mesh: a key-value store that members share and that outlives them. It sees
 * names and sealed values only (`sealed-record.ts`); what they mean, and what a member may do with them, is said in
 * `keeper.ts`. Nothing here waits: every answer comes by a callback, which is called once, and not after `close`.
 */

/** A value under both of its names; all or nothing. */
export interface Entry {
  /** For the way to the backend and for the way to the client. */
  readonly names: readonly [string, string];
  readonly value: Uint8Array;
}

/** `newer`: under one of the names is a value with a higher epoch, so nothing was written. */
export type PutOutcome = 'stored' | 'newer' | 'failed';

/** Part of a walk through the names. */
export interface ScanPage {
  readonly names: readonly string[];
  /** Where to go on; undefined at the end. */
  readonly next: string | undefined;
}

export interface Store {
  /** True while it can be asked; what is asked otherwise fails. */
  readonly isUp: boolean;
  /** Called after each change of `isUp`. */
  onChange: (() => void) | undefined;
  /** Connects, and connects again whenever that is needed, until `close`. */
  open(): void;
  /**
   * Keeps a value for `ttlMs` milliseconds in the place of what is under its names, unless that has a higher
   * epoch (bytes 1 to 4 of a value, big-endian).
   */
  put(entry: Entry, ttlMs: number, done: (outcome: PutOutcome) => void): void;
  /** The values under some names, in their order; undefined as a whole if the store failed. */
  get(
    names: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[] | undefined) => void,
  ): void;
  /** Removes what is under either name if its bytes 5 to 12 are `identity`. */
  remove(names: Entry['names'], identity: Uint8Array, done: (ok: boolean) => void): void;
  /**
   * Some of the names that begin with `prefix`, from `cursor` on ('' at first). A name that is there all the
   * time is shown at least once; undefined if the store failed.
   */
  scan(prefix: string, cursor: string, done: (page: ScanPage | undefined) => void): void;
  close(): void;
}

/** Where in a value the store itself looks. */
export const EPOCH_AT = 1;
export const IDENTITY_AT = 5;
export const IDENTITY_BYTES = 8;
