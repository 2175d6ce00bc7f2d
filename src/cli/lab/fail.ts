import { Argument, Command } from 'commander';
import { ask } from '../../lab/control-client.ts';
import { FAULT_VERBS, type FaultVerb } from '../../lab/event.ts';
import { findLab, socketPath } from '../../lab/state.ts';
import { LAB_OPTION } from './lab-option.ts';

const DESCRIPTION = `Inflict a failure, or cure it.

  kill       SIGKILL to a proxy, a host's processes or one of them
  pause      SIGSTOP; resume ends it
  restart    end it, start it again, wait until it is ready
  drain      SIGTERM, and wait until it has ended by itself
  link-down  take the carrier from a host's interfaces, or unplug a proxy; link-up ends it`;

/** `suture lab fail` */
export function failCommand(): Command {
  return new Command('fail')
    .summary('inflict a failure: kill, pause, link-down, ...')
    .description(DESCRIPTION)
    .addArgument(new Argument('<verb>', 'what to do').choices(FAULT_VERBS))
    .argument('<target>', 'PROXY, HOST, HOST/PROCESS, or HOST:INTERFACE for links')
    .option(...LAB_OPTION)
    .option('--json', 'one object with the moment in ms of CLOCK_MONOTONIC')
    .addHelpText(
      'after',
      '\nExamples:\n  suture lab fail kill a\n  suture lab fail link-down web1:eth0\n  suture lab fail restart a',
    )
    .action(
      async (
        verb: FaultVerb,
        target: string,
        { lab, json = false }: { readonly lab?: string; readonly json?: boolean },
      ) => {
        const { folder } = findLab(lab);
        const { at } = (await ask(socketPath(folder), 'POST', '/fail', { verb, target })) as {
          readonly at: number;
        };
        process.stdout.write(
          json ? `${JSON.stringify({ verb, target, at })}\n` : `${verb} ${target}: done\n`,
        );
      },
    );
}
