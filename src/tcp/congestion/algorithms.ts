// Congestion control by name, for options of sockets and configuration.
import type { CongestionControl } from './control.ts';
import { cubic } from './cubic.ts';
import { newReno } from './newreno.ts';

/** The names that `congestionControl` knows; `reno` is what Linux calls NewReno. */
export const CONGESTION_CONTROLS: readonly string[] = ['cubic', 'newreno', 'reno'];

/** The algorithm of that name, or undefined. */
export function congestionControl(name: string): CongestionControl | undefined {
  switch (name) {
    case 'cubic':
      return cubic;
    case 'newreno':
    case 'reno':
      return newReno;
    default:
      return undefined;
  }
}
