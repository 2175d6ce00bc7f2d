// A link that keeps what shall be sent when its owner is dead, as a TAP does.
import { Frame } from '../link/frame.ts';
import type { Link } from '../link/link.ts';
import { LinkWrapper } from '../link/wrapper.ts';

export class Bequeathing extends LinkWrapper {
  #frames: readonly Uint8Array[] = [];

  override get bequeath(): Link['bequeath'] {
    return (frames) => {
      this.#frames = frames;
      return true;
    };
  }

  /** What the kernel has done when the owner is dead; by way of another link, for this one is gone. */
  execute(link: Link): void {
    for (const bytes of this.#frames) {
      const frame = new Frame(bytes.length);
      frame.bytes.set(bytes);
      frame.end = bytes.length;
      link.send(frame);
    }
  }
}
