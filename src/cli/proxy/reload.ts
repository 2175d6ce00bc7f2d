import { Command } from 'commander';
import { askMember, CONFIG_OPTION, MEMBER_OPTION, type MemberOptions } from './ask.ts';

const TIMEOUT_MS = 10_000;

const DESCRIPTION =
  'Have a member read its configuration file again: pools, routes, limits of heads, log level, secrets, and members ' +
  'added at the end. Live connections stay as they are. A file that cannot be used, or that changes what only a ' +
  'restart can change, is refused, and the member goes on as before. SIGHUP to the process does the same.';

/** `suture proxy reload` */
export function reloadCommand(): Command {
  return new Command('reload')
    .summary('have a member read its configuration again')
    .description(DESCRIPTION)
    .option(...CONFIG_OPTION)
    .option(...MEMBER_OPTION)
    .addHelpText(
      'after',
      `
Examples:
  suture proxy reload --config proxy.yaml --member a`,
    )
    .action(async (member: MemberOptions) => {
      const { changed } = (await askMember(member, '/reload', TIMEOUT_MS)) as {
        readonly changed: readonly string[];
      };
      const what = changed.length === 0 ? 'nothing has changed' : `changed ${changed.join(', ')}`;
      process.stdout.write(`member ${member.member}: ${what}\n`);
    });
}
