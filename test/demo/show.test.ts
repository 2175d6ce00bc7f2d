import { describe, expect, test } from 'vitest';
import type { Step } from '../../src/demo/demo.ts';
import { report } from '../../src/demo/report.ts';
import { paintFor, type Screen, screenOf } from '../../src/demo/screen.ts';
import { Show } from '../../src/demo/show.ts';
import { bar, spark } from '../../src/demo/spark.ts';
import { Story } from '../../src/demo/story.ts';
import { Timeline } from '../../src/demo/timeline.ts';
import type { DemoResult } from '../../src/demo/verdict.ts';

const plain = paintFor({ colours: false });

/** 100 bytes a millisecond every 10 ms from 5,000 on, none from 5,400 to 5,650. */
function timeline(until = 6000): Timeline {
  const made = new Timeline(5000);
  for (let at = 5010; at <= until; at += 10) if (at <= 5400 || at >= 5650) made.add(at, 1000);
  return made;
}

const STEPS: readonly Step[] = [
  { type: 'building' },
  { type: 'built', ms: 1234, server: 'nginx' },
  { type: 'filled', ms: 500, sha256: 'ab'.repeat(32) },
  { type: 'asked', url: 'http://10.0.0.100/file', timeline: timeline(), rate: 100 },
  { type: 'failed', at: 5401 },
  { type: 'detected', notice: { kind: 'detected', at: 5551, addresses: [] } },
  {
    type: 'adopted',
    notice: { kind: 'adopted', at: 5552.04, addresses: ['10.1.0.11', '10.1.0.21'] },
  },
  { type: 'resumed', gap: { from: 5400, to: 5650 } },
  { type: 'ended', at: 6001, code: 0 },
];

const RESULT: DemoResult = {
  ok: true,
  bytes: 76_000,
  sha256: 'ab'.repeat(32),
  expectedSha256: 'ab'.repeat(32),
  killedMember: 'a',
  detectedMs: 150,
  adoptedMs: 151,
  resumedMs: 249,
  clientGapMs: 250,
  stalledMs: 0,
  usualGapMs: 9.5,
  resets: 0,
  clientErrors: 0,
  clientExitCode: 0,
  connections: 1,
  how: 'kill',
  seed: 7,
  size: 76_000,
  killedAtMs: 401,
  killedAtBytes: 40_000,
  durationMs: 1001,
  problems: [],
};

test('a spark line: the lowest is for nothing, the highest for all that is full or more', () => {
  expect(spark([0, 1, 50, 100, 200, -1], 100)).toBe('▁▂▅██▁');
  expect(spark([], 100)).toBe('');
});

test('a bar is as wide as asked for', () => {
  expect([0, 0.5, 1, 2, -1].map((fraction) => bar(fraction, 4))).toEqual([
    '░░░░',
    '██░░',
    '████',
    '████',
    '░░░░',
  ]);
});

describe('the story', () => {
  const story = () => new Story({ how: 'kill', seed: 7, size: 76_000, paint: plain });

  test('a line for each thing that happens, with its time', () => {
    const teller = story();
    expect(STEPS.map((step) => teller.tell(step)).slice(2)).toEqual([
      '   ready: lab 1.23 s, file 0.50 s; its SHA-256 abababababababab…\n',
      '  0.00 s  curl asks http://10.0.0.100/file by way of proxy a',
      '  0.40 s  proxy a is killed (SIGKILL), the file is at 52 %',
      '  0.55 s  proxy b holds proxy a for dead +150 ms',
      '  0.55 s  proxy b takes over its addresses 10.1.0.11 and 10.1.0.21 +151 ms',
      '  0.65 s  curl receives again, on the same connection +249 ms',
      '  1.00 s  curl ends with exit code 0',
    ]);
  });

  test('the topology tells what the backends run and hold, within 80 columns', () => {
    const teller = story();
    teller.tell(STEPS[0]);
    const text = teller.tell({ type: 'built', ms: 1, server: 'a small Node server' }) ?? '';
    for (const word of ['curl', 'router', 'proxy a', 'proxy b', 'web1', 'a small Node server']) {
      expect(text).toContain(word);
    }
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('progress: figures, a bar, and only whole spans since the start', () => {
    const teller = story();
    expect(teller.progress(5000, 80)).toBeUndefined();
    for (const step of STEPS) teller.tell(step);
    expect(teller.progress(5099, 80)).toBe('  0.10 s  100 %   0.0 MB/s  ████████████████ ');
    expect(teller.progress(5750, 80)?.endsWith(' ████▁▁▆')).toBe(true);
    for (const columns of [80, 60, 40, 10, 1]) {
      expect(teller.progress(9000, columns)?.length).toBeLessThan(columns);
    }
  });
});

describe('the report', () => {
  test('all right: the picture, the facts, and where the time of the gap went', () => {
    expect(report(RESULT, plain, timeline()).split('\n')).toEqual([
      '',
      '     ████▁▁▆███',
      '         ↑ kill -9',
      '',
      ' OK  One TCP connection carried the file to its end, and every byte is right.',
      '     76,000 bytes, SHA-256 abababababababab… as at the backends',
      '     0 resets, 0 client errors, 1 connection',
      '     longest pause at the client: 250 ms (before the failure: 9.5 ms)',
      '     249 ms from the failure to the next new byte:',
      '        150 ms  until proxy b held proxy a for dead',
      '        1.0 ms  until it had announced the addresses as its own',
      '         98 ms  until the backend sent again: its retransmission timer',
      '',
    ]);
  });

  test('before a timer can have fired, it was the survivor that made the backend go on', () => {
    const text = report({ ...RESULT, detectedMs: 30, adoptedMs: 31, resumedMs: 34 }, plain);
    expect(text).toContain(
      '3.0 ms  until the backend sent again: proxy b asked both ends to go on',
    );
  });

  test('not right: every problem is said', () => {
    const problems = ['curl ended with exit code 56: reset', 'one more'];
    const text = report({ ...RESULT, ok: false, sha256: 'cd', problems, resets: 1 }, plain);
    expect(text).toContain(' FAILED\n   - curl ended with exit code 56: reset\n   - one more\n');
    expect(text).toContain('SHA-256 cd… NOT as it should be');
    expect(text).toContain('1 reset, ');
    expect(text).not.toContain('OK');
  });

  test('a machine that gave the survivor no time is named', () => {
    expect(report({ ...RESULT, stalledMs: 42 }, plain)).toContain('no time for 42 ms of it');
  });

  test('a gap that buffers bridged is not taken apart, and none is not told', () => {
    expect(report({ ...RESULT, resumedMs: 20 }, plain)).not.toContain('from the failure to');
    expect(report({ ...RESULT, clientGapMs: null }, plain)).not.toContain('longest pause');
  });

  test('a long download is shown from shortly before the failure', () => {
    const long = new Timeline(0);
    for (let at = 10; at <= 20_000; at += 10) if (at <= 9000 || at >= 9400) long.add(at, 1000);
    const result = { ...RESULT, killedAtMs: 9001, durationMs: 20_000, size: 1_961_000 };
    const [, picture, mark] = report(result, plain, long).split('\n');
    expect(picture.trim()).toHaveLength(64);
    expect(picture[mark.indexOf('↑')]).toBe('▁');
    expect(picture[mark.indexOf('↑') - 1]).toBe('█');
  });
});

describe('the screen', () => {
  const stream = (isTTY: boolean) => {
    const written: string[] = [];
    const write = (text: string) => written.push(text) > 0;
    return { written, stream: { isTTY, columns: 0, write } as unknown as NodeJS.WritableStream };
  };
  const settings = (isTTY: boolean, env: NodeJS.ProcessEnv) => {
    const { live, colours, columns } = screenOf(stream(isTTY).stream, env);
    return { live, colours, columns };
  };

  test('colours and lines that change are for terminals', () => {
    expect(settings(true, { TERM: 'xterm' })).toEqual({ live: true, colours: true, columns: 80 });
    expect(settings(true, { NO_COLOR: '1' })).toMatchObject({ live: true, colours: false });
    expect(settings(true, { NO_COLOR: '' })).toMatchObject({ live: true, colours: true });
    expect(settings(true, { TERM: 'dumb' })).toMatchObject({ live: false, colours: false });
    expect(settings(false, {})).toMatchObject({ live: false, colours: false });
  });

  const play = (screen: Partial<Screen>): string => {
    let text = '';
    const write = (more: string): void => {
      text += more;
    };
    const base = { write, live: false, colours: false, columns: 80 };
    const show = new Show({ screen: { ...base, ...screen }, how: 'kill', seed: 7, size: 76_000 });
    for (const step of STEPS) show.step(step);
    show.verdict(RESULT);
    return text;
  };

  test('without a terminal there are no control characters', () => {
    const text = play({});
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
    expect(text).toContain('A download survives kill -9 of its proxy  (--how kill --seed 7)');
    expect(text).toContain(' OK  ');
  });

  test('on a terminal, what changes is erased before what stays is written', () => {
    const text = play({ live: true, colours: true });
    expect(text).toContain('\x1b[31m');
    expect(text).toContain(' building a lab of network namespaces ...');
    // What a person sees in the end: of each line what follows the last erasure.
    const seen = text
      .split('\n')
      .map((line) => line.split('\r\x1b[K').at(-1))
      .join('\n');
    expect(seen).not.toContain('...');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are taken out
    expect(seen.replace(/\x1b\[\d+m/g, '')).toBe(play({}));
  });
});
