import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { silentLogger } from '../../src/env/logger.ts';
import { StallAlarm } from '../../src/proxy/stall-alarm.ts';

test('says once that replication stalls, and once that it gets on again', () => {
  const said: string[] = [];
  const alarm = new StallAlarm({
    ...silentLogger,
    info: ({ lasted }, text) => said.push(`info ${text} ${lasted}`),
    warn: ({ unacked }, text) => said.push(`warn ${text} ${unacked}`),
  });
  alarm.look(900 * MILLISECOND, 3, 10 * SECOND);
  expect([alarm.isOn, said.length]).toEqual([false, 0]);
  for (let beat = 0; beat < 10; beat++) alarm.look(1_100 * MILLISECOND + beat, 3, 11 * SECOND);
  expect(alarm.isOn).toBe(true);
  alarm.look(0, 0, 12 * SECOND);
  alarm.look(0, 0, 13 * SECOND);
  expect([alarm.isOn, alarm.stalls]).toEqual([false, 1]);
  expect(said).toEqual([
    'warn replication stalls: commits wait 3',
    `info replication gets on again ${2_100 * MILLISECOND}`,
  ]);
});
