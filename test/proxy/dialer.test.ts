// What the proxy's SYN offers to a backend.
import { expect, test } from 'vitest';
import { Pool } from '../../src/backend/pool.ts';
import { SECOND } from '../../src/env/clock.ts';
import { Dialer } from '../../src/proxy/dialer.ts';
import { OURS } from '../ip/bench.ts';
import { Bench6, OURS6 } from '../ip/bench6.ts';

/** The largest segment offered to `backend` for a client who takes `mss` bytes. */
function offered(backend: string, mss: number): number {
  const { host } = new Bench6();
  const pool = new Pool({
    name: 'web',
    backends: [{ address: backend, port: 80 }],
    penalty: SECOND,
    now: () => host.clock.now(),
  });
  const dialer = new Dialer({ stack: host.tcp, sources: [OURS, OURS6], isFree: () => true });
  dialer.dial({
    pool,
    timeout: SECOND,
    offer: { mss, windowScale: 7, sack: true, timestamps: true },
    onConnect: () => {},
    onExhausted: () => {},
  });
  const [connection] = host.tcp.connections();
  return connection.offer.mss;
}

test.each([
  ['10.0.0.2', 1_460, 1_460],
  ['10.0.0.2', 1_000, 1_000],
  ['2001:db8::2', 1_460, 1_440],
  ['2001:db8::2', 1_000, 1_000],
])('a backend at %s gets from a client of %i bytes the offer of %i', (backend, mss, expected) => {
  expect(offered(backend, mss)).toBe(expected);
});
