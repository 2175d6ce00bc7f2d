// The store against a real server: Debian's redis-server, started for this file on a port of its own.
import { afterEach, expect, test, vi } from 'vitest';
import { silentLogger } from '../../../src/env/logger.ts';
import { RedisStore } from '../../../src/replication/store/redis.ts';
import type { Entry, PutOutcome, ScanPage } from '../../../src/replication/store/store.ts';
import { freePort, hasServer, kill, killAll, startServer } from './server.ts';
import { numbered, sealer } from './world.ts';

const PASSWORD = 'for the tests only';
const stores: RedisStore[] = [];

function connect(port: number, password?: string): RedisStore {
  const url = `redis://127.0.0.1:${port}`;
  const store = new RedisStore({ url, password, logger: silentLogger, wake: () => {} });
  stores.push(store);
  store.open();
  return store;
}

const until = (condition: () => boolean): Promise<void> =>
  vi.waitFor(
    () => {
      if (!condition()) throw new Error('not yet');
    },
    { timeout: 20_000, interval: 5 },
  );

const put = (store: RedisStore, entry: Entry, ttlMs = 60_000): Promise<PutOutcome> =>
  new Promise((resolve) => store.put(entry, ttlMs, resolve));
const get = (store: RedisStore, names: readonly string[]) =>
  new Promise<readonly (Uint8Array | undefined)[] | undefined>((resolve) =>
    store.get(names, resolve),
  );
const remove = (store: RedisStore, { names }: Entry, identity: Uint8Array): Promise<boolean> =>
  new Promise((resolve) => store.remove(names, identity, resolve));
const scan = (store: RedisStore, prefix: string, cursor: string) =>
  new Promise<ScanPage | undefined>((resolve) => store.scan(prefix, cursor, resolve));
const bytes = (value: Uint8Array | undefined): number[] | undefined => value && Array.from(value);

afterEach(async () => {
  for (const store of stores.splice(0)) store.close();
  await killAll();
});

test.skipIf(!hasServer)('a value is kept, found by both names, and removed', async () => {
  const port = await freePort();
  startServer(port);
  const store = connect(port);
  await until(() => store.isUp);
  const seal = sealer();
  const record = numbered(1);
  const entry = seal.seal(record, 1_700_000_000);
  expect(await put(store, entry)).toBe('stored');
  const found = await get(store, [...entry.names, 'test:c:nothing']);
  expect(found?.map(bytes)).toEqual([bytes(entry.value), bytes(entry.value), undefined]);
  expect(seal.open(found?.[0] ?? new Uint8Array())?.record).toEqual(record);
  // Another record's removal changes nothing.
  expect(await remove(store, entry, seal.identityOf(numbered(2)))).toBe(true);
  expect((await get(store, entry.names))?.[1]).toBeDefined();
  expect(await remove(store, entry, seal.identityOf(record))).toBe(true);
  expect(await get(store, entry.names)).toEqual([undefined, undefined]);
});

test.skipIf(!hasServer)('of two records the one with the higher epoch stays, whole', async () => {
  const port = await freePort();
  startServer(port);
  const store = connect(port);
  await until(() => store.isUp);
  const seal = sealer();
  const record = numbered(1);
  const later = record.slice();
  later[48]++;
  // The same way to the backend, another client.
  new DataView(later.buffer).setUint16(8, 50_000);
  const [first, second] = [seal.seal(record, 1), seal.seal(later, 1)];
  expect(await put(store, first)).toBe('stored');
  expect(await put(store, second)).toBe('stored');
  expect(await put(store, first)).toBe('newer');
  const names = [first.names[0], second.names[0], first.names[1]];
  const values = [first.value, second.value, second.value];
  expect((await get(store, names))?.map(bytes)).toEqual(values.map(bytes));
  // Rubbish of a stranger is written over.
  const other = seal.seal(numbered(3), 1);
  const rubbish = { names: other.names, value: new Uint8Array(8) };
  expect(await put(store, rubbish)).toBe('stored');
  expect(await put(store, other)).toBe('stored');
});

test.skipIf(!hasServer)('values expire', async () => {
  const port = await freePort();
  startServer(port);
  const store = connect(port);
  await until(() => store.isUp);
  const entry = sealer().seal(numbered(1), 1);
  expect(await put(store, entry, 30)).toBe('stored');
  await vi.waitFor(
    async () => expect(await get(store, entry.names)).toEqual([undefined, undefined]),
    { timeout: 20_000 },
  );
});

test.skipIf(!hasServer)(
  'a walk shows every name with a prefix, whatever it has in it',
  async () => {
    const port = await freePort();
    startServer(port);
    const store = connect(port);
    await until(() => store.isUp);
    const names = (prefix: string) =>
      Array.from(
        { length: 600 },
        (_, index) => [`${prefix}c:${index}`, `${prefix}b:${index}`] as const,
      );
    const value = sealer().seal(numbered(1), 1).value;
    const all = [...names('a*[b]:'), ...names('ax[b]:')];
    const outcomes = await Promise.all(all.map((pair) => put(store, { names: pair, value })));
    expect(new Set(outcomes)).toEqual(new Set(['stored']));
    const seen = new Set<string>();
    for (let cursor: string | undefined = ''; cursor !== undefined; ) {
      const page: ScanPage | undefined = await scan(store, 'a*[b]:c:', cursor);
      for (const name of page?.names ?? []) seen.add(name);
      cursor = page?.next;
    }
    expect([...seen].sort()).toEqual(
      names('a*[b]:')
        .map(([name]) => name)
        .sort(),
    );
  },
);

test.skipIf(!hasServer)(
  'a server that dies is noticed, and used again when it is back',
  async () => {
    const port = await freePort();
    const server = startServer(port);
    const store = connect(port);
    await until(() => store.isUp);
    let changes = 0;
    store.onChange = () => changes++;
    const entry = sealer().seal(numbered(1), 1);
    await kill(server);
    await until(() => !store.isUp);
    expect(await put(store, entry)).toBe('failed');
    expect(await get(store, entry.names)).toBeUndefined();
    expect(await scan(store, 'test:', '')).toBeUndefined();
    startServer(port);
    await until(() => store.isUp);
    expect(await put(store, entry)).toBe('stored');
    expect(changes).toBe(2);
  },
);

test.skipIf(!hasServer)(
  'what waits for a server that hangs is answered when it goes on',
  async () => {
    const port = await freePort();
    const server = startServer(port);
    const store = connect(port);
    await until(() => store.isUp);
    const entry = sealer().seal(numbered(1), 1);
    server.kill('SIGSTOP');
    let outcome: PutOutcome | undefined;
    const answered = put(store, entry).then((answer) => {
      outcome = answer;
    });
    await new Promise(setImmediate);
    expect(outcome).toBeUndefined();
    server.kill('SIGCONT');
    await answered;
    expect(outcome).toBe('stored');
  },
);

test.skipIf(!hasServer)(
  'a server that wants a password gets it; without it, it is of no use',
  async () => {
    const port = await freePort();
    startServer(port, '--requirepass', PASSWORD);
    const store = connect(port, PASSWORD);
    const refused = connect(port, 'a wrong one');
    await until(() => store.isUp);
    expect(await put(store, sealer().seal(numbered(1), 1))).toBe('stored');
    expect(refused.isUp).toBe(false);
    expect(await put(refused, sealer().seal(numbered(1), 1))).toBe('failed');
  },
);

test.skipIf(!hasServer)('a server that has forgotten the scripts is told them again', async () => {
  const port = await freePort();
  startServer(port);
  const store = connect(port);
  await until(() => store.isUp);
  const { createClient } = await import('@redis/client');
  const other = createClient({ url: `redis://127.0.0.1:${port}` });
  await other.connect();
  await other.scriptFlush();
  await other.close();
  expect(await put(store, sealer().seal(numbered(1), 1))).toBe('stored');
});

test('a server that is not there costs nothing but itself', async () => {
  const store = connect(await freePort());
  const entry = sealer().seal(numbered(1), 1);
  expect(await put(store, entry)).toBe('failed');
  expect(store.isUp).toBe(false);
  store.close();
});
