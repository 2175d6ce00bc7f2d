// The lab of the end-to-end tests: two proxies and two backends on a LAN, a client behind a router.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lab } from '../../src/lab/lab.ts';
import { NODE } from '../../src/lab/plan.ts';
import type { TopologyInput } from '../../src/lab/topology.ts';
import { whyNoLabs } from '../lab/possible.ts';
import type { Heard, Talk } from './programs/talk.ts';

const folder = import.meta.dirname;
export const program = (name: string): string[] => [
  ...NODE,
  join(folder, 'programs', `${name}.ts`),
];

/** Why these tests cannot run here; printed, since they are skipped. */
export async function whyNoCluster(): Promise<string | undefined> {
  const why = (await whyNoLabs()) ?? (existsSync('/dev/net/tun') ? undefined : 'no /dev/net/tun');
  if (why !== undefined) console.warn(`skipped: end-to-end tests: ${why}`);
  return why;
}

type Hosts = NonNullable<TopologyInput['hosts']>;
type Host = Hosts[string];

/** A backend on the LAN; `sysctls` set before anything runs in it. */
export function backend(number: number, sysctls: Record<string, string | number> = {}): Host {
  return {
    interfaces: { eth0: { switch: 'lan', addresses: [`10.1.0.${number}/24`] } },
    routes: [{ to: 'default', via: '10.1.0.1' }],
    sysctls,
    run: [{ name: 'backend', command: program('backend'), ready: { tcp: 28 } }],
  };
}

const client: Host = {
  interfaces: { eth0: { switch: 'edge', addresses: ['10.2.0.2/24'] } },
  routes: [{ to: 'default', via: '10.2.0.1' }],
};

const router: Host = {
  forward: true,
  interfaces: {
    eth0: { switch: 'edge', addresses: ['10.2.0.1/24'] },
    eth1: { switch: 'lan', addresses: ['10.1.0.1/24'] },
  },
  routes: [{ to: '10.0.0.100', via: '10.1.0.11' }],
};

export const topology: TopologyInput = {
  name: 'e2e',
  switches: { edge: {}, lan: {} },
  hosts: { client, router, web1: backend(31), web2: backend(32) },
  proxies: {
    a: { config: 'cluster.proxy.yaml', switch: 'lan', readyTimeoutMs: 30_000 },
    b: { config: 'cluster.proxy.yaml', switch: 'lan', readyTimeoutMs: 30_000 },
  },
};

/** A lab that is up, and what tests ask of it. */
export class TestLab implements AsyncDisposable {
  readonly lab: Lab;
  readonly #state: string;

  private constructor(lab: Lab, state: string) {
    this.lab = lab;
    this.#state = state;
  }

  static async up(input: TopologyInput, from = folder): Promise<TestLab> {
    const state = mkdtempSync(join(tmpdir(), 'suture-e2e-'));
    // A state of its own: a lab that is up on this machine is none of ours.
    process.env.XDG_RUNTIME_DIR = state;
    try {
      return new TestLab(await Lab.up(input, { folder: from }), state);
    } catch (error) {
      rmSync(state, { recursive: true, force: true });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.down();
    rmSync(this.#state, { recursive: true, force: true });
  }

  /** Runs a command in the client to its end; @throws if it fails. */
  async run(host: string, argv: readonly string[], timeoutMs = 60_000): Promise<string> {
    const { code, stdout, stderr } = await this.lab.exec(host, argv, { timeoutMs });
    if (code !== 0) throw new Error(`${argv.join(' ').slice(0, 200)}: ${code} ${stderr}${stdout}`);
    return stdout;
  }

  async talk(talk: Omit<Talk, 'host'>, timeoutMs?: number): Promise<Heard> {
    const argument = JSON.stringify({ host: '10.0.0.100', ...talk });
    return JSON.parse(await this.run('client', [...program('talk'), argument], timeoutMs)) as Heard;
  }

  /** A member's metrics by name with labels. */
  async metrics(member: string, port = 9100): Promise<Map<string, number>> {
    const text = await this.run(member, ['curl', '-sS', `http://127.0.0.1:${port}/metrics`]);
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      samples.map((line) => {
        const space = line.lastIndexOf(' ');
        return [line.slice(0, space), Number(line.slice(space + 1))];
      }),
    );
  }

  async health(member: string): Promise<string> {
    const { stdout } = await this.lab.exec(member, ['curl', '-s', 'http://127.0.0.1:9100/health']);
    return stdout === '' ? 'silent' : (JSON.parse(stdout) as { readonly status: string }).status;
  }

  /** Counters of a host's kernel, such as `Tcp.EstabResets`. */
  async counters(host: string): Promise<Map<string, number>> {
    const text = await this.run(host, ['cat', '/proc/net/snmp', '/proc/net/netstat']);
    const lines = text.trim().split('\n');
    const counters = new Map<string, number>();
    for (let line = 0; line + 1 < lines.length; line += 2) {
      const names = lines[line].split(/:? /);
      const values = lines[line + 1].split(/:? /);
      for (let column = 1; column < names.length; column++) {
        counters.set(`${names[0]}.${names[column]}`, Number(values[column]));
      }
    }
    return counters;
  }
}
