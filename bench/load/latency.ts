// How long requests take, by our own generator (steady.ts).
import { join } from 'node:path';
import type { Turn } from '../harness/suite.ts';

/** Microseconds. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface LatencyOptions {
  /** Address, and port if it is not 80. */
  readonly web: string;
  readonly connections: number;
  /** Requests a second in all; as fast as answers come when absent. */
  readonly rate?: number;
  /** Whether each request has a connection of its own, whose set-up counts. */
  readonly newConnections?: boolean;
  readonly seconds: number;
}

const PROGRAM = join(import.meta.dirname, 'steady.ts');
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];

/** @throws Error when a request fails */
export async function latency(turn: Turn, options: LatencyOptions): Promise<Latency> {
  const { web, connections, rate, newConnections = false, seconds } = options;
  const args = [
    ...['--to', web, '--path', '/1k', '--connections', String(connections)],
    ...['--seconds', String(seconds), ...(rate === undefined ? [] : ['--rate', String(rate)])],
    ...(newConnections ? ['--new'] : []),
  ];
  turn.ran('client', ['node', 'bench/load/steady.ts', ...args]);
  return JSON.parse(
    await turn.stage.exec('client', [...NODE, PROGRAM, ...args], seconds),
  ) as Latency;
}
