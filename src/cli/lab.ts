import { Command } from 'commander';
import { captureCommand } from './lab/capture.ts';
import { downCommand } from './lab/down.ts';
import { execCommand } from './lab/exec.ts';
import { failCommand } from './lab/fail.ts';
import { statusCommand } from './lab/status.ts';
import { upCommand } from './lab/up.ts';
import { validateCommand } from './lab/validate.ts';

const EXAMPLES = `
Examples:
  suture lab up labs/duo.yaml                      stay here; Ctrl-C ends the lab
  suture lab up labs/duo.yaml --detach             return when it is ready
  suture lab exec client -- curl http://10.0.0.100/
  suture lab fail kill a
  suture lab capture client --write client.pcap --seconds 5
  suture lab down`;

/** `suture lab`: testbeds of network namespaces. */
export function command(): Command {
  return new Command('lab')
    .summary('build a testbed of network namespaces from a topology file')
    .description(
      'Build a testbed of network namespaces from a topology file, use it and make it fail.\n' +
        'Nothing of it outlives the process that holds it.',
    )
    .helpCommand(false)
    .enablePositionalOptions()
    .addCommand(upCommand())
    .addCommand(downCommand())
    .addCommand(statusCommand())
    .addCommand(execCommand())
    .addCommand(failCommand())
    .addCommand(captureCommand())
    .addCommand(validateCommand())
    .addHelpText('after', EXAMPLES);
}
