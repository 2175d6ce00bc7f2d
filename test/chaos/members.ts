// What the members of a cluster say of themselves and of each other, and who may be harmed.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonic } from '../../src/lab/event.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { NODE } from '../../src/lab/plan.ts';

/** A member's health when it was asked; `silent` when it did not answer. */
export interface Sample {
  /** Milliseconds of `monotonic`. */
  readonly askedAt: number;
  readonly status: string;
  /** What it holds its peers for, by name. */
  readonly peers: Readonly<Record<string, string>>;
}

const WATCH = [...NODE, join(import.meta.dirname, 'programs/watch.ts')];
const NOTHING: Sample = { askedAt: 0, status: 'silent', peers: {} };

/** A member as those see it who harm it. */
class Member {
  sample = NOTHING;
  /** It was harmed and is not cured yet. */
  down = false;
  /** Samples from before this do not count. */
  since = 0;
}

/** Watches the members of a lab; `await using` ends that. */
export class Members implements AsyncDisposable {
  readonly names: readonly string[];
  readonly #members: ReadonlyMap<string, Member>;
  readonly #watchers: ChildProcess[];

  constructor(lab: Lab, names: readonly string[], port: number) {
    this.names = names;
    this.#members = new Map(names.map((name) => [name, new Member()]));
    this.#watchers = [...this.#members].map(([name, member]) => {
      const child = lab.spawn(name, [...WATCH, String(port)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      if (child.stdout === null) throw new Error('a watcher without an output');
      createInterface({ input: child.stdout }).on('line', (line) => {
        member.sample = JSON.parse(line) as Sample;
      });
      return child;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const watcher of this.#watchers) {
      if (watcher.exitCode !== null || watcher.signalCode !== null) continue;
      watcher.kill();
      await once(watcher, 'exit');
    }
  }

  harmed(name: string): void {
    this.#of(name).down = true;
  }

  cured(name: string): void {
    const member = this.#of(name);
    member.down = false;
    // What the others think of it is old now, too.
    for (const each of this.#members.values()) each.since = monotonic();
  }

  isDown(name: string): boolean {
    return this.#of(name).down;
  }

  /**
   * It serves, and all that serve beside it hold it for alive, and it them: it has every record. What is known
   * must be younger than the last cure.
   */
  isSettled(name: string): boolean {
    const { down, since, sample } = this.#of(name);
    if (down || sample.askedAt <= since || !serves(sample)) return false;
    return this.names.every((other) => {
      if (other === name) return true;
      const peer = this.#of(other);
      if (peer.down) return true;
      // One that joins, which is not up to date yet, has no say.
      if (peer.sample.askedAt <= peer.since) return false;
      if (!serves(peer.sample)) return true;
      return peer.sample.peers[name] === 'live' && sample.peers[other] === 'live';
    });
  }

  /** Waits until all are up and settled. @throws Error after `timeoutMs` with what each says. */
  async allSettled(timeoutMs: number): Promise<void> {
    const deadline = monotonic() + timeoutMs;
    while (!this.names.every((name) => this.isSettled(name))) {
      if (monotonic() > deadline) throw new Error(`not settled after ${timeoutMs} ms: ${this}`);
      await sleep(50);
    }
  }

  toString(): string {
    const texts = [...this.#members].map(([name, { down, sample }]) => {
      const peers = Object.entries(sample.peers).map(([peer, state]) => `${peer} ${state}`);
      return `${name}${down ? ' (down)' : ''} is ${sample.status}, sees ${peers.join(', ')}`;
    });
    return texts.join('; ');
  }

  #of(name: string): Member {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`there is no member ${name}`);
    return member;
  }
}

const serves = ({ status }: Sample): boolean => status === 'ok' || status === 'degraded';
