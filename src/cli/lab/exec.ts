import { Command } from 'commander';
import { LabError } from '../../lab/lab-error.ts';
import { UsageError } from '../usage-error.ts';
import { openLab, runInTerminal } from './enter.ts';
import { LAB_OPTION } from './lab-option.ts';

/** `suture lab exec` */
export function execCommand(): Command {
  return new Command('exec')
    .summary('run a command in a host')
    .description('Run a command in a host, proxy or switch; ends with its exit code.')
    .argument('<host>', 'name of a host, proxy or switch')
    .argument('<command...>', 'the command and its arguments, after --')
    .option(...LAB_OPTION)
    .passThroughOptions()
    .addHelpText(
      'after',
      '\nExamples:\n  suture lab exec client -- curl http://10.0.0.100/\n  suture lab exec router -- bash',
    )
    .action(async (host: string, words: string[], { lab }: { readonly lab?: string }) => {
      // All after the host is passed on as it is, the `--` that sets it off included.
      const argv = words[0] === '--' ? words.slice(1) : words;
      if (argv.length === 0) throw new UsageError('no command; give it after --');
      const { pid, status } = await openLab(lab);
      const nodes = [...status.hosts, ...status.taps.map(({ proxy }) => proxy), ...status.switches];
      if (!nodes.includes(host)) {
        throw new LabError(
          `there is no host ${host} in lab ${status.name}; there is: ${nodes.join(', ')}`,
        );
      }
      process.exitCode = await runInTerminal(pid, host, argv);
    });
}
