import { Command } from 'commander';
import { ask } from '../../lab/control-client.ts';
import type { LabStatus } from '../../lab/control-server.ts';
import { findLab, type KnownLab, knownLabs, socketPath } from '../../lab/state.ts';
import { LAB_OPTION } from './lab-option.ts';

/** A lab's own status, or only that it is being built. */
type Status = (LabStatus | { readonly name: string; readonly state: 'building' }) & {
  readonly pid: number;
  readonly file?: string;
};

/** `suture lab status` */
export function statusCommand(): Command {
  return new Command('status')
    .summary('show hosts, addresses and processes')
    .description('Show the labs that are up: their hosts, addresses and processes.')
    .option(...LAB_OPTION)
    .option('--json', 'one object: {labs: [...]}')
    .addHelpText(
      'after',
      '\nExamples:\n  suture lab status\n  suture lab status --json | jq .labs[0].processes',
    )
    .action(async ({ lab, json = false }: { readonly lab?: string; readonly json?: boolean }) => {
      const known = lab === undefined ? knownLabs() : [findLab(lab)];
      const labs = await Promise.all(known.map(statusOf));
      if (json) process.stdout.write(`${JSON.stringify({ labs })}\n`);
      else process.stdout.write(labs.length === 0 ? 'no lab is up\n' : labs.map(text).join('\n'));
    });
}

async function statusOf({ folder, state }: KnownLab): Promise<Status> {
  const rest = {
    pid: (state.lab ?? state.owner).pid,
    ...(state.file === undefined ? {} : { file: state.file }),
  };
  if (state.lab === undefined) return { name: state.name, state: 'building', ...rest };
  return { ...((await ask(socketPath(folder), 'GET', '/status')) as LabStatus), ...rest };
}

function text(status: Status): string {
  const title = `lab ${status.name}: ${status.state}, process ${status.pid}`;
  const from = status.file === undefined ? '' : `, from ${status.file}`;
  if (!('hosts' in status)) return `${title}${from}\n`;
  const nodes = [
    ...status.cables.map((c) => [c.host, `${c.device} on ${c.switch}`, c.addresses.join(' ')]),
    ...status.taps.map((t) => [t.proxy, `${t.device} on ${t.switch}`, t.addresses.join(' ')]),
  ];
  const processes = status.processes.map(({ name, state, pid, code, signal }) => {
    const end = signal ?? (code === undefined ? '' : `exit code ${code}`);
    return [name, state, state === 'ended' ? end : `pid ${pid}`];
  });
  const tables = [nodes, processes].filter((rows) => rows.length > 0).map(table);
  return `${[`${title}${from}`, ...tables].join('\n')}\n`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map(([a, b, c]) => `  ${a.padEnd(widths[0])}  ${b.padEnd(widths[1])}  ${c}`.trimEnd())
    .join('\n');
}
