/**
 * A splice record as it lies in a store that strangers may read and write:
 *
 *     0      version, 1
 *     1-4    epoch of the record
 *     5-12   its identity: a keyed hash of the record
 *     13-20  salt of whoever wrote it
 *     21-28  number of the value among those with this salt
 *     29-    sealed: hash of the cluster's name (4), when it was written in seconds since 1970 (4), record (64 or 112)
 *     last 16  tag
 *
 * Numbers are big-endian. AES-256-GCM with the first 29 bytes as additional data. The key follows from the cluster's
 * secret and the salt (HKDF, RFC 5869), the nonce is the number, and a salt is new with each start of a writer: no
 * nonce comes twice under a key, however many values are written. Names are keyed hashes, so that the store does
 * not tell who talks to whom.
 */
import type { KeyObject } from 'node:crypto';
import { createCipheriv, createDecipheriv, createSecretKey, hash, hkdfSync } from 'node:crypto';
import type { Random } from '../../env/random.ts';
import { formOfRecord, MAX_RECORD_BYTES, type RecordForm } from '../../splice/form.ts';
import { isValidRecord, recordEpoch } from '../../splice/record.ts';
import { type Entry, EPOCH_AT, IDENTITY_AT, IDENTITY_BYTES } from './store.ts';

const VERSION = 1;
const SALT_AT = IDENTITY_AT + IDENTITY_BYTES;
const SALT_BYTES = 8;
const NUMBER_AT = SALT_AT + SALT_BYTES;
const SEALED_AT = NUMBER_AT + 8;
/** Before the record: hash and time. */
const FACTS_BYTES = 8;
const TAG_BYTES = 16;
const ALGORITHM = 'aes-256-gcm';
const OPTIONS = { authTagLength: TAG_BYTES };
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
/** Of a name's hash: 128 bits, so that no two flows share one. */
const NAME_BYTES = 16;
const PURPOSE = 'suture store 1';
const FOR_NAMES = 0;
const FOR_IDENTITIES = 1;
/** Writers whose keys are kept at hand: all members of several clusters, and their earlier lives. */
const MAX_WRITERS = 256;

/** Which way through a splice a name is for. */
export type Way = 'c' | 'b';

/** What a value turned out to be. */
export interface Opened {
  readonly record: Uint8Array;
  readonly form: RecordForm;
  /** The hash of the name of the cluster that wrote it. */
  readonly cluster: number;
  /** When, in seconds since 1970. */
  readonly writtenAt: number;
}

export interface RecordSealerOptions {
  /** The cluster's name and secret (not empty). */
  readonly cluster: string;
  readonly secret: Uint8Array | string;
  /** What all names begin with. */
  readonly prefix: string;
  /** Must be unpredictable: the salt comes from it. */
  readonly random: Random;
}

export class RecordSealer {
  /** Tells clusters apart that share a store and a secret. */
  readonly cluster: number;
  readonly #prefix: string;
  readonly #root: Uint8Array;
  /** What is hashed: a key, one byte that says what for, and a way or a record. */
  readonly #hashed = new Uint8Array(KEY_BYTES + 1 + MAX_RECORD_BYTES);
  readonly #salt = new Uint8Array(SALT_BYTES);
  readonly #key: KeyObject;
  readonly #nonce = new Uint8Array(NONCE_BYTES);
  readonly #nonceView = new DataView(this.#nonce.buffer);
  readonly #plain = new Uint8Array(FACTS_BYTES + MAX_RECORD_BYTES);
  readonly #plainView = new DataView(this.#plain.buffer);
  readonly #writers = new Map<string, KeyObject>();
  #number = 0;

  /** @throws RangeError if the secret is empty */
  constructor({ cluster, secret, prefix, random }: RecordSealerOptions) {
    if (secret.length === 0) throw new RangeError('the cluster secret must not be empty');
    this.#prefix = prefix;
    const derive = (info: string, bytes: number, from: Uint8Array | string = secret): Uint8Array =>
      new Uint8Array(hkdfSync('sha256', from, PURPOSE, info, bytes));
    this.#root = derive('values', KEY_BYTES);
    this.#hashed.set(derive('names', KEY_BYTES));
    this.cluster = new DataView(derive('cluster', 4, cluster).buffer).getUint32(0);
    const salt = new DataView(this.#salt.buffer);
    salt.setUint32(0, random.uint32());
    salt.setUint32(4, random.uint32());
    this.#key = this.#keyOf(this.#salt);
  }

  /** The name for a way: addresses and ports of its packets as they lie in a frame. */
  nameOf(way: Way, bytes: Uint8Array): string {
    const digest = this.#hash(FOR_NAMES, bytes);
    return `${this.namesOf(way)}${digest.toString('base64url', 0, NAME_BYTES)}`;
  }

  /** What the names for one of the ways begin with. */
  namesOf(way: Way): string {
    return `${this.#prefix}${way}:`;
  }

  /** The names of a record (64 or 112 bytes), for both its ways. */
  names(record: Uint8Array): Entry['names'] {
    const { flowBytes } = formFor(record);
    return [
      this.nameOf('c', record.subarray(0, flowBytes)),
      this.nameOf('b', record.subarray(flowBytes, 2 * flowBytes)),
    ];
  }

  /** The same for every value of this record, and for no other record. */
  identityOf(record: Uint8Array): Uint8Array {
    return new Uint8Array(this.#hash(FOR_IDENTITIES, record).subarray(0, IDENTITY_BYTES));
  }

  /** @param wall seconds since 1970 */
  seal(record: Uint8Array, wall: number): Entry {
    const form = formFor(record);
    const length = FACTS_BYTES + record.length;
    const value = new Uint8Array(SEALED_AT + length + TAG_BYTES);
    const view = new DataView(value.buffer);
    value[0] = VERSION;
    view.setUint32(EPOCH_AT, recordEpoch(viewOf(record), 0, form));
    value.set(this.identityOf(record), IDENTITY_AT);
    value.set(this.#salt, SALT_AT);
    this.#number++;
    view.setUint32(NUMBER_AT, Math.floor(this.#number / 0x1_0000_0000));
    view.setUint32(NUMBER_AT + 4, this.#number % 0x1_0000_0000);
    this.#plainView.setUint32(0, this.cluster);
    this.#plainView.setUint32(4, wall);
    this.#plain.set(record, FACTS_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, this.#nonceOf(value), OPTIONS);
    cipher.setAAD(value.subarray(0, SEALED_AT));
    value.set(cipher.update(this.#plain.subarray(0, length)), SEALED_AT);
    cipher.final();
    value.set(cipher.getAuthTag(), SEALED_AT + length);
    return { names: this.names(record), value };
  }

  /** Undefined if a value is not what a member with our secret wrote, whoever it came from. */
  open(value: Uint8Array): Opened | undefined {
    const sealed = value.length - SEALED_AT - TAG_BYTES;
    const form = formOfRecord(sealed - FACTS_BYTES);
    if (form === undefined || value[0] !== VERSION) return undefined;
    const salt = value.subarray(SALT_AT, SALT_AT + SALT_BYTES);
    const writer = Buffer.from(salt).toString('latin1');
    const key = this.#writers.get(writer) ?? this.#keyOf(salt);
    const decipher = createDecipheriv(ALGORITHM, key, this.#nonceOf(value), OPTIONS);
    decipher.setAAD(value.subarray(0, SEALED_AT));
    decipher.setAuthTag(value.subarray(SEALED_AT + sealed));
    const plain = decipher.update(value.subarray(SEALED_AT, SEALED_AT + sealed));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    this.#remember(writer, key);
    const facts = viewOf(plain);
    const record = new Uint8Array(plain.subarray(FACTS_BYTES));
    if (!isValidRecord(viewOf(record), 0, form)) return undefined;
    return { record, form, cluster: facts.getUint32(0), writtenAt: facts.getUint32(4) };
  }

  /** SHA-256 behind a key; what is told of it is cut short, so that nobody can go on from it. */
  #hash(purpose: number, bytes: Uint8Array): Buffer {
    this.#hashed[KEY_BYTES] = purpose;
    this.#hashed.set(bytes, KEY_BYTES + 1);
    return hash('sha256', this.#hashed.subarray(0, KEY_BYTES + 1 + bytes.length), 'buffer');
  }

  #keyOf(salt: Uint8Array): KeyObject {
    const info = `writer ${Buffer.from(salt).toString('hex')}`;
    return createSecretKey(
      new Uint8Array(hkdfSync('sha256', this.#root, PURPOSE, info, KEY_BYTES)),
    );
  }

  /** Only what was authentic leaves a trace. */
  #remember(writer: string, key: KeyObject): void {
    if (this.#writers.has(writer)) return;
    if (this.#writers.size >= MAX_WRITERS) {
      for (const oldest of this.#writers.keys()) {
        this.#writers.delete(oldest);
        break;
      }
    }
    this.#writers.set(writer, key);
  }

  /** Valid until the next call. */
  #nonceOf(value: Uint8Array): Uint8Array {
    const view = viewOf(value);
    this.#nonceView.setUint32(4, view.getUint32(NUMBER_AT));
    this.#nonceView.setUint32(8, view.getUint32(NUMBER_AT + 4));
    return this.#nonce;
  }
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

function formFor(record: Uint8Array): RecordForm {
  const form = formOfRecord(record.length);
  if (form === undefined) throw new RangeError(`no record has ${record.length} bytes`);
  return form;
}
