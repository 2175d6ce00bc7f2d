import { Command } from 'commander';
import { integer } from '../integer.ts';
import { askMember, CONFIG_OPTION, MEMBER_OPTION, type MemberOptions } from './ask.ts';

/** What it takes beyond the drain itself. */
const PATIENCE_MS = 5_000;
const LONGEST_MS = 86_400_000;

const DESCRIPTION =
  'Have a member leave the cluster: its addresses go to another member, what it has begun is finished, then its ' +
  'process ends. Clients notice nothing. SIGTERM to the process does the same.';

/** `suture proxy drain` */
export function drainCommand(): Command {
  return new Command('drain')
    .summary('have a member leave, and wait until it is gone')
    .description(DESCRIPTION)
    .option(...CONFIG_OPTION)
    .option(...MEMBER_OPTION)
    .option(
      '--timeout <ms>',
      'how long it may finish what it has begun, instead of the configured time',
      integer(0, LONGEST_MS),
    )
    .option('--json', 'one object with what happened')
    .addHelpText(
      'after',
      `
Examples:
  suture proxy drain --config proxy.yaml --member a
  suture proxy drain --config proxy.yaml --member a --timeout 60000 && apt upgrade`,
    )
    .action(
      async ({
        timeout,
        json = false,
        ...member
      }: MemberOptions & { readonly timeout?: number; readonly json?: boolean }) => {
        const query = timeout === undefined ? '' : `?timeoutMs=${timeout}`;
        const outcome = await askMember(
          member,
          `/drain${query}`,
          (timeout ?? LONGEST_MS) + PATIENCE_MS,
        );
        process.stdout.write(
          json ? `${JSON.stringify(outcome)}\n` : `member ${member.member}: ${story(outcome)}\n`,
        );
        if (outcome.result === 'late') process.exitCode = 1;
      },
    );
}

function story(outcome: Readonly<Record<string, unknown>>): string {
  const { result, handedOver, yielded, cut, lost, tookMs } = outcome;
  const parts = [
    result === 'fenced'
      ? 'the others had gone on without it'
      : result === 'late'
        ? 'left before all was finished'
        : 'left',
    handedOver === true ? 'its addresses are with another member' : 'nobody took its addresses',
  ];
  if (Number(yielded) > 0)
    parts.push(`${yielded} clients that had asked nothing yet left to the others`);
  if (Number(cut) > 0) parts.push(`${cut} relayed connections cut`);
  if (Number(lost) > 0) parts.push(`${lost} spliced connections lost`);
  return `${parts.join(', ')} (${tookMs} ms)`;
}
