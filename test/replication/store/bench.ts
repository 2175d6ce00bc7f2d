// What a store costs: node test/replication/store/bench.ts. Both the member's part and redis-server run here.
import { type Micros, SECOND, systemClock } from '../../../src/env/clock.ts';
import { silentLogger } from '../../../src/env/logger.ts';
import { systemRandom } from '../../../src/env/random.ts';
import { Timers } from '../../../src/env/timers.ts';
import { Keeper } from '../../../src/replication/store/keeper.ts';
import { RedisStore } from '../../../src/replication/store/redis.ts';
import { RecordSealer } from '../../../src/replication/store/sealed-record.ts';
import { RECORD } from '../../splice/packets.ts';
import { freePort, killAll, startServer } from './server.ts';
import { bytesOf, SECRET } from './world.ts';

const ALONE = 2_000;
const TOGETHER = 20_000;
const OPEN = 128;
const TABLE = 50_000;

const port = await freePort();
startServer(port);
const timers = new Timers();
const random = systemRandom();
let restored = 0;

function keeperOf(table: readonly Uint8Array[]): Keeper {
  const wake = (): void => {
    timers.run(systemClock.now());
  };
  const keeper = new Keeper({
    store: new RedisStore({ url: `redis://127.0.0.1:${port}`, logger: silentLogger, wake }),
    sealers: [new RecordSealer({ cluster: 'bench', secret: SECRET, prefix: 'bench:', random })],
    ttlMs: 600_000,
    timeout: 10 * SECOND,
    table: {
      get size() {
        return table.length;
      },
      forEachRecord: (cursor, limit, visit) => {
        const end = Math.min(cursor + limit, table.length);
        for (let index = cursor; index < end; index++) visit(table[index]);
        return end < table.length ? end : -1;
      },
      keyOf: () => 0,
    },
    isOurs: () => true,
    ownerOf: () => 0,
    isHeld: () => true,
    restore: (_, done) => done(true),
    take: () => ++restored > 0,
    ...{ clock: systemClock, timers, random, logger: silentLogger },
  });
  keeper.open();
  return keeper;
}

async function until(condition: () => boolean): Promise<Micros> {
  const began = systemClock.now();
  while (!condition()) {
    timers.run(systemClock.now());
    await new Promise(setImmediate);
  }
  return systemClock.now() - began;
}

const record = (index: number): Uint8Array =>
  bytesOf({
    ...RECORD,
    client: { ...RECORD.client, port: 1_000 + index },
    source: { ...RECORD.source, port: 1_000 + index },
  });
const perSecond = (count: number, span: Micros): string =>
  `${Math.round((count * SECOND) / span)} a second`;

const table: Uint8Array[] = [];
const keeper = keeperOf(table);
keeper.begin();
await until(() => keeper.isWell);

const times: Micros[] = [];
for (let index = 0; index < ALONE; index++) {
  let isDone = false;
  keeper.commit(record(index), () => {
    isDone = true;
  });
  times.push(await until(() => isDone));
}
times.sort((a, b) => a - b);
const at = (share: number): string => `${Math.round(times[Math.floor(share * ALONE)])} us`;
console.log(`a commit alone: p50 ${at(0.5)}, p99 ${at(0.99)}`);

let done = 0;
let asked = 0;
const before = process.cpuUsage();
const span = await until(() => {
  while (asked < TOGETHER && asked - done < OPEN) keeper.commit(record(asked++), () => done++);
  return done === TOGETHER;
});
const { user, system } = process.cpuUsage(before);
const each = Math.round((user + system) / TOGETHER);
console.log(
  `commits, ${OPEN} at a time: ${perSecond(TOGETHER, span)}, ${each} us of processor each`,
);

table.push(...Array.from({ length: TABLE }, (_, index) => record(index)));
keeper.begin();
console.log(`after an outage: ${perSecond(TABLE, await until(() => keeper.isWell))}`);
const next = keeperOf([]);
const loading = await until(() => next.isPrepared());
console.log(`at a start: ${restored} records read, ${perSecond(restored, loading)}`);

keeper.close();
next.close();
await killAll();
