// The stage of all suites that compare proxies.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { contestant } from '../contestants/contestants.ts';
import { clusterFiles, contestTopology } from '../labs/contest.ts';
import { Stage } from './stage.ts';
import type { StageMaker, Turn } from './suite.ts';

/** What the server serves, by name. */
const FILES = { '1k': 1_024, '100k': 102_400, '64m': 64 * 2 ** 20 };
/** Longest wait for a cluster that was asleep, in milliseconds, and between two looks. */
const WAKE_MS = 5_000;
const POLL_MS = 50;

export const contest: StageMaker = {
  name: 'contest',
  open: async (names) => {
    const contestants = names.map(contestant);
    const folder = mkdtempSync(join(tmpdir(), 'suture-bench-'));
    for (const [name, bytes] of Object.entries(FILES)) {
      writeFileSync(join(folder, name), Buffer.alloc(bytes, 'suture '));
    }
    for (const [name, text] of clusterFiles(contestants)) writeFileSync(join(folder, name), text);
    return Stage.open({
      topology: contestTopology(contestants, folder, folder),
      folder,
      sleepers: [
        ...new Set(
          contestants.flatMap(({ members, processes }) => (members === undefined ? [] : processes)),
        ),
      ],
      onClose: () => rmSync(folder, { recursive: true, force: true }),
    });
  },
};

/** Wakes who has the turn, and waits until it serves. @throws Error when it does not */
export async function wake({ stage, contestant: name }: Turn): Promise<void> {
  const { members, processes } = contestant(name);
  if (!(await stage.wake(members === undefined ? [] : processes))) return;
  const health = ['curl', '-s', '--max-time', '1', 'http://127.0.0.1:9100/health'];
  const deadline = performance.now() + WAKE_MS;
  for (const process of processes) {
    for (;;) {
      const { stdout } = await stage.lab.exec(process, health);
      if (stdout.includes('"status":"ok"')) break;
      if (performance.now() > deadline) throw new Error(`${process} does not serve: ${stdout}`);
      await delay(POLL_MS);
    }
  }
}

/** Processor seconds of the turn's contestant while `work` runs: its own, and those of the whole machine. */
export async function withProcessorTime<T>(
  { stage, contestant: name }: Turn,
  busy: () => number,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly own: number; readonly machine: number }> {
  const pids = await stage.pids(contestant(name).processes.slice(0, 1));
  const own = stage.processorSeconds(pids);
  const machine = busy();
  const result = await work();
  return {
    result,
    own: stage.processorSeconds(pids) - own,
    machine: busy() - machine,
  };
}
