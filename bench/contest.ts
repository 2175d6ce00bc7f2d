// The figures of the README: Suture beside HAProxy in TCP mode, in one topology and one run, by turns.
//
//   npm run bench -- [--rounds N] [--seconds N] [--only TEXT] [--json]
//
// Each contestant of a suite first runs once unmeasured, so that all are warm.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
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
  { name: 'direct', web: '10.1.0.31', bulk: '10.1.0.31' },
  { name: 'haproxy-tcp', web: '10.1.0.50', bulk: '10.1.0.50' },
  { name: 'suture-tcp', web: '10.0.0.100:81', bulk: '10.0.0.100' },
  { name: 'suture-http', web: '10.0.0.100', bulk: '10.0.0.100' },
];

const SUITES: readonly Suite[] = [
  {
    name: 'bulk, server to client',
    unit: 'Gbit/s',
    skips: ['suture-http'],
    measure: (lab, { bulk }, seconds) => iperf3(lab, bulk, seconds, '-R'),
  },
  {
    name: 'bulk, client to server',
    unit: 'Gbit/s',
    skips: ['suture-http'],
    measure: (lab, { bulk }, seconds) => iperf3(lab, bulk, seconds),
  },
  {
    name: 'new connection each, 64 at a time',
    unit: 'requests/s',
    measure: (lab, { web }, seconds) => wrk(lab, web, seconds, '-H', 'Connection: close'),
  },
  {
    name: 'keep-alive, 64 connections',
    unit: 'requests/s',
    measure: (lab, { web }, seconds) => wrk(lab, web, seconds),
  },
];

const folder = mkdtempSync(join(tmpdir(), 'suture-bench-'));
writeFileSync(join(folder, '1k'), Buffer.alloc(1_024, 'x'));
const labs = join(import.meta.dirname, 'labs');
const { topology } = loadTopology(join(labs, 'contest.yaml'));
const web = { ...topology.hosts.web, files: { ...topology.hosts.web.files, root: folder } };
const hosts = { ...topology.hosts, web };
try {
  await using lab = await Lab.up({ ...topology, hosts }, { folder: labs });
  const results = await compete(lab, SUITES, CONTESTANTS, options);
  print(results, 'haproxy-tcp', options.json);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
