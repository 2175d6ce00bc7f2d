// wrk, round after round, with and without keep-alive.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monotonic } from '../../src/lab/event.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { HOST, PATIENCE_MS } from '../e2e/programs/line.ts';
import type { News } from './news.ts';

/** Seconds of a round. */
const ROUND = 5;
/** Each connection thinks for so many milliseconds between requests: the machine is for the others, too. */
const DELAY_SCRIPT = 'function delay() return math.random(5, 60) end\n';
const LATE_MS = 60_000;
/** Of what it asks for. */
const FILE_BYTES = 1_024;

/**
 * Runs wrk in `host` until `until` (`monotonic`); its script is written into `folder`. An answer that takes longer than the patience of the others is one
 * of its time-outs; a request without any answer by the end of a round it does not count at all.
 */
export async function runWrk(
  lab: Lab,
  host: string,
  until: number,
  folder: string,
  tell: (news: News) => void,
): Promise<void> {
  const script = join(folder, 'wrk.lua');
  writeFileSync(script, DELAY_SCRIPT);
  for (let turn = 0; until - monotonic() > 1_000; turn++) {
    const seconds = Math.max(1, Math.min(ROUND, Math.round((until - monotonic()) / 1_000)));
    const closing = turn % 2 === 1;
    const kind = closing ? 'wrk, a connection each' : 'wrk, keep-alive';
    const from = monotonic();
    const argv = ['wrk', '-t1', '-c12', `-d${seconds}s`, '--timeout', `${PATIENCE_MS / 1_000}s`];
    argv.push('-s', script, ...(closing ? ['-H', 'Connection: close'] : []));
    argv.push(`http://${HOST}/files/1k`);
    const { code, stdout, stderr } = await lab.exec(host, argv, { timeoutMs: LATE_MS });
    const requests = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0);
    const errors = /Socket errors: .*|Non-2xx.*/.exec(stdout)?.[0];
    const about = { type: 'ended', kind, from, to: monotonic() } as const;
    if (code === 0 && requests > 0) tell({ ...about, requests, bytes: requests * FILE_BYTES });
    else tell({ ...about, requests, bytes: 0, fault: `ended with ${code}: ${stderr}${stdout}` });
    if (errors !== undefined) {
      const numbers = [...errors.matchAll(/\d+/g)].map(([text]) => Number(text));
      const failures = numbers.reduce((sum, number) => sum + number, 0);
      tell({ ...about, requests: 0, bytes: 0, fault: errors, failures });
    }
  }
}
