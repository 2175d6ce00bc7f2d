/** Failures inflicted on the lab, and their cures. Runs within the lab. */
import { type FaultVerb, monotonic } from './event.ts';
import { LabError } from './lab-error.ts';
import { BRIDGE, type Plan } from './plan.ts';
import { run } from './run.ts';
import type { SupervisedProcess } from './supervised.ts';

const SIGNALS = {
  kill: (process: SupervisedProcess) => process.signal('SIGKILL'),
  pause: (process: SupervisedProcess) => process.pause(),
  resume: (process: SupervisedProcess) => process.resume(),
};
/** How long a process that is restarted may take to end by itself, and one that is drained. */
const GRACE_MS = 1000;
const DRAIN_MS = 30_000;

/**
 * Does `verb` to `target`: a proxy, a host (all its processes), `HOST/PROCESS`, or for the link verbs
 * a host, `HOST:INTERFACE` or a proxy. Resolves with the moment it was done (`monotonic`).
 * @throws LabError when there is no such target.
 */
export async function inflict(
  verb: FaultVerb,
  target: string,
  plan: Plan,
  processes: readonly SupervisedProcess[],
): Promise<number> {
  if (verb === 'link-down' || verb === 'link-up') return setLink(verb === 'link-up', target, plan);
  const chosen = processes.filter(
    ({ plan: { name, namespace } }) => name === target || namespace === target,
  );
  if (chosen.length === 0) {
    const known = processes.map(({ plan: { name } }) => name).join(', ');
    throw new LabError(`there is no process ${target}; there is: ${known || 'none'}`);
  }
  if (verb === 'restart') return restart(chosen);
  if (verb === 'drain') return drain(chosen);
  const times = chosen.map((process) => SIGNALS[verb](process));
  return times[0];
}

async function restart(processes: readonly SupervisedProcess[]): Promise<number> {
  const at = monotonic();
  for (const process of processes) {
    await process.stop(GRACE_MS);
    await process.start();
  }
  return at;
}

async function drain(processes: readonly SupervisedProcess[]): Promise<number> {
  const at = monotonic();
  await Promise.all(processes.map((process) => process.stop(DRAIN_MS)));
  return at;
}

async function setLink(up: boolean, target: string, plan: Plan): Promise<number> {
  const [host, device] = target.split(':');
  const cables = plan.cables.filter(
    (cable) => cable.host === host && (device === undefined || cable.device === device),
  );
  const taps = plan.taps.filter(({ proxy }) => proxy === target);
  if (cables.length + taps.length === 0) {
    const known = [
      ...plan.cables.map((c) => `${c.host}:${c.device}`),
      ...plan.taps.map((t) => t.proxy),
    ];
    throw new LabError(`there is no link ${target}; there is: ${known.join(', ') || 'none'}`);
  }
  const commands = [
    // A port that is down takes the carrier from the host's end.
    ...cables.map((c) => [c.switch, 'link', 'set', 'dev', c.port, up ? 'up' : 'down']),
    // A TAP has no far end: it leaves the bridge, like a pulled cable, and writes to it go nowhere.
    ...taps.map((t) => [
      t.switch,
      'link',
      'set',
      'dev',
      t.device,
      ...(up ? ['master', BRIDGE] : ['nomaster']),
    ]),
  ];
  const at = monotonic();
  const outcomes = await Promise.all(commands.map((command) => run(['ip', '-n', ...command])));
  const failed = outcomes.find(({ code }) => code !== 0);
  if (failed !== undefined) throw new LabError(`link of ${target}: ${failed.stderr.trim()}`);
  return at;
}
