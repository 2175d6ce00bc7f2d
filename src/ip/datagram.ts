// One datagram on its way to be whole: its fragments in order, none of which may overlap another.

/** Fragments of one datagram at most: enough for 64 KiB over the least MTU that a path may have. */
const FRAGMENTS = 128;
const MAXIMUM = 65_535;

/** What came of a fragment. */
export const KEPT = 0;
/** The very bytes that are there already. */
export const REPEATED = 1;
/** It contradicts the others, or there are too many: the whole datagram is spoilt. */
export const CONFLICT = 2;

/** The fragments of one datagram, by their offsets in its payload. */
export class FragmentSet {
  /** Payload bytes of the whole datagram, or -1 until the last fragment came. */
  total = -1;
  /** Payload bytes that are there. */
  bytes = 0;
  readonly #offsets: number[] = [];
  readonly #parts: Uint8Array[] = [];

  get count(): number {
    return this.#parts.length;
  }

  get isComplete(): boolean {
    // Nothing overlaps and nothing lies beyond the end, so that the sum says it all.
    return this.total >= 0 && this.bytes === this.total;
  }

  /**
   * Adds a copy of `part`, which lies `offset` bytes behind the payload's start.
   * @param more false for the datagram's last fragment
   */
  add(offset: number, part: Uint8Array, more: boolean): number {
    const end = offset + part.length;
    let index = this.#offsets.length;
    while (index > 0 && this.#offsets[index - 1] >= offset) index--;
    if (this.#offsets[index] === offset) {
      const same = Buffer.compare(this.#parts[index], part) === 0 && more === this.#isInside(index);
      return same ? REPEATED : CONFLICT;
    }
    const previousEnd = index > 0 ? this.#offsets[index - 1] + this.#parts[index - 1].length : 0;
    const nextStart = index < this.#offsets.length ? this.#offsets[index] : MAXIMUM;
    if (previousEnd > offset || end > nextStart || this.#parts.length >= FRAGMENTS) {
      return CONFLICT;
    }
    if (more ? this.total >= 0 && end >= this.total : !this.#mayEndAt(end)) return CONFLICT;
    if (!more) this.total = end;
    this.#offsets.splice(index, 0, offset);
    this.#parts.splice(index, 0, Uint8Array.from(part));
    this.bytes += part.length;
    return KEPT;
  }

  /** Writes the payload of the complete datagram at `at`; the offset behind it. */
  copyTo(target: Uint8Array, at: number): number {
    for (const [index, part] of this.#parts.entries()) target.set(part, at + this.#offsets[index]);
    return at + this.bytes;
  }

  clear(): void {
    this.bytes = 0;
    this.#offsets.splice(0);
    this.#parts.splice(0);
  }

  /** True unless this fragment is the last of the datagram. */
  #isInside(index: number): boolean {
    return this.#offsets[index] + this.#parts[index].length !== this.total;
  }

  #mayEndAt(end: number): boolean {
    const last = this.#offsets.length - 1;
    return this.total < 0 && (last < 0 || this.#offsets[last] + this.#parts[last].length <= end);
  }
}
