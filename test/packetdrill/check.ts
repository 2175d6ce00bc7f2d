// Checks of the interpreter itself: what is right passes, and the same with one thing wrong fails there.
import { expect } from 'vitest';
import type { Mode } from './compare.ts';
import { runScript } from './runner.ts';
import type { Result } from './verdict.ts';

export function run(text: string, mode: Mode = 'strict'): Result {
  return runScript('a.pkt', text, { mode, family: 4 });
}

export function passes(text: string, mode: Mode = 'strict'): void {
  const { verdict, reason, line } = run(text, mode);
  expect({ verdict, reason, line }).toEqual({ verdict: 'passed', reason: '', line: 0 });
}

/** The script fails in the line of `what` (the whole of a line, or its part). */
export function fails(text: string, what: string, reason: RegExp, mode: Mode = 'strict'): void {
  const at = text.indexOf(what);
  expect(at, `the script has no "${what}"`).toBeGreaterThanOrEqual(0);
  const result = run(text, mode);
  expect(result).toMatchObject({
    verdict: 'failed',
    line: text.slice(0, at).split('\n').length,
  });
  expect(result.reason).toMatch(reason);
  expect(result.reason).not.toContain('\n');
}

/** `text` passes, and with `right` replaced by `wrong` it fails in that line for `reason`. */
export function tells(
  text: string,
  right: string,
  wrong: string,
  reason: RegExp,
  mode: Mode = 'strict',
): void {
  passes(text, mode);
  expect(text.split(right)).toHaveLength(2);
  fails(text.replace(right, wrong), wrong, reason, mode);
}

export function isUnsupported(text: string, what: RegExp): void {
  const result = run(text);
  expect(result.verdict).toBe('unsupported');
  expect(result.reason).toMatch(what);
}

/** A listening socket, a handshake without options, and the accepted socket 4. */
export const ACCEPTED = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 32792
+0 accept(3, ..., ...) = 4
`;

/** A connection that we open, with all options of our own. */
export const CONNECTED = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <...>
+.1 < S. 0:0(0) ack 1 win 32792 <mss 1000>
+0 > . 1:1(0) ack 1
`;
