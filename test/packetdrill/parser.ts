// From the text of a script to its events.
import { SECOND } from '../../src/env/clock.ts';
import { parseCall } from './parse-call.ts';
import { parsePacket } from './parse-packet.ts';
import { preprocess } from './preprocessor.ts';
import { Scanner } from './scanner.ts';
import type { Event, Script, Setting, When } from './script.ts';

/** The names that hold in `#ifdef`: where a script tells the standard from one system, we are the standard. */
const DEFINED: ReadonlySet<string> = new Set(['STANDARD', 'Linux', 'linux']);

/**
 * Reads a script.
 * @throws ScriptError for a text that is none
 * @throws Unsupported for a part of the language that we do not have
 */
export function parseScript(file: string, text: string): Script {
  const scanner = new Scanner(preprocess(text, DEFINED));
  const settings = parseSettings(scanner);
  const events: Event[] = [];
  while (!scanner.atEnd) events.push(parseEvent(scanner));
  if (events.length === 0) scanner.fail('an event');
  return { file, settings, events };
}

function parseSettings(scanner: Scanner): Setting[] {
  const settings: Setting[] = [];
  while (scanner.sees('--')) {
    const { line } = scanner;
    // Several may stand in one line.
    for (const word of scanner.restOfLine().split(/\s+/)) {
      const [name = '', value = ''] = word.replace(/^--/, '').split(/=(.*)/s);
      settings.push({ line, name, value: value.trim() });
    }
  }
  return settings;
}

function parseEvent(scanner: Scanner): Event {
  const { line } = scanner;
  const when = parseWhen(scanner);
  // `0...0.010`: a call that blocks, and when it ends.
  const until = scanner.take('...') ? span(when.kind, parseTime(scanner)) : undefined;
  const command = scanner.between('`', '`');
  if (command !== undefined) return { line, when, what: { kind: 'command', text: command.trim() } };
  const code = scanner.between('%{', '}%');
  if (code !== undefined) return { line, when, what: { kind: 'code', text: code } };
  if (scanner.take('<')) return { line, when, what: parsePacket(scanner, 'in') };
  if (scanner.take('>')) return { line, when, what: parsePacket(scanner, 'out') };
  return { line, when, what: parseCall(scanner, until) };
}

function parseWhen(scanner: Scanner): When {
  if (scanner.take('*')) return span('any', 0);
  // Commands, code and calls without a time follow the event before at once; packets must have one.
  const untimed = scanner.sees('`') || scanner.sees('%{') || scanner.peekName() !== undefined;
  if (untimed) return span('relative', 0);
  const kind = scanner.take('+') ? 'relative' : 'absolute';
  const from = parseTime(scanner);
  if (!scanner.take('~')) return span(kind, from);
  scanner.take('+');
  return { kind, from, to: parseTime(scanner) };
}

const span = (kind: When['kind'], at: number): When => ({ kind, from: at, to: at });

function parseTime(scanner: Scanner): number {
  return Math.round(scanner.number('a time') * SECOND);
}
