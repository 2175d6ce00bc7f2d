// What befalls the members, drawn from a seed: one after another or several at once, but always one is left that
// serves and is up to date.
import { setTimeout as sleep } from 'node:timers/promises';
import { below, type Random } from '../../src/env/random.ts';
import { type FaultVerb, monotonic } from '../../src/lab/event.ts';
import type { Lab } from '../../src/lab/lab.ts';
import type { Members } from './members.ts';

export const HARMS = [
  'kill',
  'pause',
  'link-down',
  'restart',
  'drain',
] as const satisfies FaultVerb[];
export type Harm = (typeof HARMS)[number];

/** Something that was done to a member, and when (`monotonic`). */
export interface Deed {
  readonly at: number;
  readonly member: string;
  readonly verb: FaultVerb;
  /** Counted, and a pause of clients after it is its gap. */
  readonly harm?: Harm;
}

/** The verb that undoes a harm that lasts. */
const CURES: Partial<Record<Harm, FaultVerb>> = {
  kill: 'restart',
  pause: 'resume',
  'link-down': 'link-up',
  drain: 'restart',
};
/** In milliseconds: shortest and longest rest between deeds. */
const REST = [100, 1_200] as const;
/** A pause may be so short that nobody suspects anything, in milliseconds. */
const BRIEF = [5, 120] as const;
/** How long a member may take to come back until that is a fault of its own. */
const RETURN_MS = 30_000;

export interface FaultsOptions {
  readonly lab: Lab;
  readonly members: Members;
  readonly random: Random;
  readonly harms: readonly Harm[];
  /** When to stop (`monotonic`); then all are cured. */
  readonly until: number;
  readonly onDeed: (deed: Deed) => void;
}

/** Harms and cures until the time is over. @throws Error when a member does not come back. */
export async function inflictFaults(options: FaultsOptions): Promise<void> {
  const { lab, members, random, harms, until, onDeed } = options;
  const down = new Map<string, Harm>();
  const act = async (verb: FaultVerb, member: string, harm?: Harm): Promise<void> => {
    onDeed({ at: monotonic(), member, verb, ...(harm === undefined ? {} : { harm }) });
    await lab.fail(verb, member);
  };
  const cure = async (member: string, harm: Harm): Promise<void> => {
    const verb = CURES[harm];
    if (verb !== undefined) await act(verb, member);
    down.delete(member);
    members.cured(member);
  };
  const harm = async (member: string): Promise<void> => {
    const how = harms[below(random, harms.length)];
    members.harmed(member);
    await act(how, member, how);
    const brief = how === 'pause' && below(random, 3) === 0;
    if (brief) await sleep(between(random, BRIEF));
    if (brief || how === 'restart') await cure(member, how);
    else down.set(member, how);
  };

  let stuckSince = monotonic();
  while (monotonic() < until) {
    await sleep(between(random, REST));
    const victims = members.names.filter(
      (name) =>
        !members.isDown(name) &&
        members.names.some((other) => other !== name && members.isSettled(other)),
    );
    if (down.size > 0 && (victims.length === 0 || below(random, 2) === 0)) {
      const [member, how] = [...down][below(random, down.size)];
      await cure(member, how);
    } else if (victims.length > 0) {
      await harm(victims[below(random, victims.length)]);
    } else if (monotonic() - stuckSince > RETURN_MS) {
      throw new Error(`no member could be harmed for ${RETURN_MS} ms: ${members}`);
    }
    if (victims.length > 0) stuckSince = monotonic();
  }
  for (const [member, how] of [...down]) await cure(member, how);
  await members.allSettled(RETURN_MS);
}

const between = (random: Random, [shortest, longest]: readonly [number, number]): number =>
  shortest + below(random, longest - shortest);
