import { describe, expect, test } from 'vitest';
import { runPython } from './python.ts';

const NAMES: Readonly<Record<string, number>> = {
  tcpi_snd_cwnd: 10,
  tcpi_options: 7,
  TCPI_OPT_SACK: 2,
};
const runIt = (text: string): void => runPython(text, 5, (name) => NAMES[name]);

describe('assertions that hold', () => {
  test.each([
    'assert tcpi_snd_cwnd == 10',
    'assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd',
    'assert (tcpi_options & TCPI_OPT_SACK) != 0, "sack"',
    'assert 9 <= tcpi_snd_cwnd <= 11',
    'assert tcpi_snd_cwnd > 3 and not tcpi_snd_cwnd > 20 or False',
    'assert abs(tcpi_snd_cwnd - 12) <= 2',
    'assert 1 + 2 * 3 == 7 and 7 // 2 == 3 and -7 % 3 == 2 and 1 << 4 == 16',
    'assert tcpi_snd_cwnd == 10; assert tcpi_options == 7',
    '\n  assert tcpi_snd_cwnd == \\\n 10\n  print(tcpi_snd_cwnd)\n',
    'assert (tcpi_snd_cwnd ==\n 10)',
    'assert max(1, 2, 3) == 3 and min(4, 2) == 2 and int(7 / 2) == 3',
    'assert "a" == \'a\'',
    '# assert 0',
  ])('%j', (text) => {
    expect(() => runIt(text)).not.toThrow();
  });
});

describe('assertions that do not', () => {
  test.each([
    ['assert tcpi_snd_cwnd == 9, tcpi_snd_cwnd', 'assert tcpi_snd_cwnd == 9: 10'],
    ['assert 11 <= tcpi_snd_cwnd <= 12', 'assert 11 <= tcpi_snd_cwnd <= 12'],
    ['assert not tcpi_snd_cwnd', 'assert not tcpi_snd_cwnd'],
    ['assert tcpi_snd_cwnd == 10 and tcpi_options == 6', 'tcpi_options == 6'],
    ["assert 0, 'cwnd=%d of %d' % (tcpi_snd_cwnd, 12)", 'assert 0: cwnd=10 of 12'],
    ['assert 0', 'assert 0'],
    ['assert (1', 'expected ")"'],
    ['assert 1 2', 'expected the end of the assertion'],
    ['assert $', 'this is no Python'],
    ['assert ', 'expected a value'],
  ])('%j', (text, message) => {
    expect(() => runIt(text)).toThrow(message);
  });

  test('are told with their line', () => {
    expect(() => runIt('\n\nassert 1\nassert 0')).toThrow(expect.objectContaining({ line: 8 }));
  });
});

test.each([
  ['assert tcpi_never == 1', 'tcpi_never'],
  ['x = 1', 'code "x = 1"'],
  ['assert open("a")', 'open() in code'],
])('%j is not supported', (text, what) => {
  expect(() => runIt(text)).toThrow(expect.objectContaining({ name: 'Unsupported', what }));
});
