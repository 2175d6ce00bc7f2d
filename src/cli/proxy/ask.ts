// Asking a member that runs on this machine to do something, over its admin port.
import { request } from 'node:http';
import { ConfigError } from '../../config/config-error.ts';
import { splitEndpoint } from '../../config/fields.ts';
import { loadProxyConfig, memberConfig } from '../../proxy/config.ts';
import { UsageError } from '../usage-error.ts';

/** What names a member. */
export interface MemberOptions {
  readonly config?: string;
  readonly member?: string;
}

export const CONFIG_OPTION = [
  '--config <file>',
  'configuration file (YAML), the same for all members',
] as const;
export const MEMBER_OPTION = ['--member <name>', 'which of its members this is'] as const;

/**
 * Both options, which commander cannot demand of `suture proxy` without demanding them before its verbs, too.
 * @throws UsageError if one is missing
 */
export function demand({ config, member }: MemberOptions): { config: string; member: string } {
  if (config === undefined) throw new UsageError("required option '--config <file>' not specified");
  if (member === undefined) throw new UsageError("required option '--member <name>' not specified");
  return { config, member };
}

/**
 * Posts to a member's admin port and resolves with what it answers.
 * @throws ConfigError if the member has no admin port, UsageError if it does not answer or refuses
 */
export async function askMember(
  options: MemberOptions,
  path: string,
  timeoutMs: number,
): Promise<Readonly<Record<string, unknown>>> {
  const { config: file, member: name } = demand(options);
  const config = loadProxyConfig(file);
  const { admin } = memberConfig(config, name);
  if (admin === undefined) {
    throw new ConfigError(
      `${file}: members.${name}.admin is not set, so the member cannot be asked; send it a signal instead`,
    );
  }
  const { address, port } = splitEndpoint(admin);
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
  const fail = (why: string): void => reject(new UsageError(`member ${name} at ${admin} ${why}`));
  const asked = request(
    {
      host: address,
      port,
      path,
      method: 'POST',
      agent: false,
      timeout: timeoutMs,
      headers: {
        'Content-Type': 'application/json',
        'Content-Length': 0,
        ...(config.adminToken === undefined
          ? {}
          : { Authorization: `Bearer ${config.adminToken}` }),
      },
    },
    (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', (error) => fail(`broke off its answer (${error.message})`));
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text) as Record<string, unknown>);
        else fail(`refuses: ${text.trim()}`);
      });
    },
  );
  asked.on('timeout', () => asked.destroy(new Error('timeout')));
  asked.on('error', (error) =>
    fail(
      `does not answer (${(error as NodeJS.ErrnoException).code ?? error.message}); does it run?`,
    ),
  );
  asked.end();
  return promise;
}
