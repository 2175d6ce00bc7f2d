import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { run } from './check.ts';
import { parseScript } from './parser.ts';
import type { Event } from './script.ts';
import { ScriptError, Unsupported } from './verdict.ts';

const events = (text: string): readonly Event[] => parseScript('a.pkt', text).events;
const only = (text: string): Event['what'] | undefined => events(text)[0]?.what;

/** The line and the message with which a text is refused. */
function refusal(text: string): string {
  try {
    parseScript('a.pkt', text);
  } catch (error) {
    if (error instanceof ScriptError) return `${error.line}: ${error.message}`;
    throw error;
  }
  return 'none';
}

describe('times', () => {
  test.each([
    ['1.5 close(3) = 0', { kind: 'absolute', from: 1_500_000, to: 1_500_000 }],
    ['+.25 close(3) = 0', { kind: 'relative', from: 250_000, to: 250_000 }],
    ['+0 close(3) = 0', { kind: 'relative', from: 0, to: 0 }],
    ['* close(3) = 0', { kind: 'any', from: 0, to: 0 }],
    ['1~2 close(3) = 0', { kind: 'absolute', from: 1_000_000, to: 2_000_000 }],
    ['+.1~+.3 close(3) = 0', { kind: 'relative', from: 100_000, to: 300_000 }],
    ['`true`', { kind: 'relative', from: 0, to: 0 }],
  ])('%s', (text, when) => {
    expect(events(text)[0]?.when).toEqual(when);
  });

  test('a call that blocks says when it ends', () => {
    expect(only('1...1.5 read(3, ..., 10) = 10')).toMatchObject({
      until: { kind: 'absolute', from: 1_500_000 },
    });
  });
});

describe('packets', () => {
  test('all parts of a packet', () => {
    const text =
      '0 < [ect0] (ttl 3) FSRPUEW. 1:11(10) ack 7 win 100 urg 5 <mss 1460,nop,wscale 8,sackOK,TS val 1 ecr 2,sack 1:2 3:4,eol>';
    expect(only(text)).toEqual({
      kind: 'tcp',
      direction: 'in',
      ip: { ecn: 'ect0', timeToLive: 3 },
      flags: 0xff,
      seq: 1,
      absolute: false,
      length: 10,
      ack: 7,
      window: 100,
      urgent: 5,
      options: [
        { kind: 'mss', value: 1460 },
        { kind: 'nop' },
        { kind: 'wscale', shift: 8 },
        { kind: 'sackOK' },
        { kind: 'timestamps', value: 1, echo: 2 },
        {
          kind: 'sack',
          blocks: [
            [1, 2],
            [3, 4],
          ],
        },
        { kind: 'eol' },
      ],
    });
  });

  test('options left open, and none', () => {
    expect(only('0 > . 1:1(0) ack 1 <...>')).toMatchObject({ options: 'any' });
    expect(only('0 > . 1:1(0) ack 1')).toMatchObject({ options: [] });
  });

  test('numbers left open, and numbers as on the wire', () => {
    expect(only('0 > S. ...(0) ack 1')).toMatchObject({ seq: undefined, flags: 0x12 });
    expect(only('0 > R. 0:0(0)! ack 1')).toMatchObject({ seq: 0, absolute: true });
  });

  test('the length must be the difference of the numbers, across the wrap too', () => {
    expect(refusal('0 < . 1:10(10) ack 1')).toMatch(/^1: .*1:11\(10\)/);
    expect(only('0 < . 4294967290:4(10) ack 1')).toMatchObject({ seq: 4294967290, length: 10 });
  });

  test('ICMP with an MTU and a quotation', () => {
    expect(only('0 < icmp unreachable frag_needed mtu 1200 [1:1001(1000)]')).toEqual({
      kind: 'icmp',
      direction: 'in',
      ip: {},
      type: 'unreachable',
      code: 'frag_needed',
      mtu: 1200,
      quoted: { seq: 1, length: 1000 },
    });
  });

  test.each([
    ['0 < udp (100)', 'udp'],
    ['0 > SEWA 0:0(0)', 'accurate ECN'],
    ['0 < S 0:0(0) win 1 <FO 1234>', 'TCP option FO'],
    ['0 < S 0:0(0) win 1 <mss 1460,md5 valid>', 'TCP option md5'],
  ])('%s is not supported', (text, name) => {
    expect(() => parseScript('a.pkt', text)).toThrow(Unsupported);
    expect(run(text).reason).toContain(name);
  });
});

describe('calls', () => {
  test('arguments of every form', () => {
    const text =
      '0 f(3, ..., "a\\n", A|B, [1, 2], {fd=3, events=POLLIN}, {sa_family=AF_INET, sin_port=htons(80)}) = -1 EAGAIN (Try again)';
    expect(only(text)).toMatchObject({
      name: 'f',
      error: 'EAGAIN',
      result: { kind: 'number', value: -1 },
      arguments: [
        { kind: 'number', value: 3 },
        { kind: 'any' },
        { kind: 'text', value: 'a\n' },
        {
          kind: 'or',
          parts: [
            { kind: 'name', name: 'A' },
            { kind: 'name', name: 'B' },
          ],
        },
        { kind: 'list' },
        {
          kind: 'struct',
          fields: new Map([
            ['fd', expect.anything()],
            ['events', expect.anything()],
          ]),
        },
        { kind: 'struct' },
      ],
    });
  });

  test('messages with a length in brackets', () => {
    const text = '0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}, 0) = 10';
    expect(only(text)).toMatchObject({
      arguments: [{}, { kind: 'struct', fields: expect.any(Map) }, {}],
    });
  });

  test('a result with a remark', () => {
    expect(only('0 fcntl(3, F_GETFL) = 0x02 (flags O_RDWR)')).toMatchObject({
      result: { kind: 'number', value: 2 },
      error: undefined,
    });
  });
});

describe('the text around events', () => {
  test('settings, comments, commands and code', () => {
    const script = parseScript(
      'a.pkt',
      '// one\n--ip_version=ipv6 --mtu=1280\n--tolerance_usecs=50000\n/* two\n lines */ 0 `sysctl -q a=1` // three\n+0 %{ assert 1\n }%\n',
    );
    expect(script.settings).toEqual([
      { line: 2, name: 'ip_version', value: 'ipv6' },
      { line: 2, name: 'mtu', value: '1280' },
      { line: 3, name: 'tolerance_usecs', value: '50000' },
    ]);
    expect(script.events.map(({ line, what }) => [line, what.kind])).toEqual([
      [5, 'command'],
      [6, 'code'],
    ]);
  });

  test('conditional parts: the standard, not one system', () => {
    const text =
      '#ifdef STANDARD\n0 close(3) = 0\n#else\n0 close(4) = 0\n#endif\n#ifdef FreeBSD\n0 close(5) = 0\n#endif\n';
    expect(events(text).map(({ line }) => line)).toEqual([2]);
    expect(refusal('#ifdef A\n')).toBe('1: a condition without #endif');
    expect(refusal('0 close(3) = 0\n#endif\n')).toBe('2: #endif without a condition');
  });

  test.each([
    ['', '1: expected an event, found the end'],
    [
      '0 close(3) = 0\n+0 ! x',
      '2: expected a packet, a system call, a command or code, found "! x"',
    ],
    ['0 close(3', '1: expected ",", found the end'],
    ['0 `never', '1: expected "`" after "`", found "`never"'],
    ['/* never', '1: expected "*/" after "/*", found "/* never"'],
    ['0 f("never', '1: expected the end of the text in quotes, found ""never"'],
    ['0 < S 0:0(0) win', '1: expected a window, found the end'],
    [
      `0 f(${'['.repeat(100)}`,
      '1: expected an argument that is not nested so deeply, found "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["',
    ],
  ])('refuses %j in one line', (text, message) => {
    expect(refusal(text)).toBe(message);
  });

  test('garbage gives an error, never anything else', () => {
    const words = [
      '0',
      '+0',
      '<',
      '>',
      'S.',
      '0:0(0)',
      'ack',
      '<mss',
      '>',
      '(',
      ')',
      '=',
      '`',
      '%{',
      '}%',
      '"',
      '...',
      '\n',
      '#if',
      '--a',
      '{',
      '[',
      ',',
      '|',
      'f',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), { maxLength: 30 }), (parts) => {
        const { verdict, reason } = run(parts.join(' '));
        expect(verdict === 'passed' || reason !== '').toBe(true);
      }),
      { numRuns: 2_000, seed: 7 },
    );
  });
});
