// A keeper and its store on a virtual clock, without a member around them.
import { MILLISECOND, type Micros } from '../../../src/env/clock.ts';
import type { Logger } from '../../../src/env/logger.ts';
import { seededRandom } from '../../../src/env/random.ts';
import { Timers } from '../../../src/env/timers.ts';
import { Keeper } from '../../../src/replication/store/keeper.ts';
import { MemoryServer, MemoryStore } from '../../../src/replication/store/memory.ts';
import { RecordSealer } from '../../../src/replication/store/sealed-record.ts';
import { VirtualClock } from '../../../src/sim/virtual-clock.ts';
import { formOfAddress } from '../../../src/splice/form.ts';
import { encodeRecord, type SpliceRecord } from '../../../src/splice/record.ts';
import { RECORD } from '../../splice/packets.ts';

export const SECRET = 'a secret of the tests';
export const TTL_MS = 60_000;

export function bytesOf(record: SpliceRecord): Uint8Array {
  const bytes = new Uint8Array(formOfAddress(record.client.address).recordBytes);
  encodeRecord(record, new DataView(bytes.buffer), 0);
  return bytes;
}

/** The nth record of a family. */
export const numbered = (index: number, template: SpliceRecord = RECORD): Uint8Array =>
  bytesOf({
    ...template,
    client: { ...template.client, port: 1_000 + index },
    source: { ...template.source, port: 1_000 + index },
  });

export const sealer = (seed = 1, cluster = 'test', secret = SECRET): RecordSealer =>
  new RecordSealer({ cluster, secret, prefix: 'test:', random: seededRandom(seed) });

export class World {
  readonly clock = new VirtualClock();
  readonly timers = new Timers();
  readonly server = new MemoryServer(this.clock);
  /** What the table holds. */
  readonly table: Uint8Array[] = [];
  /** Records that were taken back. */
  readonly restored: Uint8Array[] = [];
  /** Messages of warnings. */
  readonly warnings: string[] = [];
  /** Whether records are this member's to take back. */
  isHeld = true;
  readonly sealer = sealer();
  readonly keeper: Keeper;

  constructor() {
    const { clock, timers, table } = this;
    this.server.latency = MILLISECOND;
    const warn = (_: object, text: string): void => {
      this.warnings.push(text);
    };
    const nothing = (): void => {};
    const logger: Logger = { debug: nothing, info: nothing, warn, error: warn };
    this.keeper = new Keeper({
      store: new MemoryStore(this.server, clock, timers),
      sealers: [this.sealer],
      ttlMs: TTL_MS,
      timeout: 50 * MILLISECOND,
      table: {
        get size() {
          return table.length;
        },
        forEachRecord: (cursor, limit, visit) => {
          const end = Math.min(cursor + limit, table.length);
          for (const record of table.slice(cursor, end)) visit(record);
          return end < table.length ? end : -1;
        },
        keyOf: () => 0,
      },
      isOurs: () => true,
      ownerOf: () => 3,
      isHeld: () => this.isHeld,
      restore: (record, done) => {
        this.restored.push(record);
        done(true);
      },
      take: (record) => this.restored.push(record) > 0,
      random: seededRandom(2),
      ...{ clock, timers, logger },
    });
    this.keeper.open();
    this.keeper.begin();
    this.run(10 * MILLISECOND);
  }

  run(span: Micros): void {
    const end = this.clock.now() + span;
    while (this.timers.nextAt <= end) {
      this.clock.advanceTo(this.timers.nextAt);
      this.timers.run(this.clock.now());
    }
    this.clock.advanceTo(end);
  }

  /** Puts a value where a record's is, as a stranger might. */
  plant(record: Uint8Array, value: Uint8Array): void {
    this.server.write({ names: this.sealer.names(record), value }, TTL_MS * MILLISECOND);
  }

  /** Whether a packet of this record's client may be reset; asked, and asked again after the answer. */
  isUnknown(record: Uint8Array): boolean {
    const way = record.subarray(0, 12);
    this.keeper.isUnknown('c', way);
    this.run(10 * MILLISECOND);
    return this.keeper.isUnknown('c', way);
  }
}
