// Holds processes to a share of a processor, by a control group: version 1 (cpu) or 2 (unified), whichever there is.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Unavailable } from './suite.ts';

const V1 = '/sys/fs/cgroup/cpu';
const V2 = '/sys/fs/cgroup';
/** The shortest that the kernel's timers serve well: longer, and a proxy that has used its share is silent for as long. */
const PERIOD_US = 10_000;

let made = 0;

/** One group for each process, so that each has the whole share. */
export class Shares implements Disposable {
  readonly #folders: string[] = [];

  /** @throws Unavailable when this machine has no control groups, or we may not make one */
  static check(): void {
    using shares = new Shares();
    shares.#group(0.5);
  }

  /** Holds the process to `share` (1 is one processor). Real-time priority knows no shares and is taken from it. */
  hold(pid: number, share: number): void {
    const folder = this.#group(share);
    execFileSync('chrt', ['--all-tasks', '--other', '--pid', '0', String(pid)]);
    writeFileSync(join(folder, 'cgroup.procs'), String(pid));
  }

  #group(share: number): string {
    const isV1 = existsSync(join(V1, 'cpu.cfs_quota_us'));
    const folder = join(isV1 ? V1 : V2, `suture-bench-${process.pid}-${++made}`);
    const quota = Math.round(share * PERIOD_US);
    try {
      if (!isV1) writeFileSync(join(V2, 'cgroup.subtree_control'), '+cpu');
      mkdirSync(folder);
      this.#folders.push(folder);
      if (isV1) {
        writeFileSync(join(folder, 'cpu.cfs_period_us'), String(PERIOD_US));
        writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(quota));
      } else writeFileSync(join(folder, 'cpu.max'), `${quota} ${PERIOD_US}`);
    } catch (error) {
      throw new Unavailable(
        `no control group to hold a process to a share of a processor: ${(error as Error).message}; run as root`,
      );
    }
    return folder;
  }

  /** Removes the groups. Their processes must have ended. */
  [Symbol.dispose](): void {
    for (const folder of this.#folders) {
      try {
        rmdirSync(folder);
      } catch {
        // A process that is about to end keeps it; an empty group costs nothing.
      }
    }
  }
}

/**
 * The processes of a lab, which numbers them in its own way, as this machine numbers them.
 * @param lab the process whose children's namespace it is
 * @throws Error when one is not there
 */
export function pidsOutside(lab: number, inside: readonly number[]): number[] {
  const namespace = readlinkSync(`/proc/${lab}/ns/pid_for_children`);
  const found = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readlinkSync(`/proc/${name}/ns/pid`) !== namespace) continue;
      const numbers = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'));
      found.set(Number(numbers?.[1].split(/\s+/).at(-1)), Number(name));
    } catch {
      // It ended meanwhile, or is not ours to look at.
    }
  }
  return inside.map((pid) => {
    const outside = found.get(pid);
    if (outside === undefined) throw new Error(`process ${pid} of the lab is not to be found`);
    return outside;
  });
}
