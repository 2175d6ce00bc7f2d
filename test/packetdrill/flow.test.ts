import { expect, test } from 'vitest';
import { Flow } from './flow.ts';
import type { TcpSpec } from './script.ts';

const packet = (fields: Partial<TcpSpec>): TcpSpec => ({
  kind: 'tcp',
  direction: 'in',
  ip: {},
  flags: 2,
  seq: 0,
  absolute: false,
  length: 0,
  ack: undefined,
  window: undefined,
  urgent: undefined,
  options: [],
  ...fields,
});

test('both streams are counted from where the script likes, across the wrap', () => {
  const flow = new Flow(80, 90);
  flow.learnSyn(packet({ seq: 0 }), 0xffff_fff0);
  expect(flow.oursToScript(0xffff_fff1)).toBe(1);
  expect(flow.oursToScript(0x10)).toBe(0x20);
  const { seq, ack } = flow.toWire(packet({ seq: 7, ack: 0x20 }));
  expect(flow.theirsToScript(seq)).toBe(7);
  expect(ack).toBe(0x10);
  expect(flow.toWire(packet({ seq: 7, absolute: true })).seq).toBe(7);
});

test('a SYN that is repeated does not move the numbers', () => {
  const flow = new Flow(80, 90);
  flow.learnSyn(packet({ seq: 0 }), 1_000);
  flow.learnSyn(packet({ seq: 0 }), 2_000);
  expect(flow.oursToScript(1_001)).toBe(1);
});

test("the peer's blocks and echoes count in our numbers", () => {
  const flow = new Flow(80, 90);
  flow.learnSyn(packet({ seq: 0 }), 1_000);
  expect(flow.optionToWire({ kind: 'sack', blocks: [[1, 11]] })).toEqual({
    kind: 'sack',
    blocks: [[1_001, 1_011]],
  });
  flow.learnTimestamp(100, 5_100);
  flow.learnTimestamp(200, 5_300);
  const echo = (value: number) => flow.optionToWire({ kind: 'timestamps', value: 1, echo: value });
  expect(echo(100)).toMatchObject({ echo: 5_100 });
  expect(echo(200)).toMatchObject({ echo: 5_300 });
  expect(echo(210)).toMatchObject({ echo: 5_310 });
  expect(echo(0)).toMatchObject({ echo: 0 });
});

test('what was sent before is a repetition', () => {
  const flow = new Flow(80, 90);
  expect(flow.isRepetition(0xffff_ff00, 0x100)).toBe(false);
  expect(flow.isRepetition(0xffff_ff00, 0x100)).toBe(true);
  expect(flow.isRepetition(0, 0x80)).toBe(true);
  expect(flow.isRepetition(0x80, 0x180)).toBe(false);
  expect(flow.isRepetition(0x180, 0x180)).toBe(false);
});
