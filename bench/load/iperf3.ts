// Bulk, by iperf3: how much arrives at the receiver.
import { setTimeout as delay } from 'node:timers/promises';
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
  readonly end?: {
    readonly sum_received?: { readonly bits_per_second: number; readonly bytes: number };
  };
}

/** The server takes one client at a time, and the one before may not be gone yet: asked again after so many milliseconds. */
const BUSY = 'the server is busy running a test';
const BUSY_MS = 200;
const ATTEMPTS = 10;

/** @throws Error when iperf3 fails */
export async function iperf3(turn: Turn, options: BulkOptions): Promise<Bulk> {
  const { address, port = 5_201, connections = 1, toClient, seconds } = options;
  const argv = [
    ...['iperf3', '-J', '-c', address, '-p', String(port), '-t', String(seconds)],
    ...(connections > 1 ? ['-P', String(connections)] : []),
    ...(toClient ? ['-R'] : []),
  ];
  turn.ran('client', argv);
  for (let attempt = 1; ; attempt++) {
    const { error = 'no result', end } = await run(turn, argv, seconds);
    const received = end?.sum_received;
    if (received !== undefined) return { rate: received.bits_per_second, bytes: received.bytes };
    if (!error.includes(BUSY) || attempt === ATTEMPTS)
      throw new Error(`${argv.join(' ')}: ${error}`);
    await delay(BUSY_MS);
  }
}

/** iperf3's report; it has one also when it fails. */
async function run(turn: Turn, argv: readonly string[], seconds: number): Promise<Report> {
  const timeoutMs = (seconds + 20) * 1_000;
  const { stdout, stderr } = await turn.stage.lab.exec('client', argv, { timeoutMs });
  try {
    return JSON.parse(stdout) as Report;
  } catch {
    return { error: `${stdout}${stderr}`.trim().split('\n')[0] };
  }
}
