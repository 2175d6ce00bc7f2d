import { describe, expect, test } from 'vitest';
import { Takeover, type TakeoverOptions } from '../../src/demo/takeover.ts';
import { parseSnmp } from '../../src/demo/tcp-counters.ts';
import { Timeline } from '../../src/demo/timeline.ts';
import { type Facts, judge } from '../../src/demo/verdict.ts';
import type { LabEvent } from '../../src/lab/event.ts';

/** Asked at 1,000; 100 bytes every 10 ms from 1,020 on, but nothing between 1,100 and 1,340. */
function timeline(): Timeline {
  const made = new Timeline(1000);
  for (let at = 1020; at <= 1500; at += 10) if (at <= 1100 || at >= 1340) made.add(at, 100);
  return made;
}

describe('a timeline', () => {
  test('bytes by a moment, and per span', () => {
    const t = timeline();
    expect([t.bytes, t.began, t.lastAt]).toEqual([2600, 1000, 1500]);
    expect([0, 1000, 1019, 1020, 1025, 1100, 1339, 1340, 9999].map((at) => t.bytesAt(at))).toEqual([
      0, 0, 0, 100, 100, 900, 900, 1000, 2600,
    ]);
    expect(t.perSpan(1000, 100, 5)).toEqual([900, 0, 0, 700, 1000]);
  });

  test('the gap is the longest silence that lasts beyond the failure', () => {
    const t = timeline();
    expect(t.gap(1104, 2000)).toEqual({ from: 1100, to: 1340 });
    // One that is over is not the failure's, nor is one that begins too late.
    expect(t.gap(1340, 2000)).toEqual({ from: 1340, to: 1350 });
    expect(t.gap(1050, 1100)).toEqual({ from: 1050, to: 1060 });
    expect(t.gap(1500, 2000)).toBeUndefined();
    expect(new Timeline(1).gap(1, 2)).toBeUndefined();
  });

  test('a failure before the first byte: the gap begins with the request', () => {
    expect(timeline().gap(1010, 1050)).toEqual({ from: 1000, to: 1020 });
  });

  test('the usual silence leaves out the wait for the first byte and what came after', () => {
    expect(timeline().usualSilence(1300)).toEqual({ from: 1020, to: 1030 });
    expect(timeline().usualSilence(1340)).toEqual({ from: 1100, to: 1340 });
    expect(timeline().usualSilence(1020)).toBeUndefined();
  });

  test('the latest silence', () => {
    expect(timeline().latest).toEqual({ from: 1490, to: 1500 });
    expect(new Timeline(5).latest).toEqual({ from: 5, to: 5 });
  });
});

/** The time of day is 1,000,000 ms ahead. */
function takeover(onNotice?: TakeoverOptions['onNotice']): Takeover {
  return new Takeover({
    ...{ survivor: 'b', victim: 'a', wallMinusMonotonic: 1_000_000 },
    ...(onNotice === undefined ? {} : { onNotice }),
  });
}

function says(at: number, facts: object, process = 'b'): LabEvent {
  const line = JSON.stringify({ level: 30, time: 1_000_000 + at, member: process, ...facts });
  return { at: at + 3, type: 'output', process, stream: 'stdout', line };
}
const suspects = (at: number, peer = 'a', process = 'b') =>
  says(at, { peer, msg: 'member suspected' }, process);
const adopts = (at: number, member = 'a') =>
  says(at, { event: 'adopted', member, addresses: ['10.1.0.11', '10.1.0.21'] });
const releases = (at: number) => says(at, { event: 'released', member: 'a' });

describe("the survivor's log", () => {
  test('detection and adoption, told once and in order', async () => {
    const told: unknown[] = [];
    const t = takeover(({ kind, at }) => told.push([kind, at]));
    t.failed(500);
    for (const event of [suspects(550), adopts(551), adopts(600), suspects(700)]) t.see(event);
    await t.whenAdopted;
    expect(told).toEqual([
      ['detected', 550],
      ['adopted', 551],
    ]);
    expect(t.adopted?.addresses).toEqual(['10.1.0.11', '10.1.0.21']);
    expect([t.detected?.at, t.wasBefore]).toEqual([550, false]);
  });

  test('what it says before the moment of the failure is known counts, what was before does not', () => {
    const t = takeover();
    for (const event of [suspects(100), adopts(101), releases(300), suspects(550), adopts(551)]) {
      t.see(event);
    }
    expect(t.detected).toBeUndefined();
    t.failed(500);
    expect([t.detected?.at, t.adopted?.at, t.wasBefore]).toEqual([550, 551, false]);
  });

  test('a takeover before the failure is known for one', async () => {
    const t = takeover();
    t.see(suspects(100));
    t.see(adopts(101));
    t.failed(500);
    await t.whenAdopted;
    expect([t.detected, t.adopted, t.wasBefore]).toEqual([undefined, undefined, true]);
  });

  test('a time that was rounded down is not before the failure', () => {
    const t = takeover();
    t.failed(500.7);
    t.see(suspects(500));
    expect(t.detected?.at).toBe(500.7);
  });

  test('stalls of the survivor count as far as they lie between the moments asked for', () => {
    const t = takeover();
    const stalls = (at: number, ms: number, process = 'b') =>
      says(at, { stall: ms * 1000, msg: 'this process did not run for a while' }, process);
    for (const event of [stalls(100, 50), stalls(540, 90), stalls(700, 100), stalls(550, 9, 'a')]) {
      t.see(event);
    }
    expect(t.stalledBetween(500, 650)).toBe(40 + 50);
    expect(t.stalledBetween(800, 900)).toBe(0);
  });

  test("others' words and other lines do not count", () => {
    const t = takeover();
    t.failed(0);
    t.see(suspects(1, 'a', 'c'));
    t.see(suspects(1, 'c'));
    t.see(adopts(1, 'c'));
    t.see({ at: 1, type: 'fault', verb: 'kill', target: 'a' });
    for (const line of ['', 'Error: member suspected', 'null', '1', '{"msg":"member suspected"}']) {
      t.see({ at: 1, type: 'output', process: 'b', stream: 'stderr', line });
    }
    expect([t.detected, t.adopted]).toEqual([undefined, undefined]);
  });
});

test("the kernel's counters, by name", () => {
  const text = [
    'Ip: Forwarding DefaultTTL',
    'Ip: 2 64',
    'Tcp: RtoAlgorithm MaxConn ActiveOpens AttemptFails EstabResets InSegs OutRsts',
    'Tcp: 1 -1 7 1 2 99 4',
    '',
  ].join('\n');
  expect(parseSnmp(text)).toEqual({ opened: 7, resets: 1 + 2 + 4 });
  expect(() => parseSnmp(text.replace('OutRsts', 'Other'))).toThrow('has no Tcp OutRsts');
  expect(() => parseSnmp('')).toThrow('has no Tcp ActiveOpens');
});

function facts(changes: Partial<Facts> = {}): Facts {
  return {
    how: 'kill',
    seed: 7,
    size: 2600,
    victim: 'a',
    survivor: 'b',
    expectedSha256: 'ab',
    timeline: timeline(),
    end: { code: 0, complaint: '', sha256: 'ab' },
    endedAt: 1501,
    failedAt: 1104,
    detected: { kind: 'detected', at: 1154.04, addresses: [] },
    adopted: { kind: 'adopted', at: 1155, addresses: [] },
    wasBefore: false,
    gap: { from: 1100, to: 1340 },
    stalledMs: 12.34,
    counted: { opened: 1, resets: 0 },
    ...changes,
  };
}

describe('the verdict', () => {
  test('all right: the figures count from the failure', () => {
    expect(judge(facts())).toEqual({
      ok: true,
      bytes: 2600,
      sha256: 'ab',
      expectedSha256: 'ab',
      killedMember: 'a',
      detectedMs: 50,
      adoptedMs: 51,
      resumedMs: 236,
      clientGapMs: 240,
      stalledMs: 12.3,
      usualGapMs: 10,
      resets: 0,
      clientErrors: 0,
      clientExitCode: 0,
      connections: 1,
      how: 'kill',
      seed: 7,
      size: 2600,
      killedAtMs: 104,
      killedAtBytes: 900,
      durationMs: 501,
      problems: [],
    });
  });

  test.each<[string, Partial<Facts>, string]>([
    ['no failure', { failedAt: undefined }, 'the download ended before the proxy was hit'],
    ['a late failure', { failedAt: 1502 }, 'the download ended before the proxy was hit'],
    ['no detection', { detected: undefined }, 'proxy b never suspected a'],
    ['no adoption', { adopted: undefined }, 'proxy b never took over the addresses of a'],
    ['an early takeover', { wasBefore: true }, 'proxy b had taken over from a before it was hit'],
    [
      'an error',
      { end: { code: 56, complaint: 'curl: (56) Recv failure', sha256: 'ab' } },
      'curl ended with exit code 56: curl: (56) Recv failure',
    ],
    ['too few bytes', { size: 2601 }, 'curl received 2600 of 2601 bytes'],
    ['a wrong byte', { expectedSha256: 'ac' }, 'wrong bytes: the SHA-256 differs'],
    ['a reset', { counted: { opened: 1, resets: 2 } }, 'counted 2 reset or failed connections'],
    ['a second connection', { counted: { opened: 2, resets: 0 } }, 'opened 2 connections'],
  ])('not right: %s', (_, changes, problem) => {
    const { ok, problems } = judge(facts(changes));
    expect(ok).toBe(false);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });
});
