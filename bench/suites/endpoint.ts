import { join } from 'node:path';
import { loadTopology } from '../../src/lab/topology.ts';
import { Stage } from '../harness/stage.ts';
import type { Case, Effort, StageMaker, Suite } from '../harness/suite.ts';
import { iperf3 } from '../load/iperf3.ts';
import { wrk } from '../load/wrk.ts';
import { THROUGHPUT } from './bulk.ts';
import { REQUESTS } from './rate.ts';

const LABS = join(import.meta.dirname, '../labs');
const ADDRESSES: Readonly<Record<string, string>> = { kernel: '10.1.0.31', ours: '10.1.0.60' };

const stage: StageMaker = {
  name: 'endpoint',
  open: () => {
    // The programs of the lab run on the Node that runs this.
    process.env.SUTURE_NODE = process.execPath;
    const { topology } = loadTopology(join(LABS, 'endpoint.yaml'));
    return Stage.open({ topology, folder: LABS });
  },
};

export const endpoint: Suite = {
  name: 'endpoint',
  summary: "Our TCP as an end point beside the kernel's",
  explanation:
    "A server on our TCP and a TAP beside one on the kernel's TCP and a veth, on the same bridge, asked by the same " +
    "client on the kernel's TCP. For bulk ours is a server of ours that speaks iperf3's protocol, the kernel's is iperf3; " +
    'HTTP is served by the same Node program over both.',
  stage,
  cases: (effort) => [bulk(effort, false), bulk(effort, true), connections(effort)],
};

function bulk({ seconds }: Effort, toClient: boolean): Case {
  return {
    name: toClient ? 'bulk, the server sends' : 'bulk, the server receives',
    contestants: Object.keys(ADDRESSES),
    metrics: [THROUGHPUT],
    estimate: seconds + 0.4,
    measure: async (turn) => {
      const address = ADDRESSES[turn.contestant];
      return { throughput: (await iperf3(turn, { address, toClient, seconds })).rate / 1e9 };
    },
  };
}

function connections({ seconds }: Effort): Case {
  return {
    name: 'a connection for each request of 1 KB, 64 at a time',
    contestants: Object.keys(ADDRESSES),
    metrics: [REQUESTS],
    estimate: seconds + 0.3,
    measure: async (turn) => {
      const web = ADDRESSES[turn.contestant];
      const options = { web, file: '1k', connections: 64, newConnections: true, seconds } as const;
      return { requests: (await wrk(turn, options)).rate };
    },
  };
}
