// What must be gone from every member when the clients are.
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonic } from '../../src/lab/event.ts';
import type { TestLab } from '../e2e/cluster.ts';

const GAUGES = [
  'suture_splices_active',
  'suture_resources{kind="intakes"}',
  'suture_resources{kind="relays"}',
  'suture_resources{kind="heads"}',
  'suture_replication_unacked_records',
];
/**
 * In milliseconds: silence until the ends of a connection are asked, which may both be in TIME-WAIT for a minute
 * and answer; silence for longer than that; and the time for the next answers.
 */
const PATIENCE_MS = 180_000;

/** Waits until the members have nothing left; else says what of whom. */
export async function leftovers(test: TestLab, members: readonly string[]): Promise<string[]> {
  const deadline = monotonic() + PATIENCE_MS;
  for (;;) {
    const left: string[] = [];
    for (const member of members) {
      const metrics = await test.metrics(member);
      for (const gauge of GAUGES) {
        const value = metrics.get(gauge) ?? Number.NaN;
        if (value !== 0) left.push(`${member} has ${gauge} ${value} at the end`);
      }
    }
    if (left.length === 0 || monotonic() > deadline) return left;
    await sleep(500);
  }
}
