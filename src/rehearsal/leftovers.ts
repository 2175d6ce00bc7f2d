// What a member still keeps of connections that are over.

import type { Host } from '../host/host.ts';
import { formatEndpoint } from '../ip/address.ts';
import type { Station } from './cluster.ts';
import { slotOf } from './holdings.ts';
import type { TalkClient } from './talk-client.ts';

/** A host's connections in words, each kind once with its number. */
function openConnections(host: Host): string[] {
  const kinds = new Map<string, number>();
  for (const { state, local, remote } of host.tcp.connections()) {
    // A backend that was asked for its options and heard nothing more repeats its answer for a minute.
    if (state === 'closed' || state === 'syn-received') continue;
    const server = local.port < remote.port ? local : remote;
    const kind = `${state} with ${formatEndpoint(server)}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return Array.from(kinds, ([kind, count]) => `${count} ${kind}`);
}

/**
 * Each with its number, in words; empty if nothing is left.
 * @param torn clients whose records do not count
 */
export function leftovers(station: Station, torn: readonly TalkClient[]): string[] {
  const { host, splices, counters, replicator } = station.member;
  const excused = torn.filter(({ local, remote }) => slotOf(station, local, remote) >= 0).length;
  const counts: readonly (readonly [string, number])[] = [
    ['records', splices.size - excused],
    ['connections not spliced yet', counters.pending],
    ['relays', counters.activeRelays],
    ['heads', replicator?.heads.size ?? 0],
    ['proposals and deletions under way', replicator?.undecided ?? 0],
    ['messages not acknowledged', replicator?.unacked ?? 0],
  ];
  const left = counts.filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`);
  return [...left, ...openConnections(host)];
}
