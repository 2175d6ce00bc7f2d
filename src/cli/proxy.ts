// `suture proxy`: one member of a cluster, until it is told to leave.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { pino } from 'pino';
import { ConfigError } from '../config/config-error.ts';
import { splitEndpoint } from '../config/fields.ts';
import { MILLISECOND } from '../env/clock.ts';
import { keepConnectionsYoung } from '../host/engine.ts';
import { TapLink } from '../link/tap.ts';
import { AdminServer, healthOf } from '../proxy/admin.ts';
import { loadProxyConfig, memberConfig, type ProxyConfig } from '../proxy/config.ts';
import { millis } from '../proxy/dialer.ts';
import { createMetrics } from '../proxy/metrics.ts';
import { ProxyMember } from '../proxy/proxy.ts';
import { differences, loadAgain } from '../proxy/reload.ts';
import { sourcesOf } from '../proxy/sources.ts';
import { SystemError } from '../sys/libc.ts';
import { CONFIG_OPTION, demand, MEMBER_OPTION, type MemberOptions } from './proxy/ask.ts';
import { drainCommand } from './proxy/drain.ts';
import { reloadCommand } from './proxy/reload.ts';
import { UsageError } from './usage-error.ts';

const DESCRIPTION = `Run one member of a cluster of splicing proxies.

SIGTERM or Ctrl-C: it leaves in order, which takes \`drainTimeoutMs\` at most; a second one ends it at once.
SIGHUP: it reads its configuration again.`;

/** Between the end of a drain and that of the process. */
const FAREWELL_MS = 20;

interface Options extends MemberOptions {
  readonly tapNamespace?: string | undefined;
  readonly bridge?: string | undefined;
}

export function command(): Command {
  return new Command('proxy')
    .summary('run one member of a cluster')
    .description(DESCRIPTION)
    .usage('--config FILE --member NAME [options]')
    .helpCommand(false)
    .enablePositionalOptions()
    .option(...CONFIG_OPTION)
    .option(...MEMBER_OPTION)
    .option('--tap-namespace <path>', 'network namespace of the TAP, instead of the configured one')
    .option('--bridge <name>', 'bridge of the TAP, instead of the configured one')
    .addCommand(drainCommand())
    .addCommand(reloadCommand())
    .addHelpText(
      'after',
      `
Examples:
  suture proxy --config examples/proxy.yaml --member a
  suture proxy drain --config examples/proxy.yaml --member a
  suture proxy --config proxy.yaml --member b --tap-namespace /run/netns/lan --bridge br0`,
    )
    .action(runProxy);
}

async function runProxy({ tapNamespace, bridge, ...options }: Options): Promise<void> {
  const { config: file, member: name } = demand(options);
  keepConnectionsYoung();
  const config = loadProxyConfig(file);
  const member = memberConfig(config, name);
  const logger = pino({ level: config.log.level, base: { member: name } });
  const link = openTap(config, name, { tapNamespace, bridge });
  const proxy = new ProxyMember({ config, member: name, link, logger });
  const sources = sourcesOf(proxy);
  const leave = leaving(proxy);
  const reload = (): readonly string[] => {
    const next = loadAgain(file, proxy.config, name);
    const changed = differences(proxy.config, next);
    proxy.reload(next);
    logger.level = next.log.level;
    logger.info({ event: 'reloaded', changed }, 'configuration read again');
    return changed;
  };
  const admin =
    member.admin === undefined
      ? undefined
      : await AdminServer.start({
          ...splitEndpoint(member.admin),
          token: config.adminToken,
          metrics: createMetrics(sources),
          health: () => healthOf(sources),
          actions: {
            '/drain': (query) => leave(timeoutOf(query) ?? proxy.config.drainTimeoutMs),
            '/reload': async () => ({ changed: reload() }),
          },
        });
  if (config.user !== undefined) become(config.user);
  let asked = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      logger.info({ signal }, asked ? 'stopping at once' : 'leaving');
      if (asked) proxy.stop();
      else void leave(proxy.config.drainTimeoutMs);
      asked = true;
    });
  }
  process.on('SIGHUP', () => {
    try {
      reload();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      logger.error(
        { event: 'refused', problems: error.problems },
        `kept as it was: ${error.message}`,
      );
    }
  });
  proxy.start();
  logger.info({ cluster: config.cluster.name, tap: link.name, pid: process.pid }, 'started');
  await proxy.host.run();
  await admin?.close();
  // It has left: nothing that is still open may keep the process.
  process.exit();
}

/** Leaves in order, and stops; all who ask are told what came of it. */
function leaving(proxy: ProxyMember): (timeoutMs: number) => Promise<object> {
  const { promise, resolve } = Promise.withResolvers<object>();
  return (timeoutMs) => {
    proxy.drain(millis(timeoutMs), ({ took, ...outcome }) => {
      resolve({ ...outcome, tookMs: Math.round(took / MILLISECOND) });
      // Who asked over HTTP is answered first.
      setTimeout(() => proxy.stop(), FAREWELL_MS);
    });
    return promise;
  };
}

function timeoutOf(query: URLSearchParams): number | undefined {
  const text = query.get('timeoutMs');
  if (text === null) return undefined;
  const value = Number(text);
  if (!/^\d{1,8}$/.test(text) || value > 86_400_000) {
    throw new UsageError(`timeoutMs: ${text} is not a number of milliseconds (0 to 86400000)`);
  }
  return value;
}

function openTap(config: ProxyConfig, name: string, place: Options): TapLink {
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
