import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { knownLabs } from '../../src/lab/state.ts';
import { AS_NOBODY, NOBODY, whyNoLabs, whyNoUserLabs } from './possible.ts';

/** For conditions that come true soon, however slow the machine. */
const PATIENCE = { timeout: 20_000 };
const main = join(import.meta.dirname, '../../src/cli/main.ts');
const noLabs = await whyNoLabs();
const noUserLabs = await whyNoUserLabs();

/** A process that shrugs off SIGTERM, and one that left its session: what a bad lab would leave. */
const TOPOLOGY = `
name: held
switches: { lan: {} }
hosts:
  one:
    interfaces: { eth0: { switch: lan, addresses: [10.1.0.1/24] } }
    run:
      - name: stubborn
        command: "trap '' TERM; setsid sleep 1000 & exec node -e 'require(\\"net\\").createServer().listen(80)'"
        ready: { tcp: 80 }
  two:
    interfaces: { eth0: { switch: lan, addresses: [10.1.0.2/24] } }
checks:
  - { host: two, run: "ip route get 10.1.0.1", output: eth0 }
`;

let folder: string;
let file: string;
let holder: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'suture-held-'));
  file = join(folder, 'held.yaml');
  writeFileSync(file, TOPOLOGY.replace('exec node', `exec ${process.execPath}`));
  process.env.XDG_RUNTIME_DIR = folder;
});

afterEach(() => {
  holder?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Runs `suture lab up`, by way of `around`, until the lab is ready. */
async function hold(around: readonly string[] = []): Promise<ChildProcess> {
  const [program, ...args] = [...around, process.execPath, main, 'lab', 'up', file, '--json'];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  holder = child;
  for await (const line of createInterface(child.stdout)) {
    const event = JSON.parse(line) as { readonly type: string; readonly state: string };
    if (event.type === 'lab' && event.state === 'ready') return child;
  }
  throw new Error('the lab did not become ready');
}

/** The processes that are in another process namespace than this one, with their namespaces. */
function strangers(): Map<number, string[]> {
  const mine = readlinkSync('/proc/self/ns/pid');
  const found = new Map<number, string[]>();
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    try {
      if (readlinkSync(`/proc/${pid}/ns/pid`) === mine) continue;
      const names = ['pid', 'net', 'mnt'].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`));
      found.set(pid, names);
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** The process namespaces of the labs on this machine, with the number of processes of each. */
function labNamespaces(): Map<string, number> {
  const count = new Map<string, number>();
  for (const [pid] of strangers().values()) count.set(pid, (count.get(pid) ?? 0) + 1);
  return count;
}

/** The process namespace of the lab that is held, from its state. Other labs may come and go. */
function heldNamespace(uid: string | number | undefined): string {
  const state = readFileSync(join(folder, `suture-${uid}`, 'lab-held', 'state.json'), 'utf8');
  const { lab } = JSON.parse(state) as { readonly lab: { readonly pid: number } };
  return readlinkSync(`/proc/${lab.pid}/ns/pid_for_children`);
}

describe.skipIf(noLabs !== undefined)('a lab ends with its holder', () => {
  test('killed with SIGKILL it leaves no process, and its state is swept', async () => {
    const child = await hold();
    const namespace = heldNamespace(process.getuid?.());
    // The first process, the supervisor, the server and the process that left its session.
    expect(labNamespaces().get(namespace)).toBeGreaterThanOrEqual(4);
    const networks = [...strangers().values()].filter(([pid]) => pid === namespace);
    expect(new Set(networks.map(([, net]) => net)).size).toBe(2);
    const state = join(folder, `suture-${process.getuid?.()}`, 'lab-held');
    expect(existsSync(state)).toBe(true);

    child.kill('SIGKILL');
    await expect.poll(() => labNamespaces().has(namespace), PATIENCE).toBe(false);
    const kept = new Set(networks.flatMap(([, net, mount]) => [net, mount]));
    await expect
      .poll(() => [...strangers().values()].flat().filter((name) => kept.has(name)), PATIENCE)
      .toEqual([]);
    expect(knownLabs()).toEqual([]);
    expect(existsSync(state)).toBe(false);
    // The name is free again.
    await hold();
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it in order', async (signal) => {
    const child = await hold();
    const namespace = heldNamespace(process.getuid?.());
    child.kill(signal);
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    expect(labNamespaces().has(namespace)).toBe(false);
    expect(readdirSync(join(folder, `suture-${process.getuid?.()}`))).toEqual([]);
  });
});

test.skipIf(noUserLabs !== undefined)(
  'an ordinary user can hold a lab, SIGKILL included',
  async () => {
    chownSync(folder, Number(NOBODY), Number(NOBODY));
    const child = await hold(AS_NOBODY);
    const namespace = heldNamespace(NOBODY);
    expect(labNamespaces().get(namespace)).toBeGreaterThanOrEqual(4);
    const exec = [...AS_NOBODY, process.execPath, main, 'lab', 'exec', 'two', '--', 'id', '-u'];
    const inside = spawn(exec[0], exec.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
    const [output] = (await once(inside.stdout, 'data')) as [Buffer];
    expect(String(output)).toBe('0\n');
    child.kill('SIGKILL');
    await expect.poll(() => labNamespaces().has(namespace), PATIENCE).toBe(false);
  },
);
