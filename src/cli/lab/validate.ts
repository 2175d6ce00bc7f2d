import { Command } from 'commander';
import { ConfigError } from '../../config/config-error.ts';

/** `suture lab validate` */
export function validateCommand(): Command {
  return new Command('validate')
    .summary('check a topology file without building it')
    .description('Check a topology file, and the proxies it names, without building anything.')
    .argument('<file>', 'topology file (YAML)')
    .option('--json', 'one object: {ok, problems: [...]}')
    .addHelpText('after', '\nExamples:\n  suture lab validate labs/duo.yaml')
    .action(async (file: string, { json = false }: { readonly json?: boolean }) => {
      const problems = await problemsOf(file);
      if (json)
        process.stdout.write(`${JSON.stringify({ ok: problems.length === 0, problems })}\n`);
      else if (problems.length === 0) process.stdout.write(`${file}: in order\n`);
      else process.stderr.write(problems.map((line) => `suture lab validate: ${line}\n`).join(''));
      if (problems.length > 0) process.exitCode = 2;
    });
}

async function problemsOf(file: string): Promise<readonly string[]> {
  const { planOf } = await import('../../lab/planner.ts');
  const { loadTopology } = await import('../../lab/topology.ts');
  try {
    planOf(loadTopology(file));
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
