// `npm run breakages`: breaks a copy of the code on purpose, one small change at a time, and shows that the cluster
// simulator notices each. Ends with 1 if one goes unnoticed, or if a change does not fit the code any more.
import { fork } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { integer } from '../../src/cli/integer.ts';
import type { Outcome } from '../../src/rehearsal/rehearsal.ts';

interface Breakage {
  readonly name: string;
  /** Below src/. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const breakages: readonly Breakage[] = [
  {
    name: 'a head is acknowledged before it is logged',
    file: 'proxy/intake.ts',
    from: '    this.#logged = until;\n',
    to: '    this.#logged = until;\n    this.client.acknowledgeUpTo(until);\n',
  },
  {
    name: 'a record is used before the others have it',
    file: 'replication/replicator.ts',
    from: '    this.#commits.commit(record, done);\n',
    to: '    done(true);\n    this.#commits.commit(record, () => {});\n',
  },
  {
    name: 'packets are translated by a proposal',
    file: 'proxy/proxy.ts',
    from: 'this.splices.proposed(record),',
    to: 'this.splices.insert(record),',
  },
  {
    name: 'nobody inherits what a dead member proposed',
    file: 'replication/proposals.ts',
    from: 'else if (inherits && state === ACCEPTED',
    to: 'else if (!inherits && state === ACCEPTED',
  },
  {
    name: 'a deletion is lost',
    file: 'replication/replicator.ts',
    from: '          events.delete(from, key);\n',
    to: '',
  },
  {
    name: 'resets in the time of grace',
    file: 'proxy/proxy.ts',
    from: 'if (replicator === undefined || replicator.state === JOINING) return false;',
    to: 'return true;',
  },
  {
    name: 'a head is not logged at the others',
    file: 'proxy/service.ts',
    from: '    replicator.logHead(flowOf(client.remote, client.local), facts, offset, bytes, done);\n',
    to: '    if (facts.length > 0 && offset >= 0 && bytes.length >= 0) done(true);\n',
  },
  {
    name: 'a logged head is not adopted',
    file: 'replication/replicator.ts',
    from: 'if (this.adopterOf(head) === self)',
    to: 'if (this.adopterOf(head) === -1)',
  },
  {
    name: 'a member serves before it has the snapshot',
    file: 'replication/joiner.ts',
    from: '    messages.writeSnapshotMark(datagram, messages.SNAPSHOT_REQUEST, this.#request);\n',
    to: '    this.#membership.activate(0);\n',
  },
  {
    name: 'nobody goes on with the handshakes of the dead',
    file: 'proxy/answers.ts',
    from: '    this.#adopted.push({ handshakes, next: handshakes.first });\n',
    to: '',
  },
  {
    name: 'records of others have a wrong sequence shift',
    file: 'proxy/splices.ts',
    from: '    const byClient = this.#find(form, 0);\n    // Who owns',
    to: '    this.#view.setUint8(4 * form.transport, this.#view.getUint8(4 * form.transport) ^ 1);\n    const byClient = this.#find(form, 0);\n    // Who owns',
  },
];

const root = join(import.meta.dirname, '../..');

/** A copy of the code with a breakage in it; the caller removes the folder. */
function copyWith({ name, file, from, to }: Breakage): string {
  const folder = mkdtempSync(join(tmpdir(), 'suture-breakage-'));
  cpSync(join(root, 'src'), join(folder, 'src'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const path = join(folder, 'src', file);
  const parts = readFileSync(path, 'utf8').split(from);
  if (parts.length !== 2) {
    rmSync(folder, { recursive: true });
    throw new Error(`"${name}" fits ${file} in ${parts.length - 1} places: it must be one`);
  }
  writeFileSync(path, parts.join(to));
  return folder;
}

/** The first seed that fails, or how many did not. */
function search(folder: string, seeds: number): Promise<Outcome | number> {
  return new Promise((resolve, reject) => {
    const worker = fork(join(folder, 'src/rehearsal/series-worker.ts'));
    let next = 1;
    let found: Outcome | number | undefined;
    worker.on('message', (message: Outcome | 'ready') => {
      if (found !== undefined) return;
      if (message !== 'ready') {
        if (message.violation !== undefined) found = message;
      } else if (next > seeds) found = seeds;
      else worker.send([next, ++next]);
      if (found !== undefined) worker.kill('SIGKILL');
    });
    worker.on('error', reject);
    worker.on('exit', (code) => {
      if (found === undefined) reject(new Error(`the simulator ended with ${code}`));
      else resolve(found);
    });
  });
}

async function run({ seeds, only }: { seeds: number; only?: string }): Promise<void> {
  for (const breakage of breakages) {
    if (only !== undefined && !breakage.name.includes(only)) continue;
    let text: string;
    try {
      const folder = copyWith(breakage);
      try {
        const found = await search(folder, seeds);
        const isNoticed = typeof found !== 'number';
        if (!isNoticed) process.exitCode = 1;
        text = isNoticed
          ? `seed ${found.seed}: ${found.violation?.what.split('\n')[0]}`
          : `NOT NOTICED in ${found} seeds`;
      } finally {
        rmSync(folder, { recursive: true });
      }
    } catch (error) {
      process.exitCode = 1;
      text = `FAILED: ${error instanceof Error ? error.message : String(error)}`;
    }
    console.log(`${breakage.name}: ${text}`);
  }
}

new Command('breakages')
  .description('Breaks a copy of the code on purpose and shows that the simulator notices')
  .option('--seeds <n>', 'seeds to try at most', integer(1, 1_000_000), 400)
  .option('--only <text>', 'those whose names contain this')
  .action(run)
  .parse();
