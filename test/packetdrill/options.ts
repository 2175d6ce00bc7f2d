// TCP options between their bytes and a script's words.
import type { OptionSpec } from './script.ts';

/** The bytes of options in the order of the script, padded with END to a multiple of four. */
export function writeOptions(options: readonly OptionSpec[]): Uint8Array {
  const bytes = options.flatMap((option) => bytesOf(option));
  while (bytes.length % 4 !== 0) bytes.push(0);
  return Uint8Array.from(bytes);
}

function bytesOf(option: OptionSpec): number[] {
  switch (option.kind) {
    case 'eol':
      return [0];
    case 'nop':
      return [1];
    case 'mss':
      return [2, 4, ...word16(option.value ?? 0)];
    case 'wscale':
      return [3, 3, option.shift ?? 0];
    case 'sackOK':
      return [4, 2];
    case 'sack':
      return [5, 2 + 8 * option.blocks.length, ...option.blocks.flat().flatMap(word32)];
    case 'timestamps':
      return [8, 10, ...word32(option.value ?? 0), ...word32(option.echo ?? 0)];
    default:
      return option satisfies never;
  }
}

const word16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
const word32 = (value: number): number[] => [...word16(value >>> 16), ...word16(value)];

/** What the options of a segment of ours say, padding included. An option that we never send is an error. */
export function readOptions(bytes: Uint8Array): OptionSpec[] {
  const view = new DataView(bytes.slice().buffer);
  const options: OptionSpec[] = [];
  for (let at = 0; at < bytes.length; ) {
    const kind = view.getUint8(at);
    if (kind <= 1) {
      options.push({ kind: kind === 0 ? 'eol' : 'nop' });
      at++;
      continue;
    }
    const length = at + 1 < bytes.length ? view.getUint8(at + 1) : 0;
    if (length < 2 || at + length > bytes.length) throw new RangeError('an option of ours is cut');
    options.push(readOption(view, at, kind, length));
    at += length;
  }
  return options;
}

function readOption(view: DataView, at: number, kind: number, length: number): OptionSpec {
  if (kind === 2 && length === 4) return { kind: 'mss', value: view.getUint16(at + 2) };
  if (kind === 3 && length === 3) return { kind: 'wscale', shift: view.getUint8(at + 2) };
  if (kind === 4 && length === 2) return { kind: 'sackOK' };
  if (kind === 8 && length === 10) {
    return { kind: 'timestamps', value: view.getUint32(at + 2), echo: view.getUint32(at + 6) };
  }
  if (kind === 5 && (length - 2) % 8 === 0) {
    const blocks = Array.from({ length: (length - 2) / 8 }, (_, block): [number, number] => [
      view.getUint32(at + 2 + 8 * block),
      view.getUint32(at + 6 + 8 * block),
    ]);
    return { kind: 'sack', blocks };
  }
  throw new RangeError(`we sent an option of kind ${kind} and length ${length}`);
}

/** Options as a script writes them. */
export function formatOptions(options: readonly OptionSpec[]): string {
  return options.length === 0 ? '' : ` <${options.map(formatOption).join(',')}>`;
}

function formatOption(option: OptionSpec): string {
  const open = (value: number | undefined): string => (value === undefined ? '...' : String(value));
  switch (option.kind) {
    case 'mss':
      return `mss ${open(option.value)}`;
    case 'wscale':
      return `wscale ${open(option.shift)}`;
    case 'sack':
      return `sack ${option.blocks.map(([left, right]) => `${left}:${right}`).join(' ')}`;
    case 'timestamps':
      return `TS val ${open(option.value)} ecr ${open(option.echo)}`;
    default:
      return option.kind;
  }
}
