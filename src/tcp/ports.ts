// Ephemeral ports (RFC 6056, algorithm 3: a secret offset for each destination, then one after the other).
import type { Address } from '../ip/address.ts';
import { addressWords } from './flow-words.ts';
import { type SipKey, siphash } from './siphash.ts';

export const FIRST_PORT = 10_000;
export const LAST_PORT = 65_535;
const COUNT = LAST_PORT - FIRST_PORT + 1;

const words = new Uint32Array(16);

/** Gives out local ports; which of them are free for a destination, the caller knows. */
export class Ports {
  readonly #key: SipKey;
  #next = 0;

  constructor(key: SipKey) {
    this.#key = key;
  }

  /** A port from `local` to `remote` that `isFree`; undefined when all are taken. */
  choose(
    local: Address,
    remote: Address,
    remotePort: number,
    isFree: (port: number) => boolean,
  ): number | undefined {
    let count = addressWords(local, words, 0);
    count = addressWords(remote, words, count);
    words[count++] = remotePort;
    const offset = siphash(this.#key, words, count);
    for (let tried = 0; tried < COUNT; tried++) {
      const port = FIRST_PORT + ((offset + this.#next++) % COUNT);
      if (isFree(port)) return port;
    }
    return undefined;
  }

  /** Any port that `isFree`; undefined when all are taken. */
  any(isFree: (port: number) => boolean): number | undefined {
    for (let tried = 0; tried < COUNT; tried++) {
      const port = FIRST_PORT + (this.#next++ % COUNT);
      if (isFree(port)) return port;
    }
    return undefined;
  }
}
