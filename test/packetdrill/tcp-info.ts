// What `TCP_INFO` says, under the names that scripts use: `tcpi_snd_cwnd` is our `sndCwnd`.
import type { Lookup, Value } from './python.ts';
import type { TcpSocket } from './tcp-socket.ts';

/** Numbers of the states and constants, as Linux has them; FreeBSD's names where they differ. */
const CONSTANTS: Readonly<Record<string, number>> = {
  TCP_ESTABLISHED: 1,
  TCP_SYN_SENT: 2,
  TCP_SYN_RECV: 3,
  TCP_FIN_WAIT1: 4,
  TCP_FIN_WAIT2: 5,
  TCP_TIME_WAIT: 6,
  TCP_CLOSE: 7,
  TCP_CLOSE_WAIT: 8,
  TCP_LAST_ACK: 9,
  TCP_LISTEN: 10,
  TCP_CLOSING: 11,
  TCPI_ESTABLISHED: 1,
  TCPI_SYN_SENT: 2,
  TCPI_SYN_RECEIVED: 3,
  TCPI_FIN_WAIT_1: 4,
  TCPI_FIN_WAIT_2: 5,
  TCPI_TIME_WAIT: 6,
  TCPI_CLOSED: 7,
  TCPI_CLOSE_WAIT: 8,
  TCPI_LAST_ACK: 9,
  TCPI_LISTEN: 10,
  TCPI_CLOSING: 11,
  TCP_CA_Open: 0,
  TCP_CA_Disorder: 1,
  TCP_CA_CWR: 2,
  TCP_CA_Recovery: 3,
  TCP_CA_Loss: 4,
  TCPI_OPT_TIMESTAMPS: 1,
  TCPI_OPT_SACK: 2,
  TCPI_OPT_WSCALE: 4,
  TCPI_OPT_ECN: 8,
  TCPI_OPT_ECN_SEEN: 16,
  TCP_INFINITE_SSTHRESH: 0x7fff_ffff,
};

const STATES: Readonly<Record<string, number>> = {
  established: 1,
  'syn-sent': 2,
  'syn-received': 3,
  'fin-wait-1': 4,
  'fin-wait-2': 5,
  'time-wait': 6,
  closed: 7,
  'close-wait': 8,
  'last-ack': 9,
  closing: 11,
};

/** The state of a socket as a number. */
export function stateOf(socket: TcpSocket): number {
  if (socket.listener !== undefined) return 10;
  return STATES[socket.connection?.state ?? 'closed'] ?? 7;
}

/** The names that code about `socket` may use. */
export function namesOf(socket: TcpSocket | undefined): Lookup {
  return (name) => {
    const constant = CONSTANTS[name];
    if (constant !== undefined) return constant;
    if (!name.startsWith('tcpi_') || socket === undefined) return undefined;
    if (name === 'tcpi_state') return stateOf(socket);
    return fieldOf(socket, name);
  };
}

const RECOVERY = ['open', 'disorder', 'cwr', 'recovery', 'loss'];

function fieldOf({ connection }: TcpSocket, name: string): Value | undefined {
  if (connection === undefined) return undefined;
  const field = name
    .slice('tcpi_'.length)
    .replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  const info = connection.info();
  if (field === 'caState') return RECOVERY.indexOf(info.caState);
  if (field === 'options') {
    const { timestamps, sack, wscale, ecn, ecnSeen } = info.options;
    return [timestamps, sack, wscale, ecn, ecnSeen].reduce(
      (bits, agreed, bit) => (agreed ? bits | (1 << bit) : bits),
      0,
    );
  }
  const value: unknown = Reflect.get(info, field);
  return typeof value === 'number' ? value : undefined;
}
