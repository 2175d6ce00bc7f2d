/** Finding system programs where an ordinary user's PATH leaves out sbin, as Debian's does. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The path of a program; sbin is looked into even where PATH leaves it out. */
export function findProgram(program: string): string | undefined {
  return searchPath(process.env.PATH)
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** An environment whose PATH has the system's programs too. */
export function withSystemPrograms(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return { ...env, PATH: searchPath(env.PATH) };
}

function searchPath(path: string | undefined): string {
  return [...(path ?? '').split(delimiter), '/usr/sbin', '/sbin'].join(delimiter);
}
