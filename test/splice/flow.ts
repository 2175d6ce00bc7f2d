// A conversation through a splice, said packet by packet.
import { ACK, FIN } from '../../src/wire/tcp.ts';
import type { FamilyCase } from './own.ts';
import type { Packet } from './packets.ts';
import { Testbed } from './testbed.ts';

const bytes = (length: number): number[] => new Array<number>(length).fill(7);

/**
 * A conversation in progress: the client's next byte is `seq`, the backend's is `peer`, both in the numbers
 * that their senders use; each side's acknowledgments are in those that it is shown.
 */
export class Flow extends Testbed {
  seq: number;
  peer: number;
  readonly slot: number;
  readonly #family: FamilyCase;

  constructor(
    family: FamilyCase,
    options: ConstructorParameters<typeof Testbed>[0] & { seq?: number; peer?: number } = {},
  ) {
    super({ form: family.form, ...options });
    this.#family = family;
    this.seq = options.seq ?? 1_000;
    this.peer = options.peer ?? 9_000;
    this.slot = this.insert();
  }

  client(flags: number, length = 0, changes: Partial<Packet> = {}): boolean {
    const packet = {
      ...this.#family.packet,
      flags,
      seq: this.seq >>> 0,
      ack: (this.peer + this.#family.record.seqShiftToClient) >>> 0,
      payload: bytes(length),
      ...changes,
    };
    this.seq += length + (flags & FIN);
    return this.handle(packet);
  }

  backend(flags: number, length = 0, changes: Partial<Packet> = {}): boolean {
    const packet = {
      ...this.#family.answer,
      flags,
      seq: this.peer >>> 0,
      ack: (this.seq + this.#family.record.seqShiftToBackend) >>> 0,
      payload: bytes(length),
      ...changes,
    };
    this.peer += length + (flags & FIN);
    return this.handle(packet);
  }

  /** A request and its answer, all acknowledged. */
  talk(): this {
    this.client(ACK, 100);
    this.backend(ACK, 200);
    this.client(ACK);
    return this;
  }

  get state(): number {
    return this.table.state(this.slot);
  }
}
