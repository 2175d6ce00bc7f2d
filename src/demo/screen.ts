/** Where the demo is shown. */
export interface Screen {
  /** Writes text as it is. */
  write(text: string): void;
  /** Whether the last line can be written over: a terminal. */
  readonly live: boolean;
  /** Whether colours are wanted. */
  readonly colours: boolean;
  /** Characters in a line. */
  readonly columns: number;
}

const COLUMNS = 80;

/**
 * The screen behind a stream. Colours are for terminals alone, and not where NO_COLOR is set
 * (no-color.org).
 */
export function screenOf(
  stream: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number },
  environment: NodeJS.ProcessEnv,
): Screen {
  const live = stream.isTTY === true && environment.TERM !== 'dumb';
  return {
    write: (text) => stream.write(text),
    live,
    colours: live && (environment.NO_COLOR ?? '') === '',
    get columns() {
      // Some terminals say 0 when they do not know.
      return stream.columns || COLUMNS;
    },
  };
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** Puts colours around texts (ECMA-48, 8.3.117), or leaves them out. */
export type Paint = Readonly<Record<keyof typeof CODES, (text: string) => string>>;

export function paintFor({ colours }: Pick<Screen, 'colours'>): Paint {
  const painter = (code: number) => (text: string) =>
    colours ? `\x1b[${code}m${text}\x1b[0m` : text;
  return {
    bold: painter(CODES.bold),
    dim: painter(CODES.dim),
    red: painter(CODES.red),
    green: painter(CODES.green),
    yellow: painter(CODES.yellow),
    cyan: painter(CODES.cyan),
  };
}
