/**
 * A store in Redis or Valkey, over the network of the host. The client library is loaded when it is opened, so that
 * who has no store does not pay for it.
 */
import { createHash } from 'node:crypto';
import type { createClient } from '@redis/client';
import type { Logger } from '../../env/logger.ts';
import type { Entry, PutOutcome, ScanPage, Store } from './store.ts';

export interface RedisOptions {
  /** `redis://[user@]host[:port][/database]`, or `rediss://` for TLS. */
  readonly url: string;
  readonly password?: string | undefined;
  readonly logger: Logger;
  /** Called after answers came, outside of any breath. */
  readonly wake: () => void;
}

/** In milliseconds. */
const CONNECT_TIMEOUT = 2_000;
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 1_000;
/** A server that is connected and silent for so long is connected to anew; it is asked something every second. */
const SILENCE = 5_000;
const PING_INTERVAL = 1_000;
/** Commands that wait at most; beyond that they fail. */
const MAX_QUEUE = 65_536;
/** Names that a step of a scan looks at, roughly. */
const SCAN_COUNT = '256';

interface Script {
  readonly text: string;
  readonly sha: string;
}

const script = (text: string): Script => ({
  text,
  sha: createHash('sha1').update(text).digest('hex'),
});

// Both write both names or none, with nobody in between.
/** 1 if it was stored, 0 if under a name is a value with a higher epoch. */
const PUT = script(`
local epoch = struct.unpack('>I4', ARGV[1], 2)
for i = 1, 2 do
  local old = redis.call('GET', KEYS[i])
  if old and #old >= 5 and struct.unpack('>I4', old, 2) > epoch then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1`);
const REMOVE = script(`
for i = 1, 2 do
  local old = redis.call('GETRANGE', KEYS[i], 5, 12)
  if old == ARGV[1] then redis.call('DEL', KEYS[i]) end
end
return 1`);

type Client = ReturnType<typeof createClient>;
type Argument = string | Buffer;

export class RedisStore implements Store {
  onChange: (() => void) | undefined;
  readonly #options: RedisOptions;
  #client: Client | undefined;
  #isUp = false;
  #isClosed = false;
  #isWaking = false;

  constructor(options: RedisOptions) {
    this.#options = options;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  open(): void {
    this.#connect().catch((error: unknown) => {
      if (this.#isClosed) return;
      this.#options.logger.error({ error: String(error) }, 'the store cannot be connected to');
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#isUp = false;
    const client = this.#client;
    this.#client = undefined;
    // What has not been answered fails; `destroy` of a client that never connected throws.
    if (client?.isOpen === true) client.destroy();
  }

  put({ names, value }: Entry, ttlMs: number, done: (outcome: PutOutcome) => void): void {
    this.#run(PUT, names, [asBuffer(value), String(ttlMs)], (answer) => {
      done(answer === 1 ? 'stored' : answer === 0 ? 'newer' : 'failed');
    });
  }

  get(
    names: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[] | undefined) => void,
  ): void {
    this.#send(['MGET', ...names], (answer) => {
      done(
        Array.isArray(answer)
          ? answer.map((value: unknown) => (value instanceof Uint8Array ? value : undefined))
          : undefined,
      );
    });
  }

  remove(names: Entry['names'], identity: Uint8Array, done: (ok: boolean) => void): void {
    this.#run(REMOVE, names, [asBuffer(identity)], (answer) => done(answer === 1));
  }

  scan(prefix: string, cursor: string, done: (page: ScanPage | undefined) => void): void {
    const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;
    const from = cursor === '' ? '0' : cursor;
    this.#send(['SCAN', from, 'MATCH', pattern, 'COUNT', SCAN_COUNT], (answer) => {
      if (!Array.isArray(answer) || !Array.isArray(answer[1])) {
        done(undefined);
        return;
      }
      const next = String(answer[0]);
      done({ names: answer[1].map(String), next: next === '0' ? undefined : next });
    });
  }

  async #connect(): Promise<void> {
    const { createClient, RESP_TYPES } = await import('@redis/client');
    if (this.#isClosed) return;
    const { url, password, logger } = this.#options;
    const client = createClient({
      url,
      ...(password === undefined ? {} : { password }),
      RESP: 2,
      name: 'suture',
      disableClientInfo: true,
      maintNotifications: 'disabled',
      // What cannot be asked now fails now.
      disableOfflineQueue: true,
      commandsQueueMaxLength: MAX_QUEUE,
      pingInterval: PING_INTERVAL,
      socket: {
        connectTimeout: CONNECT_TIMEOUT,
        socketTimeout: SILENCE,
        reconnectStrategy: (retries) => Math.min(FIRST_PAUSE * 2 ** retries, LONGEST_PAUSE),
      },
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
    });
    this.#client = client as unknown as Client;
    client.on('ready', () => this.#ready());
    client.on('error', (error: Error) => {
      logger.debug({ error: error.message }, 'the connection to the store');
      this.#setUp(false);
    });
    client.on('reconnecting', () => this.#setUp(false));
    client.on('end', () => this.#setUp(false));
    await client.connect();
  }

  /** Scripts are sent once a connection, and then named. */
  #ready(): void {
    let missing = 2;
    for (const { text } of [PUT, REMOVE]) {
      this.#send(['SCRIPT', 'LOAD', text], (answer) => {
        if (answer !== undefined && --missing === 0) this.#setUp(true);
      });
    }
  }

  #setUp(isUp: boolean): void {
    if (isUp === this.#isUp || this.#isClosed) return;
    this.#isUp = isUp;
    this.onChange?.();
    this.#wakeSoon();
  }

  #run(
    { sha, text }: Script,
    names: Entry['names'],
    args: readonly Argument[],
    done: (answer: unknown) => void,
  ): void {
    const rest = ['2', ...names, ...args];
    this.#send(['EVALSHA', sha, ...rest], done, (error) => {
      // Somebody emptied the server's cache of scripts.
      if (error.message.startsWith('NOSCRIPT')) this.#send(['EVAL', text, ...rest], done);
      else done(undefined);
    });
  }

  /** Tells `done` the answer, or undefined if there is none, in a later turn of the event loop. */
  #send(
    command: readonly Argument[],
    done: (answer: unknown) => void,
    failed: (error: Error) => void = () => done(undefined),
  ): void {
    const client = this.#client;
    if (client === undefined) {
      setImmediate(done, undefined);
      return;
    }
    client.sendCommand([...command]).then(
      (answer: unknown) => {
        if (this.#isClosed) return;
        done(answer);
        this.#wakeSoon();
      },
      (error: Error) => {
        if (this.#isClosed) return;
        this.#options.logger.debug({ error: error.message }, 'the store did not do as asked');
        failed(error);
        this.#wakeSoon();
      },
    );
  }

  /** Once for all answers that came together. */
  #wakeSoon(): void {
    if (this.#isWaking) return;
    this.#isWaking = true;
    setImmediate(() => {
      this.#isWaking = false;
      if (!this.#isClosed) this.#options.wake();
    });
  }
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
