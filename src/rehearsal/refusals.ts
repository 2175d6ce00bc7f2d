// Answers of the proxy's own, which end a connection: what they acknowledge need not reach a backend. Nobody may go on
// with such a flow if its home dies, since the client repeats nothing. So every member must know before: it is pinned.
import { DELIVERY } from '../proxy/service.ts';
import { isServing, type SimulatedCluster, type Station } from './cluster.ts';
import { isPinnedTo, replicates } from './holdings.ts';
import type { Talk, Way } from './talks.ts';

/**
 * True if who dialed may give up its backend: bytes that the client will not repeat are to reach it before the splice,
 * and for as long as the proxy waits the acknowledgment was lost.
 */
export const mayGiveUp = ({ talk, dialedAt }: Way, { simulation }: SimulatedCluster): boolean =>
  talk.way === undefined && talk.safe > 0 && simulation.clock.now() - dialedAt >= DELIVERY;

/** True if a member has pinned a flow, and every other that it tells knows that. */
export function isPinned(
  { stations, virtual }: SimulatedCluster,
  station: Station,
  { client }: Talk,
): boolean {
  const service = { address: virtual, port: client.remote.port };
  return stations.every(
    (other) =>
      (other !== station && (!isServing(other) || !replicates(station, other))) ||
      isPinnedTo(other, station.id, client.local, service),
  );
}
