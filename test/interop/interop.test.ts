// Every combination of what the kernel offers, over wires that seeds make bad. `npm run interop` runs more of it.
import { expect, test } from 'vitest';
import { combinations, describeRun, drawConditions, interoperateAll, obstacle } from './matrix.ts';

const why = obstacle();
if (why !== undefined) console.warn(`skipped: interoperation with the kernel ${why}`);

test.skipIf(why !== undefined)(
  'bulk goes both ways in both roles, whatever the kernel offers',
  async () => {
    const runs = combinations.map((kernel, index) => ({
      family: index % 3 === 2 ? (6 as const) : (4 as const),
      kernel,
      length: 120_000,
      seed: index + 1,
      conditions: drawConditions(index + 1),
      limit: 60_000,
    }));
    const results = await interoperateAll(runs, 6);
    const failures = results.flatMap(({ faults }, index) =>
      faults.map((fault) => `${describeRun(runs[index])}: ${fault}`),
    );
    expect(failures).toEqual([]);
    expect(results.reduce((sum, { retransmits }) => sum + retransmits, 0)).toBeGreaterThan(0);
  },
  100_000,
);
