// Shell commands of a script. Nothing is run: a command that sets up what we know changes the configuration,
// one that only tidies up is left out, and any other is not supported.
import { SECOND } from '../../src/env/clock.ts';
import type { Configuration } from './configuration.ts';
import { setSystem } from './sysctl.ts';

/** What a command asks of the run beside the configuration. */
export interface CommandEffects {
  /** How long the shell would have slept, in microseconds. */
  sleep: number;
  /** Connections in a state must be this many. */
  readonly counts: { readonly state: string; readonly count: number }[];
  dropTimeWait: boolean;
}

/** Programs that look, wait for something real, or empty caches that we do not have. */
const HARMLESS =
  /^(nstat|true|:|echo|cat|modprobe|kldload|kldstat|sync|date|logger|ss|netstat|export|set|exit 0|dmesg)\b/;
/** Segmentation is the wire's view in any case; metrics are not kept; queues do not delay. */
const DEVICE =
  /^(ethtool|tc|ip (tcp_metrics|route (flush|show)|neigh|netns|addr|-6? ?addr|-s)|ifconfig|route)\b/;

/** What the suite's own set-up script does: a production host with a fixed configuration. */
const DEFAULTS: readonly (readonly [string, string])[] = [
  ['net.ipv4.tcp_rmem', '4096 540000 15728640'],
  ['net.ipv4.tcp_wmem', '4096 262144 4194304'],
  ['net.ipv4.tcp_timestamps', '1'],
  ['net.ipv4.tcp_syn_retries', '5'],
  ['net.ipv4.tcp_synack_retries', '5'],
  ['net.ipv4.tcp_sack', '1'],
  ['net.ipv4.tcp_congestion_control', 'cubic'],
  ['net.ipv4.tcp_slow_start_after_idle', '0'],
  ['net.ipv4.tcp_ecn', '0'],
];

/** @returns the name of what is not supported, if anything is not */
export function runCommand(
  configuration: Configuration,
  text: string,
  effects: CommandEffects,
): string | undefined {
  const lines = text.replace(/\\\n/g, ' ').split(/[\n;]|&&/);
  for (const line of lines) {
    const command = line
      .replace(/#.*$/, '')
      .replace(/\s*(\d?>&?\d?\s*\/dev\/null|2>&1|\|\|\s*true)/g, '')
      .trim();
    if (command === '') continue;
    const missing = runOne(configuration, command, effects);
    if (missing !== undefined) return missing;
  }
  return undefined;
}

function runOne(
  configuration: Configuration,
  command: string,
  effects: CommandEffects,
): string | undefined {
  const words = split(command);
  const [program = ''] = words;
  if (/(^|\/)defaults\.sh$/.test(program)) {
    for (const [name, value] of DEFAULTS) setSystem(configuration, name, value);
    return undefined;
  }
  if (program === 'sysctl' || /(^|\/)set_sysctls\.py$/.test(program)) {
    return setAll(configuration, words.slice(1), command);
  }
  const written = /^echo\s+(.+?)\s*>\s*(\/proc\/sys\/\S+)$/.exec(command);
  if (written !== null) {
    return setSystem(configuration, written[2] ?? '', split(written[1] ?? '').join(' '));
  }
  if (program === 'sleep') {
    effects.sleep += Number(words[1] ?? '0') * SECOND;
    return Number.isFinite(effects.sleep) ? undefined : command;
  }
  if (program === 'tcpdrop' && command === 'tcpdrop -s TIME_WAIT') {
    effects.dropTimeWait = true;
    return undefined;
  }
  const counted = /^sockstat .*grep -c (\w+) \| grep (\d+)$/.exec(command);
  if (counted !== null) {
    effects.counts.push({ state: counted[1] ?? '', count: Number(counted[2]) });
    return undefined;
  }
  const mtu = /^(?:ip link set (?:dev )?tun\d+ mtu|ifconfig tun\d+ mtu) (\d+)$/.exec(command);
  if (mtu !== null) {
    configuration.mtu = Number(mtu[1]);
    return undefined;
  }
  const harmless = HARMLESS.test(command) && !/[|>]/.test(command);
  return harmless || DEVICE.test(command) ? undefined : `command ${command}`;
}

/** `name=value` and `name = value` words of `sysctl`. */
function setAll(
  configuration: Configuration,
  words: readonly string[],
  command: string,
): string | undefined {
  for (const word of words) {
    if (word.startsWith('-')) continue;
    const [name = '', value] = word.split(/=(.*)/s);
    // A name alone is read, not set.
    if (value === undefined) return `command ${command}`;
    const missing = setSystem(configuration, name.trim(), value.trim());
    if (missing !== undefined) return missing;
  }
  return undefined;
}

/** Words of a command, quotes removed and the shell's arithmetic done. */
function split(command: string): string[] {
  const plain = command.replace(/\$\(\((\s*\d+(?:\s*[*+]\s*\d+)*\s*)\)\)/g, (_, sum: string) =>
    String(
      sum
        .split('+')
        .reduce(
          (total, product) => total + product.split('*').reduce((all, n) => all * Number(n), 1),
          0,
        ),
    ),
  );
  const words = plain.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? [];
  return words.map((word) => word.replace(/["']/g, ''));
}
