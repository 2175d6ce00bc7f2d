// Our TCP as an end point: a server of ours on a TAP beside the kernel's on a veth, the same bridge, the
// same client, the same run, by turns.
//
//   npm run bench:endpoint -- [--rounds N] [--seconds N] [--only TEXT] [--json]
import { join } from 'node:path';
import { Lab } from '../src/lab/lab.ts';
import { loadTopology } from '../src/lab/topology.ts';
import {
  type Contestant,
  compete,
  iperf3,
  print,
  readOptions,
  type Suite,
  wrk,
} from './measure.ts';

const options = readOptions();

const CONTESTANTS: readonly Contestant[] = [
  { name: 'kernel', web: '10.1.0.31', bulk: '10.1.0.31' },
  { name: 'suture', web: '10.1.0.60', bulk: '10.1.0.60' },
];

const SUITES: readonly Suite[] = [
  {
    name: 'bulk, we receive',
    unit: 'Gbit/s',
    measure: (lab, { bulk }, seconds) => iperf3(lab, bulk, seconds),
  },
  {
    name: 'bulk, we send',
    unit: 'Gbit/s',
    measure: (lab, { bulk }, seconds) => iperf3(lab, bulk, seconds, '-R'),
  },
  {
    name: 'connections, 64 at a time',
    unit: 'requests/s',
    measure: (lab, { web }, seconds) => wrk(lab, web, seconds),
  },
];

// The programs of the lab run on the Node that runs this.
process.env.SUTURE_NODE = process.execPath;
const labs = join(import.meta.dirname, 'labs');
const { topology } = loadTopology(join(labs, 'endpoint.yaml'));
await using lab = await Lab.up(topology, { folder: labs });
const results = await compete(lab, SUITES, CONTESTANTS, options);
print(results, 'kernel', options.json);
