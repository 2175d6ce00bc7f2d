// The numbers of one connection: a script counts both streams and the timestamps from where it likes, the
// wire from elsewhere.
import type { OptionSpec, TcpSpec } from './script.ts';

/** What is added to the peer's sequence numbers, so that every script crosses the wrap of the sequence space. */
const PEER_OFFSET = 0xffff_fffd;

export class Flow {
  readonly localPort: number;
  readonly remotePort: number;
  /** Wire number less script number, for our stream and for the peer's. */
  #ours = 0;
  /** Our FIN was sent. */
  hasSentFin = false;
  readonly #theirs = PEER_OFFSET;
  #begun = false;
  /** Behind the last number of ours that was sent. */
  #sentTo: number | undefined;
  /** What the last timestamp of ours was, on the wire and in the script. */
  readonly #stamps = new Map<number, number>();
  #stampOffset = 0;
  #firstStamp: { scripted: number; live: number } | undefined;

  constructor(localPort: number, remotePort: number) {
    this.localPort = localPort;
    this.remotePort = remotePort;
  }

  /** A SYN of ours was sent: the script's number of it is that on the wire. One that is repeated must agree. */
  learnSyn(spec: TcpSpec, live: number): void {
    if (this.#begun && spec.seq !== undefined) return;
    this.#begun = true;
    this.#ours = (live - (spec.seq ?? 0)) >>> 0;
  }

  /** Notes what was sent; true if all of it was sent before. */
  isRepetition(seq: number, end: number): boolean {
    const repeated = this.#sentTo !== undefined && ((end - this.#sentTo) | 0) <= 0;
    const newer = this.#sentTo === undefined || ((end - this.#sentTo) | 0) > 0;
    if (newer) this.#sentTo = end;
    return repeated && seq !== end;
  }

  /**
   * A timestamp of ours on the wire, and what the script calls it.
   * @returns how far both are from the first
   */
  learnTimestamp(scripted: number, live: number): { scripted: number; live: number } {
    this.#firstStamp ??= { scripted, live };
    this.#stamps.set(scripted, live);
    this.#stampOffset = live - scripted;
    const { scripted: first, live: began } = this.#firstStamp;
    return { scripted: (scripted - first) | 0, live: (live - began) | 0 };
  }

  toWire(spec: TcpSpec): { seq: number; ack: number } {
    const theirs = spec.absolute ? 0 : this.#theirs;
    return {
      seq: ((spec.seq ?? 0) + theirs) >>> 0,
      ack: spec.ack === undefined ? 0 : (spec.ack + this.#ours) >>> 0,
    };
  }

  /** A sequence number of ours as it is on the wire. */
  oursToWire = (number: number): number => (number + this.#ours) >>> 0;

  /** Numbers of a packet of ours as the script counts them. */
  oursToScript = (number: number): number => (number - this.#ours) >>> 0;
  theirsToScript = (number: number): number => (number - this.#theirs) >>> 0;

  /** The peer's options: its blocks and echoes count in our numbers. */
  optionToWire = (option: OptionSpec): OptionSpec => {
    if (option.kind === 'sack') {
      const blocks = option.blocks.map(
        ([left, right]) => [this.oursToWire(left), this.oursToWire(right)] as const,
      );
      return { kind: 'sack', blocks };
    }
    if (option.kind !== 'timestamps' || option.echo === undefined) return option;
    const known = this.#stamps.get(option.echo);
    // An echo of 0 before we have sent a timestamp is none.
    const echo = known ?? (option.echo === 0 ? 0 : (option.echo + this.#stampOffset) >>> 0);
    return { ...option, echo };
  };

  /** Our options: the blocks count in the peer's numbers. */
  optionToScript = (option: OptionSpec): OptionSpec => {
    if (option.kind !== 'sack') return option;
    const blocks = option.blocks.map(
      ([left, right]) => [this.theirsToScript(left), this.theirsToScript(right)] as const,
    );
    return { kind: 'sack', blocks };
  };
}
