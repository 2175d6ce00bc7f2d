// The pools of a member, as its configuration has them at the moment.
import { Pool } from '../backend/pool.ts';
import { splitEndpoint } from '../config/fields.ts';
import type { Micros } from '../env/clock.ts';
import type { ProxyConfig } from './config.ts';
import { millis } from './dialer.ts';

export interface PoolEntry {
  readonly pool: Pool;
  readonly connectTimeout: Micros;
}

/**
 * Makes `pools` what is configured. A backend that stays keeps what is known of it. Connections to one that does
 * not are not touched.
 */
export function updatePools(
  pools: Map<string, PoolEntry>,
  configured: ProxyConfig['pools'],
  now: () => Micros,
): void {
  for (const name of pools.keys()) if (!Object.hasOwn(configured, name)) pools.delete(name);
  for (const [name, { backends, penaltyMs, connectTimeoutMs }] of Object.entries(configured)) {
    const settings = {
      name,
      backends: backends.map(splitEndpoint),
      penalty: millis(penaltyMs),
      now,
    };
    const pool = pools.get(name)?.pool ?? new Pool(settings);
    pool.configure(settings);
    pools.set(name, { pool, connectTimeout: millis(connectTimeoutMs) });
  }
}
