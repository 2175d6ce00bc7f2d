/** When the client got what: the arrivals of a download and the silences between them. */

/** A time without new bytes, in milliseconds of CLOCK_MONOTONIC. */
export interface Silence {
  readonly from: number;
  readonly to: number;
}

export const lengthOf = ({ from, to }: Silence): number => to - from;

/**
 * The gap that a failure made: the longest silence that lasts beyond `failedAt` and begins before
 * `until`. It may begin later than the failure, as long as buffers at the receiver are not empty.
 */
export const gapAmong = (
  silences: Iterable<Silence>,
  failedAt: number,
  until: number,
): Silence | undefined => longest(silences, ({ from, to }) => to > failedAt && from < until);

/** The arrivals in order of time. All times are milliseconds of CLOCK_MONOTONIC. */
export class Timeline {
  /** The request's moment, then one for each arrival. */
  readonly #at: number[];
  /** Bytes there were by then. */
  readonly #total: number[] = [0];

  /** @param began when the download was asked for */
  constructor(began: number) {
    this.#at = [began];
  }

  add(at: number, bytes: number): void {
    this.#at.push(at);
    this.#total.push(this.bytes + bytes);
  }

  /** All bytes so far. */
  get bytes(): number {
    return this.#total[this.#total.length - 1];
  }

  get began(): number {
    return this.#at[0];
  }

  /** The last arrival; `began` before the first. */
  get lastAt(): number {
    return this.#at[this.#at.length - 1];
  }

  /** The silence that the last arrival ended. */
  get latest(): Silence {
    return { from: this.#at[Math.max(0, this.#at.length - 2)], to: this.lastAt };
  }

  /** Bytes that had come by `at`. */
  bytesAt(at: number): number {
    let low = 0;
    let high = this.#at.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#at[middle] <= at) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.#total[low - 1];
  }

  /** Bytes that came in each of `count` spans of `span` milliseconds, the first beginning at `from`. */
  perSpan(from: number, span: number, count: number): number[] {
    return Array.from(
      { length: count },
      (_, i) => this.bytesAt(from + (i + 1) * span) - this.bytesAt(from + i * span),
    );
  }

  /** See `gapAmong`. */
  gap(failedAt: number, until: number): Silence | undefined {
    return gapAmong(this.#silences(), failedAt, until);
  }

  /** The silences that lasted at least so many milliseconds. */
  silences(atLeast: number): Silence[] {
    return Array.from(this.#silences()).filter((silence) => lengthOf(silence) >= atLeast);
  }

  /** The longest silence after the first arrival that was over by `at`: what is usual here. */
  usualSilence(at: number): Silence | undefined {
    return longest(this.#silences(), ({ from, to }) => from > this.began && to <= at);
  }

  *#silences(): Generator<Silence> {
    for (let i = 1; i < this.#at.length; i++) yield { from: this.#at[i - 1], to: this.#at[i] };
  }
}

function longest(
  silences: Iterable<Silence>,
  counts: (silence: Silence) => boolean,
): Silence | undefined {
  let found: Silence | undefined;
  for (const silence of silences) {
    if (counts(silence) && (found === undefined || lengthOf(silence) > lengthOf(found))) {
      found = silence;
    }
  }
  return found;
}
