/**
 * Sealing and opening datagrams: AES-256-GCM. Each sender, incarnation and receiver has a key of its own
 * (HKDF, RFC 5869), and the nonce is the datagram's number, so that no nonce comes twice under a key.
 */

import type { KeyObject } from 'node:crypto';
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync } from 'node:crypto';
import type { Datagram } from './datagram.ts';
import {
  BODY_AT,
  CLEAR_BYTES,
  MAX_PAYLOAD,
  TAG_BYTES,
  writeClear,
  writeCounter,
} from './envelope.ts';
import type { Incarnation } from './incarnation.ts';
import { ReplayWindow } from './replay-window.ts';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const OPTIONS = { authTagLength: TAG_BYTES };
/** Last words are numbered from here on: whatever was sent before they are heard, they are new. */
const FIRST_LAST = 2 ** 52;

/** What follows from the cluster's name and secret. */
export class ClusterKey {
  readonly #root: Uint8Array;
  /** Tells clusters on one network apart, in clear; it follows from the name alone. */
  readonly hash: number;

  /** Throws a RangeError if the secret is empty. */
  constructor(cluster: string, secret: Uint8Array | string) {
    if (secret.length === 0) throw new RangeError('the cluster secret must not be empty');
    this.#root = new Uint8Array(
      hkdfSync('sha256', secret, 'suture replication 1', `root ${cluster}`, KEY_BYTES),
    );
    const hash = hkdfSync('sha256', cluster, 'suture replication 1', 'name', 4);
    this.hash = new DataView(hash).getUint32(0);
  }

  /** The key for what `sender` in its `incarnation` tells `receiver`. */
  session(sender: number, { seconds, salt }: Incarnation, receiver: number): KeyObject {
    const info = `session ${sender} ${seconds} ${salt} ${receiver}`;
    return createSecretKey(
      new Uint8Array(hkdfSync('sha256', this.#root, 'suture replication 1', info, KEY_BYTES)),
    );
  }
}

/** Seals what one member sends to one other. */
export class Sealer {
  #key: KeyObject;
  readonly #self: number;
  readonly #incarnation: Incarnation;
  readonly #receiver: number;
  readonly #out = new Uint8Array(MAX_PAYLOAD);
  readonly #outView = new DataView(this.#out.buffer);
  readonly #clear = this.#out.subarray(0, CLEAR_BYTES);
  readonly #nonce = new Uint8Array(NONCE_BYTES);
  readonly #nonceView = new DataView(this.#nonce.buffer);
  #counter = 0;
  #lastCounter = FIRST_LAST;

  constructor(key: ClusterKey, self: number, incarnation: Incarnation, receiver: number) {
    this.#self = self;
    this.#incarnation = incarnation;
    this.#receiver = receiver;
    this.#key = key.session(self, incarnation, receiver);
    writeClear(this.#outView, self, key.hash, incarnation);
  }

  /** Seals by another secret of the same cluster. The numbers go on, so that the receiver's window holds. */
  rekey(key: ClusterKey): void {
    this.#key = key.session(this.#self, this.#incarnation, this.#receiver);
  }

  /** The payload for the wire, valid until the next call. Every call takes a new number. */
  seal(datagram: Datagram): Uint8Array {
    return this.#seal(datagram, ++this.#counter);
  }

  /** The same for what is to be sent only when this life is over: nothing else counts behind it. */
  sealLast(datagram: Datagram): Uint8Array {
    return this.#seal(datagram, ++this.#lastCounter);
  }

  #seal(datagram: Datagram, number: number): Uint8Array {
    writeCounter(this.#outView, number);
    writeCounter(this.#nonceView, number, NONCE_BYTES - 8);
    const cipher = createCipheriv(ALGORITHM, this.#key, this.#nonce, OPTIONS);
    cipher.setAAD(this.#clear);
    const sealed = cipher.update(datagram.bytes.subarray(0, datagram.end));
    cipher.final();
    this.#out.set(sealed, CLEAR_BYTES);
    this.#out.set(cipher.getAuthTag(), CLEAR_BYTES + sealed.length);
    return this.#out.subarray(0, CLEAR_BYTES + sealed.length + TAG_BYTES);
  }
}

/** One incarnation of a peer as its receiver knows it: the key, and the numbers seen. */
export class Session {
  readonly incarnation: Incarnation;
  readonly window: ReplayWindow = new ReplayWindow();
  readonly #sender: number;
  readonly #receiver: number;
  #keys: readonly KeyObject[];
  /** The key that the sender used last. */
  #used = 0;
  readonly #nonce = new Uint8Array(NONCE_BYTES);
  readonly #nonceView = new DataView(this.#nonce.buffer);

  /** @param keys one for each secret, not empty */
  constructor(
    keys: readonly ClusterKey[],
    sender: number,
    incarnation: Incarnation,
    receiver: number,
  ) {
    this.incarnation = incarnation;
    this.#sender = sender;
    this.#receiver = receiver;
    this.#keys = this.#derive(keys);
  }

  /** Other secrets from now on. What was sealed by one that is not among them is not authentic any more. */
  rekey(keys: readonly ClusterKey[]): void {
    this.#keys = this.#derive(keys);
    this.#used = 0;
  }

  /**
   * Opens `payload` (`MIN_PAYLOAD` to `MAX_PAYLOAD` bytes) with the number `counter` into `into`; false if
   * it is not authentic by any key. `into` is overwritten in any case.
   */
  open(payload: Uint8Array, counter: number, into: Datagram): boolean {
    if (this.#openBy(this.#keys[this.#used], payload, counter, into)) return true;
    for (let at = 0; at < this.#keys.length; at++) {
      if (at === this.#used || !this.#openBy(this.#keys[at], payload, counter, into)) continue;
      this.#used = at;
      return true;
    }
    return false;
  }

  #derive(keys: readonly ClusterKey[]): KeyObject[] {
    return keys.map((key) => key.session(this.#sender, this.incarnation, this.#receiver));
  }

  #openBy(key: KeyObject, payload: Uint8Array, counter: number, into: Datagram): boolean {
    writeCounter(this.#nonceView, counter, NONCE_BYTES - 8);
    const tagAt = payload.length - TAG_BYTES;
    const decipher = createDecipheriv(ALGORITHM, key, this.#nonce, OPTIONS);
    decipher.setAAD(payload.subarray(0, CLEAR_BYTES));
    decipher.setAuthTag(payload.subarray(tagAt));
    const plain = decipher.update(payload.subarray(CLEAR_BYTES, tagAt));
    try {
      decipher.final();
    } catch {
      return false;
    }
    into.bytes.set(plain);
    into.end = plain.length;
    return into.end >= BODY_AT;
  }
}
