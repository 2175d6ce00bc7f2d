// All suites, in the order in which they are played and reported.
import type { Suite } from '../harness/suite.ts';
import { bulk } from './bulk.ts';
import { cpu } from './cpu.ts';
import { endpoint } from './endpoint.ts';
import { failover } from './failover.ts';
import { keepalive } from './keepalive.ts';
import { latency } from './latency.ts';
import { rate } from './rate.ts';
import { replication } from './replication.ts';
import { scale } from './scale.ts';
import { spliceVsRelay } from './splice-vs-relay.ts';
import { spray } from './spray.ts';
import { table } from './table.ts';

export const SUITES: readonly Suite[] = [
  bulk,
  rate,
  keepalive,
  latency,
  spliceVsRelay,
  replication,
  failover,
  scale,
  spray,
  table,
  endpoint,
  cpu,
];
