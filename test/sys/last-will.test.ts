import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

const MODULE = join(import.meta.dirname, '../../src/sys/last-will.ts');
/** Its descriptor 3 is the target; it says so when its will is made, and revokes it when it is told anything. */
const PROGRAM = `
import { LastWill } from ${JSON.stringify(MODULE)};
const will = new LastWill(3);
will.write([Buffer.from('not this')]);
will.write([Buffer.from('first,'), Buffer.from('second;')]);
process.stdin.once('data', () => { will.revoke(); process.exit(); });
process.stdout.write('made');
`;

async function testator(): Promise<{ process: ChildProcess; target: Promise<string> }> {
  const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval'];
  const child = spawn(process.execPath, [...flags, PROGRAM], {
    stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
  });
  // The executor keeps it open until it has written all.
  const target = text(child.stdio[3] as Readable);
  const { stdout } = child;
  if (stdout === null) throw new Error('it was started without pipes');
  await once(stdout, 'data');
  return { process: child, target };
}

test('what was written last is said when the process is killed, each message twice', async () => {
  const { process: child, target } = await testator();
  child.kill('SIGKILL');
  expect(await target).toBe('first,second;first,second;');
});

test('and when it crashes', async () => {
  const { process: child, target } = await testator();
  child.kill('SIGSEGV');
  expect(await target).toBe('first,second;first,second;');
});

test('nothing is said by one that ends in order', async () => {
  const { process: child, target } = await testator();
  child.stdin?.write('end');
  expect(await target).toBe('');
});
