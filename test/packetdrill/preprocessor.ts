// Conditional parts of a script: #ifdef, #ifndef, #if 0, #else, #endif. Lines keep their numbers.
import { ScriptError } from './verdict.ts';

/** @param defined the names for which `#ifdef` holds */
export function preprocess(text: string, defined: ReadonlySet<string>): string {
  /** Whether each open condition holds, and the line that opened it. */
  const open: { holds: boolean; line: number }[] = [];
  const lines = text.split('\n').map((line, index) => {
    const number = index + 1;
    const [, word, rest = ''] = /^\s*#\s*([a-z!]+)\s*(.*?)\s*$/.exec(line) ?? [];
    switch (word) {
      case 'ifdef':
        open.push({ holds: defined.has(rest), line: number });
        return '';
      case 'ifndef':
        open.push({ holds: !defined.has(rest), line: number });
        return '';
      case 'if':
        open.push({ holds: rest !== '0', line: number });
        return '';
      case 'else': {
        const last = open.at(-1);
        if (last === undefined) throw new ScriptError(number, '#else without a condition');
        last.holds = !last.holds;
        return '';
      }
      case 'endif':
        if (open.pop() === undefined) throw new ScriptError(number, '#endif without a condition');
        return '';
      default:
        break;
    }
    if (!open.every(({ holds }) => holds)) return '';
    // A line that begins with # is a comment, as in the shell.
    return /^\s*#/.test(line) ? '' : line;
  });
  const unclosed = open.at(-1);
  if (unclosed !== undefined) throw new ScriptError(unclosed.line, 'a condition without #endif');
  return lines.join('\n');
}
