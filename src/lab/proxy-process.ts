/** A proxy of a lab: the member of a cluster, in a namespace of its own, its TAP on a switch. */
import { dirname, join, resolve } from 'node:path';
import { ConfigError } from '../config/config-error.ts';
import { loadProxyConfig, memberConfig } from '../proxy/config.ts';
import { environment } from './environment.ts';
import { BRIDGE, CODE, NODE, type ProcessPlan, type TapPlan } from './plan.ts';
import type { ProxyTopology } from './topology.ts';

/** @throws ConfigError if its configuration cannot be used or has no such member. */
export function proxyProcess(
  name: string,
  proxy: ProxyTopology,
  folder: string,
): { readonly process: ProcessPlan; readonly tap: TapPlan } {
  const file = resolve(folder, proxy.config);
  const member = memberOf(name, file);
  return {
    tap: {
      proxy: name,
      device: member.link.tap,
      switch: proxy.switch,
      addresses: [member.mesh, ...member.nextHops, ...member.sources],
    },
    process: {
      name,
      namespace: name,
      argv: [
        ...NODE,
        join(dirname(import.meta.dirname), 'cli', `main${CODE}`),
        ...['proxy', '--config', file, '--member', name],
        ...['--tap-namespace', `/run/netns/${proxy.switch}`, '--bridge', BRIDGE],
      ],
      env: environment(proxy.env),
      folder,
      files: {},
      folders: [],
      ...(member.admin === undefined ? {} : { ready: { http: `http://${member.admin}/health` } }),
      readyTimeoutMs: proxy.readyTimeoutMs,
    },
  };
}

function memberOf(name: string, file: string): ReturnType<typeof memberConfig> {
  try {
    return memberConfig(loadProxyConfig(file), name);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`proxies.${name}.config: ${error.message}`, { cause: error });
  }
}
