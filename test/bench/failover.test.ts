import { expect, test } from 'vitest';
import { patternAt, wrongBytes } from '../../bench/load/pattern.ts';
import type { Watched } from '../../bench/load/stream.ts';
import { samplesOf } from '../../bench/suites/failover.ts';

type Stream = Watched['streams'][number];

const stream = (more: Partial<Stream> = {}): Stream => ({
  ...{ kind: 'paced download', bytes: 1_000_000, wrong: 0, silences: [] },
  ...more,
});
const watched = (streams: Stream[], more: Partial<Watched> = {}): Watched => ({
  ...{ streams, served: [], resets: 0, endedAt: 4_000 },
  ...more,
});
const GAP = 'gap: paced download';
const RETRANSMISSION = 'retransmission: paced download';

test('the gap is the longest silence that outlasts the failure; its parts follow each other', () => {
  const silences: [number, number][] = [
    [100, 900],
    [990, 1_045],
    [1_100, 1_360],
  ];
  const failure = { at: 1_000, detectedAt: 1_030, adoptedAt: 1_032 };
  expect(samplesOf(watched([stream({ silences })]), failure)).toMatchObject({
    ...{ [GAP]: 260, detection: 30, adoption: 2, [RETRANSMISSION]: 13 },
    broken: 0,
  });
});

test('what comes before the adoption needs no retransmission; a drain has no parts', () => {
  const streams = [stream({ silences: [[998, 1_010]] })];
  const failure = { at: 1_000, detectedAt: 1_030, adoptedAt: 1_032 };
  expect(samplesOf(watched(streams), failure)).toMatchObject({ [GAP]: 12, [RETRANSMISSION]: 0 });
  const told = samplesOf(watched(streams), { at: 1_000 });
  expect(told).toMatchObject({ [GAP]: 12 });
  expect(Object.keys(told)).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/detection|adoption|retransmission/)]),
  );
});

test('a broken stream has no gap and is counted, and so are wrong bytes and resets', () => {
  const streams = [stream({ broken: 'ECONNRESET', wrong: 7 }), stream({ broken: 'silent' })];
  const samples = samplesOf(watched(streams, { resets: 3 }), { at: 1_000 });
  expect(samples).toMatchObject({ broken: 2, 'wrong bytes': 7, resets: 3 });
  expect(samples).not.toHaveProperty([GAP]);
});

test('the outage is the longest time without a new connection, also if none comes any more', () => {
  const outage = (served: number[]): unknown =>
    samplesOf(watched([stream()], { served }), { at: 1_000 })['outage for new connections'];
  expect(outage([500, 1_010, 1_400, 1_420, 3_900])).toBe(2_480);
  expect(outage([500, 990])).toBe(3_000);
  expect(outage([500, 1_300, 2_000, 2_700, 3_400])).toBe(700);
});

test('each byte of a stream that is not in its place is wrong', () => {
  const bytes = Buffer.concat([patternAt(1_000_000, 600_000), patternAt(1_600_000, 600_000)]);
  expect(wrongBytes(bytes, 1_000_000)).toBe(0);
  bytes[70_000] ^= 1;
  bytes[1_199_999] ^= 1;
  expect(wrongBytes(bytes, 1_000_000)).toBe(2);
  expect(wrongBytes(patternAt(1, 1_000), 0)).toBeGreaterThan(900);
});
