/** Makes a plan's namespaces, cables, addresses and routes. Runs within the lab. */
import { findProgram } from './find-program.ts';
import { LabError } from './lab-error.ts';
import type { NamespacePlan, Plan } from './plan.ts';
import { run } from './run.ts';

/** @throws LabError with the command that failed and what the kernel said. */
export async function buildNetwork(plan: Plan): Promise<void> {
  // Few processes: one for all namespaces and cables, then one for each namespace, side by side.
  await batch(['ip', '-batch', '-'], plan.creation);
  await Promise.all(plan.namespaces.map(configure));
}

async function configure(plan: NamespacePlan): Promise<void> {
  const { namespace, sysctls, commands, rules6 = [], ruleset } = plan;
  const settings = sysctls.map(
    ([path, value]) =>
      `{ echo ${quote(value)} > /proc/sys/${quote(path)}; } 2>/dev/null || { echo 'no such setting, or not this value: ${path}' >&2; exit 1; }`,
  );
  // An interface that comes up before its settings would already speak.
  const script = [...settings, 'exec ip -batch -'].join('\n');
  const inside = ['ip', 'netns', 'exec', namespace];
  await batch([...inside, 'sh', '-c', script], commands, namespace);
  if (rules6.length > 0) await batch([...inside, 'ip', '-6', '-batch', '-'], rules6, namespace);
  if (ruleset === undefined) return;
  if (findProgram('nft') === undefined) {
    throw new LabError(
      `${namespace} spreads packets, which needs nft; install it with: sudo apt-get install nftables`,
    );
  }
  const { code, stderr } = await run([...inside, 'nft', '-f', '-'], { stdin: ruleset });
  if (code !== 0) throw new LabError(`nft in ${namespace}: ${stderr.trim()}`);
}

async function batch(
  argv: readonly string[],
  commands: readonly string[],
  namespace?: string,
): Promise<void> {
  const { code, stderr } = await run(argv, { stdin: `${commands.join('\n')}\n` });
  if (code === 0) return;
  // `ip` names the line that failed: "Command failed -:3".
  const line = /Command failed -:(\d+)/.exec(stderr)?.[1];
  const command = line === undefined ? undefined : commands[Number(line) - 1];
  const said = stderr
    .replace(/Command failed.*/s, '')
    .trim()
    .replaceAll('\n', '; ');
  const where = namespace === undefined ? '' : ` in ${namespace}`;
  throw new LabError(`${command === undefined ? 'set-up' : `ip ${command}`}${where}: ${said}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
