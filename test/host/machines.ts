// Two hosts joined by a memory link on the machine's own clock and event loop, for tests.
import { Host } from '../../src/host/host.ts';
import { type Endpoint, parsePrefix } from '../../src/ip/address.ts';
import { MemoryLink, type MemoryLinkOptions } from '../../src/link/memory.ts';
import { address } from '../sim/hosts.ts';

export const LEFT = address('10.0.0.1');
export const RIGHT = address('10.0.0.2');
export const SERVICE: Endpoint = { address: RIGHT, port: 80 };
export const LEFT6 = address('2001:db8::1');
export const RIGHT6 = address('2001:db8::2');
export const SERVICE6: Endpoint = { address: RIGHT6, port: 80 };

export class Machines implements AsyncDisposable {
  readonly left: Host;
  readonly right: Host;
  readonly #running: Promise<void>[];

  constructor(options: MemoryLinkOptions = {}) {
    const [a, b] = MemoryLink.pair(options);
    this.left = new Host({ link: a, mac: 0x0200_0000_0001 });
    this.right = new Host({ link: b, mac: 0x0200_0000_0002 });
    for (const host of [this.left, this.right]) {
      host.ip.addAddress(host === this.left ? LEFT : RIGHT);
      host.ip.addAddress(host === this.left ? LEFT6 : RIGHT6);
      for (const text of ['10.0.0.0/24', '2001:db8::/64']) {
        const prefix = parsePrefix(text);
        if (prefix !== undefined) host.ip.addRoute({ prefix });
      }
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
