// What is counted about the store; plain numbers that only grow.

export interface StoreCounters {
  /** Commits for which the record was in the store in time. */
  commits: number;
  /** Commits that went on with the mesh alone, since the store was unreachable or too slow. */
  commitsAlone: number;
  /** Values written, refreshes and those after an outage included. */
  writes: number;
  writesFailed: number;
  /** Not written: the store has a record with a higher epoch for the same client or backend. */
  writesOutdated: number;
  removals: number;
  /** Removals given up, since too many came while the store was unreachable: the records expire. */
  removalsForgotten: number;
  outages: number;
  lookups: number;
  /** Segments of unknown flows for which no lookup was made: there were too many. */
  lookupsRefused: number;
  lookupsFailed: number;
  lookupsEmpty: number;
  /** Found, and another member's to take back: the next packet is passed on to it. */
  lookupsElsewhere: number;
  /** Records taken back into the table. */
  restored: number;
  /** Dropped: not what a member of ours wrote, or not under its own name. */
  dropForged: number;
  /** Dropped: written longer ago than a record lives. */
  dropExpired: number;
  /** Dropped: its backend's end belongs to a later connection. */
  dropReplaced: number;
  /** Dropped: another cluster's, or of a member or an address that the configuration does not have. */
  dropForeign: number;
  /** Dropped: it contradicts a record or a connection that is here. */
  dropConflicting: number;
}

export const storeCounters = (): StoreCounters => ({
  commits: 0,
  commitsAlone: 0,
  writes: 0,
  writesFailed: 0,
  writesOutdated: 0,
  removals: 0,
  removalsForgotten: 0,
  outages: 0,
  lookups: 0,
  lookupsRefused: 0,
  lookupsFailed: 0,
  lookupsEmpty: 0,
  lookupsElsewhere: 0,
  restored: 0,
  dropForged: 0,
  dropExpired: 0,
  dropReplaced: 0,
  dropForeign: 0,
  dropConflicting: 0,
});
