// What a kernel counts of its TCP.
import type { Stage } from '../harness/stage.ts';

/** By protocol and name, such as `TcpExt.TCPTimeouts`. */
export type Counters = Readonly<Record<string, number>>;

/** Counters of a host so far: /proc/net/snmp and /proc/net/netstat. */
export async function countersOf(stage: Stage, host: string): Promise<Counters> {
  const text = await stage.exec(host, ['cat', '/proc/net/snmp', '/proc/net/netstat']);
  return parseCounters(text);
}

/** Reads pairs of lines, one with names and one with values, both of which begin with the protocol. */
export function parseCounters(text: string): Counters {
  const lines = text.trim().split('\n');
  const found: Record<string, number> = {};
  for (let line = 0; line + 1 < lines.length; line += 2) {
    const [protocol, ...names] = lines[line].split(/:? /);
    const [, ...values] = lines[line + 1].split(/:? /);
    names.forEach((name, column) => {
      found[`${protocol}.${name}`] = Number(values[column]);
    });
  }
  return found;
}
