// Inserts and deletes of one member, at random times, with what they should amount to.
import { below } from '../../src/env/random.ts';
import { keyOf, recordOf, type SimMember, text } from './cluster.ts';

export class Traffic {
  readonly member: SimMember;
  /** In the order sent, as `SimMember.arrivals` has them. */
  readonly sent: string[] = [];
  readonly live: Uint8Array[] = [];
  committed = 0;
  failed = 0;
  #flow: number;

  constructor(member: SimMember) {
    this.member = member;
    // Flows of one member are no other's.
    this.#flow = member.id << 24;
  }

  insert(): void {
    const flow = this.#flow++;
    const record = recordOf(flow, below(this.member.cluster.network.random, 0xffff), flow);
    this.sent.push(`${this.member.id} +${text(record)}`);
    this.member.commit(record, (ok) => {
      if (!ok) {
        this.failed++;
        return;
      }
      this.committed++;
      this.live.push(record);
    });
  }

  /** Deletes one of those committed. */
  remove(): void {
    const { random } = this.member.cluster.network;
    const [record] = this.live.splice(below(random, this.live.length), 1);
    if (record === undefined) return;
    this.sent.push(`${this.member.id} -${text(keyOf(record))}`);
    this.member.remove(record);
  }

  /** A few of both. */
  burst(inserts: number, removes: number): void {
    for (let count = 0; count < inserts; count++) this.insert();
    for (let count = 0; count < removes; count++) this.remove();
  }
}
