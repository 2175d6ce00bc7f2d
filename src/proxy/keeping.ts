// A member's store: what the configuration says of it, and what a packet or a record has to do with it.
import { canonical } from '../config/fields.ts';
import type { Random } from '../env/random.ts';
import type { Host } from '../host/host.ts';
import { type Address, type Endpoint, formatAddress } from '../ip/address.ts';
import { Keeper } from '../replication/store/keeper.ts';
import { RedisStore } from '../replication/store/redis.ts';
import { RecordSealer } from '../replication/store/sealed-record.ts';
import type { Store } from '../replication/store/store.ts';
import { formOfRecord, MAX_FLOW_BYTES } from '../splice/form.ts';
import { destinationOf, recordHome, writeFlow } from '../splice/record.ts';
import type { Segment } from '../tcp/segment.ts';
import * as tcp from '../wire/tcp.ts';
import type { ProxyConfig, StoreConfig } from './config.ts';
import { millis } from './dialer.ts';
import { mustParse } from './holdings.ts';
import type { ProxyMemberOptions } from './proxy.ts';
import type { Splices } from './splices.ts';

/** Makes a store whose answers come within breaths of `host`, or wake it. */
export type StoreFactory = (config: StoreConfig, host: Host) => Store;

/** What a service looks like from here. */
interface Reachable {
  isAt(virtual: Endpoint): boolean;
}

/** The keeper of a member; undefined if the configuration has no store. */
export function keeperFor(
  { config: first, logger, store: make }: ProxyMemberOptions,
  config: () => ProxyConfig,
  host: Host,
  splices: Splices,
): Keeper | undefined {
  const { store } = first;
  if (store === undefined) return undefined;
  const { clock, timers, random } = host;
  const services = new Set<Address>(
    first.services.flatMap(({ addresses }) => addresses.map(mustParse)),
  );
  return new Keeper({
    store:
      make?.(store, host) ??
      new RedisStore({
        url: store.url,
        password: store.password,
        logger,
        wake: () => {
          host.breath();
        },
      }),
    sealers: sealersOf(first, random),
    ttlMs: store.ttlMs,
    timeout: millis(store.timeoutMs),
    table: splices,
    isOurs: (record) => {
      const form = formOfRecord(record.length);
      if (form === undefined) return false;
      return splices.replicator?.holds(recordHome(viewOf(record), 0, form)) === true;
    },
    ownerOf: (record) => {
      const form = formOfRecord(record.length);
      if (form === undefined) return undefined;
      const view = viewOf(record);
      const { members } = config();
      if (recordHome(view, 0, form) >= members.size) return undefined;
      if (!services.has(destinationOf(view, 0, form).address)) return undefined;
      const source = formatAddress(destinationOf(view, form.flowBytes, form).address);
      const owner = [...members.values()].findIndex(({ sources }) =>
        sources.some((address) => canonical(address) === source),
      );
      return owner < 0 ? undefined : owner;
    },
    isHeld: (member) => splices.replicator?.holds(member) === true,
    restore: (record, done) => splices.restore(record, done),
    take: (record) => splices.take(record),
    ...{ clock, timers, random, logger },
  });
}

/** What records are sealed with: by each secret of the cluster, the first of which is read by. */
export function sealersOf({ cluster, store }: ProxyConfig, random: Random): RecordSealer[] {
  const prefix = store?.prefix ?? '';
  return cluster.secrets.map(
    (secret) => new RecordSealer({ cluster: cluster.name, secret, prefix, random }),
  );
}

const wayBytes = new Uint8Array(MAX_FLOW_BYTES);
const wayView = new DataView(wayBytes.buffer);

/**
 * Has the store asked about the flow of a segment that nobody here knows.
 * @returns true if it is certain that there is none
 */
export function isUnknown(
  keeper: Keeper,
  services: readonly Reachable[],
  segment: Segment,
): boolean {
  // A flow begins with a SYN: nobody can know it yet.
  if (segment.has(tcp.SYN)) return true;
  const to = segment.destination;
  const length = writeFlow(wayView, 0, segment.source, to);
  const isFromClient = services.some((service) => service.isAt(to));
  return keeper.isUnknown(isFromClient ? 'c' : 'b', wayBytes.subarray(0, length));
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
