// One script a rule, named by RFC and section; the language is that of test/packetdrill.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scriptsIn } from '../packetdrill/cli.ts';
import { runScript } from '../packetdrill/runner.ts';

const scripts = scriptsIn(import.meta.dirname).map((file) => {
  const text = readFileSync(file, 'utf8');
  return { file, text, name: basename(file, '.pkt') };
});
/** Scripts that state sizes or addresses of one family. */
const onlyIpv4 = ({ text }: { text: string }): boolean => /^--ip_version=ipv4$/m.test(text);

describe.each([4, 6] as const)('IPv%i', (family) => {
  test.each(scripts.filter((script) => family === 4 || !onlyIpv4(script)))(
    '$name',
    ({ file, text }) => {
      const result = runScript(file, text, { mode: 'strict', family });
      expect(result).toEqual({ file, verdict: 'passed', reason: '', line: 0 });
    },
  );
});

/** The script with another number in what line `index` says that we send. */
function falsified(lines: readonly string[], index: number): string {
  return lines
    .map((line, at) => (at === index ? line.replace(/ack (\d+)/, 'ack 7$1') : line))
    .join('\n');
}

describe('a packet that is expected otherwise is noticed', () => {
  test.each(scripts)('$name', ({ file, text }) => {
    const lines = text.split('\n');
    lines.forEach((line, index) => {
      if (!/^\S+ > .*ack \d/.test(line)) return;
      const result = runScript(file, falsified(lines, index), { mode: 'strict', family: 4 });
      expect(result).toMatchObject({ verdict: 'failed', line: index + 1 });
    });
  });
});
