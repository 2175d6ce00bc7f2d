// The command: npm run packetdrill -- [options] FILE|FOLDER...
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Family } from './addresses.ts';
import type { Mode } from './compare.ts';
import { formatResult, formatSummary, summarize } from './report.ts';
import { runScript } from './runner.ts';
import type { Result } from './verdict.ts';

interface Choices {
  strict?: boolean;
  lenient?: boolean;
  json?: boolean;
  ip?: Family;
}

/** Scripts in a folder and those below it, in order. */
export function scriptsIn(place: string): string[] {
  if (!statSync(place).isDirectory()) return [place];
  return readdirSync(place, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.pkt'))
    .sort()
    .map((name) => join(place, name));
}

function parseFamily(text: string): Family {
  if (text === '4' || text === '6') return Number(text) as Family;
  throw new InvalidArgumentError('It must be 4 or 6.');
}

/** @returns the exit code: 0 only if no script failed */
export function main(words: readonly string[], write: (text: string) => void): number {
  let exitCode = 2;
  const command = new Command('packetdrill')
    .description('Runs packetdrill scripts against this TCP, in process and on a virtual clock')
    .argument('<place...>', 'scripts, or folders of them')
    .addOption(
      new Option('--strict', 'compare all that a script states (default)').conflicts('lenient'),
    )
    .option('--lenient', "do not compare what is another system's choice: windows, its options")
    .option('--json', 'print one JSON object')
    .option('--ip <4|6>', 'run every script over this family, whatever it says', parseFamily)
    .action((places: string[], choices: Choices) => {
      exitCode = runAll(places, choices, write);
    });

  command.parse(words, { from: 'user' });
  return exitCode;
}

function runAll(
  places: readonly string[],
  choices: Choices,
  write: (text: string) => void,
): number {
  const mode: Mode = choices.lenient === true ? 'lenient' : 'strict';
  const results: Result[] = [];
  for (const place of places) {
    let files: string[];
    try {
      files = scriptsIn(place);
    } catch {
      write(`packetdrill: ${place} cannot be read\n`);
      return 2;
    }
    if (files.length === 0) {
      write(`packetdrill: no scripts (*.pkt) in ${place}\n`);
      return 2;
    }
    for (const file of files) {
      const family = choices.ip ?? 4;
      const force = choices.ip !== undefined;
      const result = runScript(file, readFileSync(file, 'utf8'), { mode, family, force });
      results.push(result);
      if (choices.json !== true) write(formatResult(result));
    }
  }
  const summary = summarize(results);
  write(choices.json === true ? `${JSON.stringify(summary, null, 2)}\n` : formatSummary(summary));
  return summary.failed === 0 ? 0 : 1;
}
