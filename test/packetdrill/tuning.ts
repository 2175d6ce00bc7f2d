// Socket options and system settings as the stack's connections take them.
import { MILLISECOND } from '../../src/env/clock.ts';
import type { TcpSettings } from '../../src/tcp/options.ts';
import type { Configuration } from './configuration.ts';

type Translate = (value: number) => TcpSettings;

const SETTINGS: Readonly<Record<string, Translate>> = {
  TCP_NODELAY: (value) => ({ noDelay: value !== 0 }),
  TCP_CORK: (value) => ({ cork: value !== 0 }),
  TCP_QUICKACK: (value) => ({ quickAck: value !== 0 }),
  TCP_USER_TIMEOUT: (value) => ({ userTimeout: value }),
  TCP_KEEPIDLE: (value) => ({ keepAliveIdle: value * 1_000 }),
  TCP_KEEPINTVL: (value) => ({ keepAliveInterval: value * 1_000 }),
  TCP_KEEPCNT: (value) => ({ keepAliveProbes: value }),
  TCP_WINDOW_CLAMP: (value) => ({ windowClamp: value }),
  TCP_CONGESTION: (value) => ({ congestionControl: value === 2 ? 'newreno' : 'cubic' }),
  TCP_MAXSEG: (value) => ({ maximumSegment: value }),
  SO_KEEPALIVE: (value) => ({ keepAlive: value !== 0 }),
  // Both are kept doubled, as Linux tells them; the stack counts payload.
  SO_RCVBUF: (value) => ({ receiveBuffer: value / 2 }),
  SO_SNDBUF: (value) => ({ sendBuffer: value / 2 }),
  SO_LINGER: (value) => ({ linger: value }),
};

/** What an option sets; undefined for one that the stack does not have. */
export const settingsOf = (name: string, value: number): TcpSettings | undefined =>
  SETTINGS[name]?.(value);

/** What every connection begins with: the system's settings, then the options of its socket. */
export function firstSettings(
  options: ReadonlyMap<string, number>,
  configuration: Configuration,
): TcpSettings {
  let settings: TcpSettings = {
    keepAliveIdle: configuration.keepIdle / MILLISECOND,
    keepAliveInterval: configuration.keepInterval / MILLISECOND,
    keepAliveProbes: configuration.keepCount,
    congestionControl: configuration.congestionControl,
    ecn: (['off', 'on', 'passive'] as const)[configuration.ecn] ?? 'passive',
  };
  for (const [name, value] of options) settings = { ...settings, ...settingsOf(name, value) };
  return settings;
}
