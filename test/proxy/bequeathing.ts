// A link that keeps what shall be sent when its member is dead, as a TAP does.
import { Frame } from '../../src/link/frame.ts';
import type { Link } from '../../src/link/link.ts';
import { LinkWrapper } from '../../src/link/wrapper.ts';

export class Bequeathing extends LinkWrapper {
  #frames: readonly Uint8Array[] = [];

  override get bequeath(): Link['bequeath'] {
    return (frames) => {
      this.#frames = frames;
      return true;
    };
  }

  /** What the kernel has done when the member is dead. */
  execute(link: Link): void {
    for (const bytes of this.#frames) {
      const frame = new Frame(bytes.length);
      frame.bytes.set(bytes);
      frame.end = bytes.length;
      link.send(frame);
    }
  }
}
