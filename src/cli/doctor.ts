import { Command } from 'commander';
import { checkMachine, type Finding } from '../lab/machine-check.ts';

/** `suture doctor` */
export function command(): Command {
  return new Command('doctor')
    .summary('check that this machine has what suture needs')
    .description(
      'Check Node, /dev/net/tun, namespaces and tools, and print for each failure the command that\n' +
        'mends it. Ends with 1 when something is missing without which nothing works.',
    )
    .option('--json', 'one object: {ok, checks: [...]}')
    .addHelpText('after', '\nExamples:\n  suture doctor\n  suture doctor --json')
    .action(async ({ json = false }: { readonly json?: boolean }) => {
      const checks = await checkMachine();
      const ok = checks.every((finding) => finding.ok || !finding.needed);
      if (json) process.stdout.write(`${JSON.stringify({ ok, checks })}\n`);
      else process.stdout.write(`${checks.map(describe).join('\n')}\n${verdict(ok)}\n`);
      if (!ok) process.exitCode = 1;
    });
}

function describe({ name, ok, needed, detail, mend }: Finding): string {
  const mark = ok ? 'ok      ' : needed ? 'MISSING ' : 'optional';
  return `${mark}  ${name}: ${detail}${mend === undefined ? '' : `\n          mend: ${mend}`}`;
}

function verdict(ok: boolean): string {
  return ok ? 'This machine is ready.' : 'This machine is not ready: mend what is MISSING.';
}
