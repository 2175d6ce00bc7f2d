// Scripts that others wrote, for FreeBSD, where they are at hand: beside this project's folder.
import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scriptsIn } from './cli.ts';
import { KNOWN } from './known.ts';
import { runScript } from './runner.ts';
import type { Result } from './verdict.ts';

const FOLDER = resolve(import.meta.dirname, '../../../shared/packetdrill/freebsd');
const present = existsSync(FOLDER);
if (!present) console.info(`skipped: the FreeBSD scripts are not at ${FOLDER}`);

describe.skipIf(!present)('scripts for FreeBSD, lenient', () => {
  const results: Result[] = present
    ? scriptsIn(FOLDER).map((file) =>
        runScript(file, readFileSync(file, 'utf8'), { mode: 'lenient', family: 4 }),
      )
    : [];
  const named = (verdict: Result['verdict']): string[] =>
    results
      .filter((result) => result.verdict === verdict)
      .map(({ file }) => relative(join(FOLDER), file));

  test('those that fail are exactly those of which we know why', () => {
    expect(named('failed').sort()).toEqual(Object.keys(KNOWN).sort());
  });

  test('at least 97 % of those that are supported pass', () => {
    const supported = results.length - named('unsupported').length;
    expect(named('passed').length / supported).toBeGreaterThanOrEqual(0.97);
  });

  test('at most 5 % use what we do not have', () => {
    expect(results.length).toBeGreaterThan(300);
    expect(named('unsupported').length / results.length).toBeLessThanOrEqual(0.05);
  });
});
