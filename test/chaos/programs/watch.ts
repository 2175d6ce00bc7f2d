// Tells of a member's health, as its own `/health` has it, whenever it was asked.
//
//   node watch.ts PORT
//
// Prints a line of JSON for each answer: a `Sample`.
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonic } from '../../../src/lab/event.ts';
import type { Health } from '../../../src/proxy/admin.ts';
import type { Sample } from '../members.ts';

const url = `http://127.0.0.1:${process.argv[2]}/health`;
const EVERY_MS = 100;
const TIMEOUT_MS = 500;
/** An unchanged answer is told again after this time. */
const AGAIN_MS = 300;

let last = '';
let toldAt = 0;
for (;;) {
  const askedAt = monotonic();
  const sample = await ask();
  const text = JSON.stringify(sample);
  if (text !== last || askedAt - toldAt > AGAIN_MS) {
    last = text;
    toldAt = askedAt;
    process.stdout.write(`${JSON.stringify({ askedAt, ...sample })}\n`);
  }
  await sleep(EVERY_MS);
}

async function ask(): Promise<Omit<Sample, 'askedAt'>> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const { status, peers } = (await response.json()) as Health;
    return { status, peers: Object.fromEntries(peers.map(({ name, state }) => [name, state])) };
  } catch {
    return { status: 'silent', peers: {} };
  }
}
