import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { whyNoCluster } from '../e2e/cluster.ts';
import { HARMS } from './faults.ts';
import { runChaos } from './run.ts';

const why = await whyNoCluster();

describe.skipIf(why !== undefined)('chaos', () => {
  test('clients of every kind notice nothing of members that fail', {
    timeout: 180_000,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'suture-chaos-test-'));
    const { timeline, ...result } = await runChaos({
      ...{ topology: 'duo', seed: 1, seconds: 8, folder },
      ...{ harms: HARMS, captures: false, wrk: false },
    });
    console.log(JSON.stringify(result));
    expect(timeline).toEqual([]);
    expect(result).toMatchObject({ failures: 0, resets: 0, wrongBytes: 0, problems: [] });
    expect(result.requests).toBeGreaterThan(20);
    const { kills, pauses, linkDowns, restarts, drains } = result;
    // How many find time depends on the machine.
    expect(kills + pauses + linkDowns + restarts + drains).toBeGreaterThan(0);
    rmSync(folder, { recursive: true });
  });
});
