// Two link ends joined by queues: for tests, the simulator and the library's users. Needs no privileges.
import type { Micros } from '../env/clock.ts';
import { VIRTIO_LENGTH } from '../wire/virtio.ts';
import { Frame } from './frame.ts';
import { type Link, type LinkCounters, linkCounters } from './link.ts';

export interface MemoryLinkOptions {
  mtu?: number;
  /** Whether GSO trains and partial checksums may pass. */
  offload?: boolean;
  /** Frames that wait at most; what comes beyond is dropped, as a device's queue would. */
  capacity?: number;
}

/** One end of the pair: what is sent here is received there. */
export class MemoryLink implements Link {
  readonly mtu: number;
  readonly offload: boolean;
  readonly counters: LinkCounters = linkCounters();
  /** Called when a frame arrives at an end that had none. */
  onArrival: (() => void) | undefined;
  readonly #capacity: number;
  readonly #queue: Frame[] = [];
  #peer: MemoryLink | undefined;
  #wake: (() => void) | undefined;

  private constructor({ mtu = 1_500, offload = true, capacity = 1_024 }: MemoryLinkOptions) {
    this.mtu = mtu;
    this.offload = offload;
    this.#capacity = capacity;
  }

  static pair(options: MemoryLinkOptions = {}): [MemoryLink, MemoryLink] {
    const left = new MemoryLink(options);
    const right = new MemoryLink(options);
    left.#peer = right;
    right.#peer = left;
    return [left, right];
  }

  /** Frames that wait to be received. */
  get pending(): number {
    return this.#queue.length;
  }

  receive(frame: Frame): boolean {
    const next = this.#queue.shift();
    if (next === undefined) return false;
    frame.copyFrom(next);
    this.counters.received++;
    this.counters.receivedBytes += frame.end;
    return true;
  }

  send(frame: Frame): boolean {
    const peer = this.#peer;
    if (peer === undefined || peer.#queue.length >= peer.#capacity || frame.end < VIRTIO_LENGTH) {
      this.counters.sendErrors++;
      return false;
    }
    const copy = new Frame(frame.end);
    copy.copyFrom(frame);
    peer.#queue.push(copy);
    this.counters.sent++;
    this.counters.sentBytes += frame.end;
    if (peer.#queue.length === 1) {
      peer.onArrival?.();
      peer.#wake?.();
    }
    return true;
  }

  async wait(timeout: Micros): Promise<void> {
    if (this.#queue.length > 0) return;
    await new Promise<void>((resolve) => {
      const timer =
        timeout < 2 ** 31 * 1_000 ? setTimeout(resolve, Math.ceil(timeout / 1_000)) : undefined;
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  close(): void {
    if (this.#peer !== undefined) this.#peer.#peer = undefined;
    this.#peer = undefined;
    this.#queue.length = 0;
    this.#wake?.();
  }
}
