// Bulk, by iperf3: how much arrives at the receiver.
import type { Turn } from '../harness/suite.ts';

export interface Bulk {
  /** Bits a second. */
  readonly rate: number;
  readonly bytes: number;
}

export interface BulkOptions {
  readonly address: string;
  readonly port?: number;
  readonly connections?: number;
  /** Whether the server sends, not the client. */
  readonly toClient: boolean;
  readonly seconds: number;
}

interface Report {
  readonly error?: string;
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number; readonly bytes: number };
  };
}

/** @throws Error when iperf3 fails */
export async function iperf3(turn: Turn, options: BulkOptions): Promise<Bulk> {
  const { address, port = 5_201, connections = 1, toClient, seconds } = options;
  const argv = [
    ...['iperf3', '-J', '-c', address, '-p', String(port), '-t', String(seconds)],
    ...(connections > 1 ? ['-P', String(connections)] : []),
    ...(toClient ? ['-R'] : []),
  ];
  turn.ran('client', argv);
  const report = JSON.parse(await turn.stage.exec('client', argv, seconds)) as Report;
  const { sum_received: received } = report.end;
  if (received === undefined) throw new Error(`${argv.join(' ')}: ${report.error ?? 'no result'}`);
  return { rate: received.bits_per_second, bytes: received.bytes };
}
