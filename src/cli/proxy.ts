// `suture proxy`: one member of a cluster, until SIGTERM or Ctrl-C.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { pino } from 'pino';
import { ConfigError } from '../config/config-error.ts';
import { splitEndpoint } from '../config/fields.ts';
import { keepConnectionsYoung } from '../host/engine.ts';
import { TapLink } from '../link/tap.ts';
import { AdminServer, healthOf } from '../proxy/admin.ts';
import { loadProxyConfig, memberConfig, type ProxyConfig } from '../proxy/config.ts';
import { createMetrics } from '../proxy/metrics.ts';
import { ProxyMember } from '../proxy/proxy.ts';
import { sourcesOf } from '../proxy/sources.ts';
import { SystemError } from '../sys/libc.ts';

interface Options {
  readonly config: string;
  readonly member: string;
  readonly tapNamespace?: string;
  readonly bridge?: string;
}

export function command(): Command {
  return new Command('proxy')
    .summary('run one member of a cluster')
    .description('Run one member of a cluster of splicing proxies, until SIGTERM or Ctrl-C.')
    .requiredOption('--config <file>', 'configuration file (YAML), the same for all members')
    .requiredOption('--member <name>', 'which of its members this is')
    .option('--tap-namespace <path>', 'network namespace of the TAP, instead of the configured one')
    .option('--bridge <name>', 'bridge of the TAP, instead of the configured one')
    .addHelpText(
      'after',
      `
Examples:
  suture proxy --config examples/proxy.yaml --member a
  suture proxy --config proxy.yaml --member b --tap-namespace /run/netns/lan --bridge br0`,
    )
    .action(runProxy);
}

async function runProxy({ config: file, member: name, ...place }: Options): Promise<void> {
  keepConnectionsYoung();
  const config = loadProxyConfig(file);
  const member = memberConfig(config, name);
  const logger = pino({ level: config.log.level, base: { member: name } });
  const link = openTap(config, name, place);
  const proxy = new ProxyMember({ config, member: name, link, logger });
  const sources = sourcesOf(proxy);
  const admin =
    member.admin === undefined
      ? undefined
      : await AdminServer.start({
          ...splitEndpoint(member.admin),
          token: config.adminToken,
          metrics: createMetrics(sources),
          health: () => healthOf(sources),
        });
  if (config.user !== undefined) become(config.user);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      logger.info({ signal }, 'stopping');
      proxy.stop();
    });
  }
  proxy.start();
  logger.info({ cluster: config.cluster.name, tap: link.name, pid: process.pid }, 'started');
  await proxy.host.run();
  await admin?.close();
}

function openTap(config: ProxyConfig, name: string, place: Partial<Options>): TapLink {
  const { link } = memberConfig(config, name);
  const namespace = place.tapNamespace ?? link.namespace;
  const bridge = place.bridge ?? link.bridge;
  try {
    return new TapLink({ name: link.tap, namespace, bridge, mtu: config.network.mtu });
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new ConfigError(
      `the TAP ${link.tap} cannot be made: ${error.message}; \`suture doctor\` says what is missing`,
      { cause: error },
    );
  }
}

/** Gives up the privileges that were needed to open the TAP. */
function become(user: string): void {
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([login]) => login === user);
  if (entry === undefined) throw new ConfigError(`user: there is no user ${user} on this machine`);
  if (process.getuid?.() !== 0) {
    throw new ConfigError('user: only root can become another user; start as root or leave it out');
  }
  process.setgroups?.([]);
  process.setgid?.(Number(entry[3]));
  process.setuid?.(Number(entry[2]));
}
