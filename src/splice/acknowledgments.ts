// Pure acknowledgments wait for the end of the breath: one that a later segment of its flow repeats need not
// go out at all. An acknowledgment is cumulative (RFC 9293, 3.4), so nothing is lost but a packet; schedulers
// of networks thin them in the same way. Only those that acknowledge something new wait: duplicates and SACKs
// are counted by their receiver, and pass as they come.
import { Frame } from '../link/frame.ts';
import * as layout from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import type { Segment } from './segment.ts';

/** Room for all headers of a segment without data. */
const FRAME_HEADERS = layout.NETWORK_AT + 60 + 60;
/** NOP, NOP, timestamps. */
const TIMESTAMPS_ALONE = 0x0101_080a;
const { ACK, TCP_LENGTH } = tcp;
const WITH_TIMESTAMPS = TCP_LENGTH + 12;
/** Flows share places by their lowest bits; a power of two. */
const PLACES = 128;
const NOBODY = -1;

/** True for a segment that does nothing but acknowledge; `end` is where its packet ends. */
export function isPureAcknowledgment(frame: Frame, segment: Segment, end: number): boolean {
  const { at, headerLength, flags } = segment;
  if (flags !== ACK || at + headerLength !== end) return false;
  if (headerLength === TCP_LENGTH) return true;
  return (
    headerLength === WITH_TIMESTAMPS && frame.view.getUint32(at + TCP_LENGTH) === TIMESTAMPS_ALONE
  );
}

/** Translated acknowledgments that wait, at most one for each place. */
export class HeldAcknowledgments {
  readonly #flows = new Int32Array(PLACES).fill(NOBODY);
  readonly #acks = new Int32Array(PLACES);
  /** Made when the first one is held: many a member has flows of one family only. */
  #frames: readonly Frame[] = [];
  /** Places in use, in the order in which they were taken; some may be free again. */
  readonly #order = new Int32Array(PLACES);
  #count = 0;
  readonly #send: (frame: Frame, flow: number) => void;

  /** @param send sends a frame of a flow, which is `slot * 2 + direction` */
  constructor(send: (frame: Frame, flow: number) => void) {
    this.#send = send;
  }

  /**
   * Makes way for a segment of `flow` that acknowledges `ack` and goes out now.
   * @returns true if what was held is repeated by it, and is forgotten
   */
  give(flow: number, acknowledges: boolean, ack: number): boolean {
    const place = flow & (PLACES - 1);
    if (this.#flows[place] !== flow) return false;
    const repeated = acknowledges && ((ack - this.#acks[place]) | 0) >= 0;
    this.#flows[place] = NOBODY;
    if (!repeated) this.#send(this.#frames[place], flow);
    return repeated;
  }

  /**
   * Keeps a copy of a pure acknowledgment that is ahead of all before it.
   * @returns true if it takes the place of one of the same flow
   */
  hold(flow: number, ack: number, frame: Frame): boolean {
    const place = flow & (PLACES - 1);
    const other = this.#flows[place];
    if (this.#frames.length === 0) {
      this.#frames = Array.from({ length: PLACES }, () => new Frame(FRAME_HEADERS));
    }
    if (other === NOBODY) {
      if (this.#count === PLACES) this.flush();
      this.#order[this.#count++] = place;
    } else if (other !== flow) this.#send(this.#frames[place], other);
    this.#flows[place] = flow;
    this.#acks[place] = ack;
    this.#frames[place].copyFrom(frame);
    return other === flow;
  }

  /** Sends what waits. At the end of every breath. */
  flush(): void {
    for (let index = 0; index < this.#count; index++) {
      const place = this.#order[index];
      const flow = this.#flows[place];
      this.#flows[place] = NOBODY;
      if (flow !== NOBODY) this.#send(this.#frames[place], flow);
    }
    this.#count = 0;
  }
}
