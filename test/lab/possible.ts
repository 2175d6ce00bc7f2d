import { unshareOptions } from '../../src/lab/isolation.ts';
import { run } from '../../src/lab/run.ts';

/** An ordinary user's number. */
export const NOBODY = '65534';

/** The command that makes what follows run as an ordinary user. */
export const AS_NOBODY: readonly string[] = [
  ...['setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups'],
];

/** Why tests with labs cannot run here; printed, since they are skipped. */
export async function whyNoLabs(): Promise<string | undefined> {
  return refusal(['unshare', ...unshareOptions(), 'ip', 'link'], 'labs');
}

/** Why tests of labs of an ordinary user cannot run here. */
export async function whyNoUserLabs(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return reason('labs of an ordinary user', 'this is one already');
  const probe = ['unshare', '--user', '--map-root-user', '--net', process.execPath, '--version'];
  return refusal([...AS_NOBODY, ...probe], 'labs of an ordinary user');
}

async function refusal(argv: readonly string[], what: string): Promise<string | undefined> {
  const { code, stderr } = await run(argv).catch((error: Error) => ({
    code: 1,
    stderr: error.message,
  }));
  return code === 0 ? undefined : reason(what, stderr.trim());
}

function reason(what: string, why: string): string {
  console.warn(`skipped: tests of ${what}: ${why}`);
  return why;
}
