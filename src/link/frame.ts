// A frame buffer: the virtio header, the Ethernet header, the packet; reused, never garbage.
import { FRAME_CAPACITY } from '../wire/layout.ts';

/**
 * One buffer with the views that readers and writers want. The bytes in use are `[0, end)`; the headers
 * lie as `wire/layout.ts` says. `words` and `halves` read in the machine's byte order (little-endian).
 */
export class Frame {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly words: Uint32Array<ArrayBuffer>;
  readonly halves: Uint16Array<ArrayBuffer>;
  /** Offset behind the last byte. */
  end = 0;
  /** Where the bytes lie in memory: for links that hand them to the kernel, which find it out once. */
  address = 0;

  constructor(capacity: number = FRAME_CAPACITY) {
    const buffer = new ArrayBuffer((capacity + 3) & ~3);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer);
    this.halves = new Uint16Array(buffer);
  }

  /** Takes over another frame's bytes. */
  copyFrom(other: Frame): void {
    this.bytes.set(other.bytes.subarray(0, other.end));
    this.end = other.end;
  }
}
