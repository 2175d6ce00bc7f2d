// Two hosts joined by a memory link on the machine's own clock and event loop, for tests.
import { Host } from '../../src/host/host.ts';
import { type Endpoint, parsePrefix } from '../../src/ip/address.ts';
import { MemoryLink, type MemoryLinkOptions } from '../../src/link/memory.ts';
import { address } from '../sim/hosts.ts';

export const LEFT = address('10.0.0.1');
export const RIGHT = address('10.0.0.2');
export const SERVICE: Endpoint = { address: RIGHT, port: 80 };

export class Machines implements AsyncDisposable {
  readonly left: Host;
  readonly right: Host;
  readonly #running: Promise<void>[];

  constructor(options: MemoryLinkOptions = {}) {
    const [a, b] = MemoryLink.pair(options);
    this.left = new Host({ link: a, mac: 0x0200_0000_0001 });
    this.right = new Host({ link: b, mac: 0x0200_0000_0002 });
    const prefix = parsePrefix('10.0.0.0/24');
    for (const host of [this.left, this.right]) {
      host.ip.addAddress(host === this.left ? LEFT : RIGHT);
      if (prefix !== undefined) host.ip.addRoute({ prefix });
    }
    this.#running = [this.left.run(), this.right.run()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.left.stop();
    this.right.stop();
    await Promise.all(this.#running);
  }
}

/** Resolves when `condition` holds; the test's own limit ends a vain wait. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
