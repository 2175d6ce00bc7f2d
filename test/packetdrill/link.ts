// The wire of a script: hands out the peer's frames, keeps what the stack sends.
import { Frame } from '../../src/link/frame.ts';
import { type Link, linkCounters } from '../../src/link/link.ts';

export class ScriptedLink implements Link {
  mtu: number;
  /** Segments leave one by one, with their checksums: what the wire would see. */
  readonly offload = false;
  readonly counters = linkCounters();
  readonly #incoming: Frame[] = [];
  readonly #sent: (frame: Frame) => void;

  /** @param sent is handed each frame that the stack sends, for the duration of the call */
  constructor(mtu: number, sent: (frame: Frame) => void) {
    this.mtu = mtu;
    this.#sent = sent;
  }

  arrive(frame: Frame): void {
    this.#incoming.push(frame);
  }

  receive(frame: Frame): boolean {
    const next = this.#incoming.shift();
    if (next === undefined) return false;
    frame.copyFrom(next);
    return true;
  }

  send(frame: Frame): boolean {
    const copy = new Frame(frame.end);
    copy.copyFrom(frame);
    this.#sent(copy);
    return true;
  }

  wait(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}
}
