// What the others hear when this process is dead, if somebody is left to say it: that nobody needs to wait for it. It is
// kept by the link, and made anew while this member lives, since the others' lives change.
import { MILLISECOND, type Micros } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import { Timer } from '../env/timers.ts';
import type { Host } from '../host/host.ts';
import type { Address } from '../ip/address.ts';
import type { UdpSocket } from '../ip/udp.ts';
import type { Replicator } from '../replication/replicator.ts';
import type { Mac } from '../wire/ethernet.ts';

const RENEW_EVERY: Micros = 100 * MILLISECOND;

export interface LastWordsOptions {
  readonly host: Host;
  readonly logger: Logger;
  /** Where a member is on the link. */
  readonly macOf: (member: Address) => Mac | undefined;
}

export class LastWords {
  readonly #options: LastWordsOptions;
  readonly #timer = new Timer((now) => this.#renew(now));
  #replicator: Replicator | undefined;
  #socket: UdpSocket | undefined;

  constructor(options: LastWordsOptions) {
    this.#options = options;
  }

  /** Speaks for a life from now on, in place of the one before. */
  speakFor(replicator: Replicator, socket: UdpSocket, now: Micros): void {
    const { host } = this.#options;
    if (host.link.bequeath === undefined) return;
    this.#replicator = replicator;
    this.#socket = socket;
    host.timers.set(this.#timer, now);
  }

  #renew(now: Micros): void {
    const { host, logger, macOf } = this.#options;
    const socket = this.#socket;
    const frames: Uint8Array[] = [];
    this.#replicator?.forEachLastWord((to, payload) => {
      const mac = macOf(to);
      if (mac === undefined) return;
      const frame = socket?.compose(to, socket.local.port, payload, mac);
      if (frame !== undefined) frames.push(frame.bytes.slice(0, frame.end));
    });
    if (host.link.bequeath?.(frames) === true) host.timers.set(this.#timer, now + RENEW_EVERY);
    else
      logger.warn(
        { event: 'unwilled' },
        'nobody is left who would say when this process dies: silence must',
      );
  }
}
