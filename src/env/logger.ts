// What Suture says about itself. Any pino logger fits.

/** One line of a log: facts first, then what happened, in words. */
export type LogLine = (facts: Readonly<Record<string, unknown>>, message: string) => void;

export interface Logger {
  debug: LogLine;
  info: LogLine;
  warn: LogLine;
  error: LogLine;
}

const nothing: LogLine = () => {};

/** For tests, and for library users who do not care. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
};
