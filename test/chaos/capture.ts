// Captures of a run, from which what went wrong can be read: the heads of all frames, the last some hundred MB of them.
import { once } from 'node:events';
import { join } from 'node:path';
import { findProgram } from '../../src/lab/find-program.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { BRIDGE } from '../../src/lab/plan.ts';

const PLACES = [
  ['client', 'eth0'],
  ['lan', BRIDGE],
] as const;
/** Enough for the headers with all options. */
const SNAP = '--snapshot-length=128';
/** Files of so many million bytes, and so many of them. */
const RING = ['-C', '32', '-W', '12'];

/** Captures at the client and on the members' LAN into `folder`, until disposed of. Only root can. */
export function capture(lab: Lab, folder: string): AsyncDisposable | undefined {
  if (process.getuid?.() !== 0 || findProgram('tcpdump') === undefined) return undefined;
  const children = PLACES.map(([node, device]) => {
    const file = join(folder, `${node}.pcap`);
    const argv = ['tcpdump', '-Z', 'root', '-n', '-i', device, SNAP, ...RING, '-w', file];
    // What members tell each other is sealed.
    return lab.spawn(node, [...argv, 'not', 'udp'], { stdio: 'ignore' });
  });
  return {
    [Symbol.asyncDispose]: async () => {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill();
        await once(child, 'exit');
      }
    },
  };
}
