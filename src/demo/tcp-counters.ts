/** The client kernel's own count of what befell its TCP connections. */

/** From /proc/net/snmp (RFC 4022 names them). */
export interface TcpCounters {
  /** Connections opened (tcpActiveOpens). */
  readonly opened: number;
  /** Connections that ended by a reset, received or sent (tcpAttemptFails, tcpEstabResets, tcpOutRsts). */
  readonly resets: number;
}

/**
 * Reads the text of /proc/net/snmp: for each protocol a line of names and one of values.
 * @throws Error when it has no TCP in it
 */
export function parseSnmp(text: string): TcpCounters {
  const [names, values] = text
    .split('\n')
    .filter((line) => line.startsWith('Tcp: '))
    .map((line) => line.split(' '));
  const count = (name: string): number => {
    const value = Number(values?.[names.indexOf(name)]);
    if (Number.isNaN(value)) throw new Error(`/proc/net/snmp has no Tcp ${name}`);
    return value;
  };
  return {
    opened: count('ActiveOpens'),
    resets: count('AttemptFails') + count('EstabResets') + count('OutRsts'),
  };
}
