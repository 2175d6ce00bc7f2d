import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ACCEPTED } from './check.ts';
import { main } from './cli.ts';

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'suture-packetdrill-'));
  writeFileSync(join(folder, 'good.pkt'), ACCEPTED);
  writeFileSync(join(folder, 'bad.pkt'), ACCEPTED.replace('mss 1460', 'mss 1'));
  writeFileSync(join(folder, 'other.pkt'), '0 `iptables -F`\n+0 close(3) = 0\n');
});

afterAll(() => rmSync(folder, { recursive: true }));

function command(...words: string[]): { code: number; output: string } {
  let output = '';
  const code = main(words, (text) => {
    output += text;
  });
  return { code, output };
}

test('a verdict for each script, a summary, and an exit code', () => {
  const { code, output } = command(folder);
  expect(code).toBe(1);
  expect(output.split('\n')).toEqual([
    expect.stringMatching(/^failed .*bad\.pkt:5: other options expected; sent: S\. 0:0\(0\) ack 1/),
    expect.stringMatching(/^passed .*good\.pkt$/),
    expect.stringMatching(/^unsupported .*other\.pkt:1: command iptables -F$/),
    '1 passed, 1 failed, 1 unsupported',
    '',
  ]);
});

test('only failures make the exit code', () => {
  expect(command(join(folder, 'good.pkt'), join(folder, 'other.pkt')).code).toBe(0);
});

test('one JSON object', () => {
  const { output } = command('--lenient', '--json', folder);
  expect(JSON.parse(output)).toMatchObject({
    passed: 1,
    failed: 1,
    unsupported: 1,
    results: [
      { file: join(folder, 'bad.pkt'), verdict: 'failed', line: 5 },
      { file: join(folder, 'good.pkt'), verdict: 'passed', reason: '', line: 0 },
      { file: join(folder, 'other.pkt'), verdict: 'unsupported', reason: 'command iptables -F' },
    ],
  });
});

test('a place that is not there', () => {
  expect(command(join(folder, 'never'))).toEqual({
    code: 2,
    output: expect.stringMatching(/^packetdrill: .*never cannot be read\n$/),
  });
});
