import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { ask } from '../../lab/control-client.ts';
import { monotonic } from '../../lab/event.ts';
import { findLab, isRunning, release, socketPath } from '../../lab/state.ts';
import { LAB_OPTION } from './lab-option.ts';

/** How long a lab may take to end by itself before it is killed. */
const PATIENCE_MS = 5000;
const POLL_MS = 10;

/** `suture lab down` */
export function downCommand(): Command {
  return new Command('down')
    .summary('end a lab')
    .description('End a lab, whoever holds it; returns when nothing of it is left.')
    .option(...LAB_OPTION)
    .option('--json', 'say it as JSON')
    .addHelpText('after', '\nExamples:\n  suture lab down\n  suture lab down --lab duo')
    .action(
      async ({ lab: name, json = false }: { readonly lab?: string; readonly json?: boolean }) => {
        const { folder, state } = findLab(name);
        await ask(socketPath(folder), 'POST', '/down').catch(() => {});
        const process_ = state.lab ?? state.owner;
        const deadline = monotonic() + PATIENCE_MS;
        while (isRunning(process_)) {
          if (monotonic() > deadline) process.kill(process_.pid, 'SIGKILL');
          await delay(POLL_MS);
        }
        release(folder);
        process.stdout.write(
          json
            ? `${JSON.stringify({ name: state.name, down: true })}\n`
            : `lab ${state.name} is down\n`,
        );
      },
    );
}
