// What carries frames. Everything above runs on any of them: a TAP, memory, a simulated network.
import type { Micros } from '../env/clock.ts';
import type { Frame } from './frame.ts';

export interface LinkCounters {
  received: number;
  receivedBytes: number;
  sent: number;
  sentBytes: number;
  /** Frames that the link refused to take. */
  sendErrors: number;
}

export interface Link {
  /** The largest IP packet of one segment, in bytes. */
  readonly mtu: number;
  /** True if frames may be GSO trains and carry partial checksums, both ways. */
  readonly offload: boolean;
  readonly counters: LinkCounters;
  /** When the link wants to be asked again though nothing arrives, since it holds frames back. */
  readonly nextAt?: Micros;
  /** Reads the next frame into `frame`; false if none is there. Never waits. */
  receive(frame: Frame): boolean;
  /** Sends `frame`, whose buffer is free again at once; false if it was dropped. Never waits. */
  send(frame: Frame): boolean;
  /** Resolves when a frame may be there, or after `timeout`; never rejects. */
  wait(timeout: Micros): Promise<void>;
  /**
   * Keeps `frames`, whole ones as they are sent, in place of those kept before, to be sent when this process is dead. Absent where
   * nobody could. @returns false if they will not be sent
   */
  readonly bequeath?: ((frames: readonly Uint8Array[]) => boolean) | undefined;
  close(): void;
}

export const linkCounters = (): LinkCounters => ({
  received: 0,
  receivedBytes: 0,
  sent: 0,
  sentBytes: 0,
  sendErrors: 0,
});
