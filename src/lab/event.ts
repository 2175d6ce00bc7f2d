/** What a lab says of itself while it is up. */

/** Something that happened in a lab. `at` is in milliseconds of CLOCK_MONOTONIC, see `monotonic`. */
export type LabEvent = { readonly at: number } & (
  | {
      readonly type: 'output';
      readonly process: string;
      readonly stream: 'stdout' | 'stderr';
      /** One line without its end, cut at 64 KiB. */
      readonly line: string;
    }
  | {
      readonly type: 'process';
      readonly process: string;
      readonly state: ProcessState;
      /** Its number within the lab's process namespace. */
      readonly pid?: number;
      /** Exit code, when it ended by itself. */
      readonly code?: number;
      /** The signal that ended it. */
      readonly signal?: string;
    }
  | { readonly type: 'fault'; readonly verb: FaultVerb; readonly target: string }
  | { readonly type: 'lab'; readonly state: LabState; readonly error?: string }
);

/** `starting` until the ready check succeeds, then `ready`; `paused` by a fault; `ended` for good. */
export type ProcessState = 'starting' | 'ready' | 'paused' | 'ended';

/** `building` the network, `starting` the processes, `ready`, or `failed` with an error. */
export type LabState = 'building' | 'starting' | 'ready' | 'failed' | 'stopping';

/** Failures that can be inflicted on a lab, and their cures. */
export const FAULT_VERBS = [
  'kill',
  'pause',
  'resume',
  'link-down',
  'link-up',
  'restart',
  'drain',
] as const;
export type FaultVerb = (typeof FAULT_VERBS)[number];

/** An event without its time. */
export type Happening<E = LabEvent> = E extends LabEvent ? Omit<E, 'at'> : never;

/**
 * Milliseconds of CLOCK_MONOTONIC, the clock of `process.hrtime`: the same for all processes of the
 * machine, so that times from a lab compare with the caller's own.
 */
export function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
