// Requests by HTTP, as many as can be, by wrk with one thread.
import type { Turn } from '../harness/suite.ts';

export interface Requests {
  /** A second. */
  readonly rate: number;
  readonly count: number;
  /** Bits of responses a second. */
  readonly bits: number;
}

export interface RequestsOptions {
  /** Address, and port if it is not 80. */
  readonly web: string;
  readonly file: '1k' | '100k' | '64m';
  readonly connections: number;
  /** Whether each request has a connection of its own. */
  readonly newConnections?: boolean;
  readonly seconds: number;
}

const UNITS = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 };

/** @throws Error when wrk fails, or a request does */
export async function wrk(turn: Turn, options: RequestsOptions): Promise<Requests> {
  const { web, file, connections, newConnections = false, seconds } = options;
  const argv = [
    ...['wrk', '-t1', `-c${connections}`, `-d${seconds}`, '--timeout', '10'],
    ...(newConnections ? ['-H', 'Connection: close'] : []),
    `http://${web}/${file}`,
  ];
  turn.ran('client', argv);
  const text = await turn.stage.exec('client', argv, seconds);
  const trouble = /Socket errors.*|Non-2xx.*/.exec(text)?.[0];
  if (trouble !== undefined) throw new Error(`${argv.join(' ')}: ${trouble}`);
  const [, transfer, unit] = /Transfer\/sec:\s+([\d.]+)(GB|MB|KB|B)/.exec(text) ?? [];
  return {
    rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]),
    count: Number(/(\d+) requests in/.exec(text)?.[1]),
    bits: Number(transfer) * 8 * UNITS[unit as keyof typeof UNITS],
  };
}
