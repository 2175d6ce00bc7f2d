// A link around another one: what it does not do itself the inner one does.
import { type Micros, NEVER } from '../env/clock.ts';
import type { Frame } from './frame.ts';
import type { Link, LinkCounters } from './link.ts';

export class LinkWrapper implements Link {
  protected readonly inner: Link;

  constructor(inner: Link) {
    this.inner = inner;
  }

  get mtu(): number {
    return this.inner.mtu;
  }

  get offload(): boolean {
    return this.inner.offload;
  }

  get counters(): LinkCounters {
    return this.inner.counters;
  }

  get nextAt(): Micros {
    return this.inner.nextAt ?? NEVER;
  }

  /** As the inner one can. */
  get bequeath(): Link['bequeath'] {
    const { inner } = this;
    return inner.bequeath && ((frames) => inner.bequeath?.(frames) ?? false);
  }

  receive(frame: Frame): boolean {
    return this.inner.receive(frame);
  }

  send(frame: Frame): boolean {
    return this.inner.send(frame);
  }

  wait(timeout: Micros): Promise<void> {
    return this.inner.wait(timeout);
  }

  close(): void {
    this.inner.close();
  }
}
