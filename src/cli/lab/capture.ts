import { Command } from 'commander';
import type { LabStatus } from '../../lab/control-server.ts';
import { findProgram } from '../../lab/find-program.ts';
import { LabError } from '../../lab/lab-error.ts';
import { UsageError } from '../usage-error.ts';
import { openLab, runInTerminal } from './enter.ts';
import { LAB_OPTION } from './lab-option.ts';

interface Options {
  readonly interface?: string;
  readonly write?: string;
  readonly seconds?: string;
  readonly lab?: string;
}

/** `suture lab capture` */
export function captureCommand(): Command {
  return new Command('capture')
    .summary('capture the frames of a host')
    .description(
      'Capture the frames of a host or proxy with tcpdump (tshark without root), until Ctrl-C or --seconds.',
    )
    .argument('<host>', 'name of a host or proxy')
    .argument('[filter...]', 'a filter of pcap-filter(7), after --')
    .option('--interface <name>', 'which interface (default: the first; a proxy has its TAP)')
    .option('--write <file>', 'write pcap to a file, or to the output with -')
    .option('--seconds <n>', 'stop after so many seconds')
    .option(...LAB_OPTION)
    .addHelpText(
      'after',
      '\nExamples:\n  suture lab capture client\n  suture lab capture a --write a.pcap --seconds 5 -- tcp port 80',
    )
    .action(async (host: string, filter: string[], options: Options) => {
      const { pid, status } = await openLab(options.lab);
      const { node, device } = placeOf(status, host, options.interface);
      const seconds = options.seconds === undefined ? undefined : Number(options.seconds);
      if (seconds !== undefined && !(seconds > 0 && seconds <= 86_400)) {
        throw new UsageError(
          `--seconds ${options.seconds} is not a time (more than 0, at most 86400)`,
        );
      }
      const argv = captureArgv(device, options.write, filter);
      if (findProgram(argv[0]) === undefined) {
        const mend = `sudo apt-get install -y --no-install-recommends ${argv[0]}`;
        throw new UsageError(`${argv[0]} is not installed; install it with: ${mend}`);
      }
      // timeout(1) sends the Ctrl-C that the capture would otherwise wait for.
      const limit = seconds === undefined ? [] : ['timeout', '--signal=INT', String(seconds)];
      const code = await runInTerminal(pid, node, [...limit, ...argv]);
      // It says 124 when the time was up, which is what was asked for.
      process.exitCode = code === 124 ? 0 : code;
    });
}

/**
 * The program that captures. tcpdump insists on changing its groups, which an ordinary user's
 * namespace forbids; tshark does not.
 */
function captureArgv(
  device: string,
  file: string | undefined,
  filter: readonly string[],
): readonly string[] {
  if (process.getuid?.() === 0) {
    const output = file === undefined ? ['-l'] : ['-U', '-w', file];
    return ['tcpdump', '-Z', 'root', '-n', '-i', device, ...output, ...filter];
  }
  const output = file === undefined ? ['-l'] : ['-F', 'pcap', '-w', file];
  const only = filter.length === 0 ? [] : ['-f', filter.join(' ')];
  return ['tshark', '-n', '-i', device, ...output, ...only];
}

/** The network namespace and the interface in which a host's frames are seen. */
function placeOf(
  status: LabStatus,
  host: string,
  device: string | undefined,
): { readonly node: string; readonly device: string } {
  const tap = status.taps.find(({ proxy }) => proxy === host);
  if (tap !== undefined) return { node: tap.switch, device: device ?? tap.device };
  const cable = status.cables.find((c) => c.host === host);
  if (cable !== undefined) return { node: host, device: device ?? cable.device };
  const known = [...new Set(status.cables.map((c) => c.host)), ...status.taps.map((t) => t.proxy)];
  throw new LabError(`there is no host ${host} with an interface; there is: ${known.join(', ')}`);
}
