import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runDemo, type Step } from '../../src/demo/demo.ts';
import { HOWS } from '../../src/demo/verdict.ts';
import { run } from '../../src/lab/run.ts';
import { whyNoLabs } from '../lab/possible.ts';

const SIZE = 32 * 2 ** 20;
const main = join(import.meta.dirname, '../../src/cli/main.ts');
const folder = mkdtempSync(join(tmpdir(), 'suture-demo-lab-'));
// A state of its own: a lab that is up on this machine is none of ours.
process.env.XDG_RUNTIME_DIR = folder;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const why = await whyNoTap();

/** Why the demo cannot run here; printed, since its tests are skipped. */
async function whyNoTap(): Promise<string | undefined> {
  const noLabs = await whyNoLabs();
  if (noLabs !== undefined) return noLabs;
  const { code, stderr } = await run(['sh', '-c', ': <>/dev/net/tun']);
  if (code === 0) return undefined;
  console.warn(`skipped: tests of the demo: ${stderr.trim()}`);
  return stderr;
}

/** What labs leave in their state folder: nothing. */
const left = (): string[] => readdirSync(join(folder, `suture-${process.getuid?.()}`));

describe.skipIf(why !== undefined)('the demo', { timeout: 60_000 }, () => {
  test.each(HOWS)(
    '%s: the client gets every byte, and the survivor is seen to take over',
    async (how) => {
      const steps: Step['type'][] = [];
      const result = await runDemo({
        ...{ size: SIZE, how, moment: { fraction: 0.4 }, seed: 7, seconds: 1 },
        onStep: ({ type }) => steps.push(type),
      });
      expect(result.problems).toEqual([]);
      expect(result).toMatchObject({
        ...{ ok: true, bytes: SIZE, size: SIZE, how, seed: 7, killedMember: 'a' },
        ...{ resets: 0, clientErrors: 0, connections: 1, sha256: result.expectedSha256 },
      });
      expect(result.detectedMs).toBeGreaterThan(0);
      expect(result.adoptedMs).toBeGreaterThanOrEqual(result.detectedMs ?? Number.NaN);
      expect(result.clientGapMs).toBeGreaterThan(0);
      expect(result.killedAtBytes).toBeGreaterThanOrEqual(0.4 * SIZE);
      // A stall of the machine may follow the gap.
      expect([...new Set(steps)]).toEqual([
        ...['building', 'built', 'filled', 'asked', 'failed', 'detected', 'adopted', 'resumed'],
        'ended',
      ]);
      expect(left()).toEqual([]);
    },
  );

  test('the same over IPv6', async () => {
    const result = await runDemo({
      ...{ size: SIZE, how: 'kill', ip: 6, moment: { fraction: 0.4 }, seed: 7, seconds: 1 },
    });
    expect(result.problems).toEqual([]);
    expect(result).toMatchObject({
      ...{ ok: true, bytes: SIZE, resets: 0, clientErrors: 0, connections: 1 },
      sha256: result.expectedSha256,
    });
    expect(left()).toEqual([]);
  });

  test('a failure that comes too late is no success', async () => {
    const result = await runDemo({
      ...{ size: 8 * 2 ** 20, how: 'kill', moment: { ms: 60_000 }, seed: 1, seconds: 0.2 },
    });
    expect(result).toMatchObject({ ok: false, detectedMs: null, clientGapMs: null, resets: 0 });
    expect(result.problems).toEqual([
      'the download ended before the proxy was hit; choose an earlier --kill-after',
    ]);
  });

  test('it ends when it is told to, and leaves nothing', async () => {
    const ending = new AbortController();
    const reason = new Error('enough');
    const demo = runDemo({
      ...{ size: SIZE, how: 'kill', moment: { fraction: 0.9 }, seed: 1, signal: ending.signal },
      onStep: ({ type }) => {
        if (type === 'asked') ending.abort(reason);
      },
    });
    await expect(demo).rejects.toBe(reason);
    expect(left()).toEqual([]);
  });

  test('--json prints one object and nothing else', async () => {
    const argv = ['demo', '--json', '--seed', '7', '--size', '8MiB', '--kill-after', '50%'];
    const { code, stdout, stderr } = await suture(...argv);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.trimEnd()).not.toContain('\n');
    expect(JSON.parse(stdout)).toEqual({
      ok: true,
      bytes: 8 * 2 ** 20,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      expectedSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      killedMember: 'a',
      detectedMs: expect.any(Number),
      adoptedMs: expect.any(Number),
      resumedMs: expect.any(Number),
      clientGapMs: expect.any(Number),
      stalledMs: expect.any(Number),
      usualGapMs: expect.any(Number),
      resets: 0,
      clientErrors: 0,
      clientExitCode: 0,
      connections: 1,
      how: 'kill',
      seed: 7,
      size: 8 * 2 ** 20,
      killedAtMs: expect.any(Number),
      killedAtBytes: expect.any(Number),
      durationMs: expect.any(Number),
      problems: [],
    });
  });
});

const suture = (...argv: string[]) =>
  run([process.execPath, '--disable-warning=ExperimentalWarning', main, ...argv]);

test.each([
  [['--size', '5'], '--size 5 is not a size from 8 MiB to 16 GiB, such as 64MiB or 1GiB'],
  [['--kill-after', '3'], '--kill-after 3 is neither a part of the file (0% to 99.9%) nor a time'],
  [['--seed', '-1'], '--seed -1 is not a whole number from 0 to 4294967295'],
  [['--ip', '5'], "option '--ip <version>' argument '5' is invalid."],
  [['--how', 'burn'], "option '--how <failure>' argument 'burn' is invalid."],
])('a mistake is one line and exit code 2: %s', async (argv, line) => {
  const { code, stdout, stderr } = await suture('demo', ...argv);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr.startsWith(`suture demo: ${line}`), stderr).toBe(true);
  expect(stderr.trimEnd()).not.toContain('\n');
});
