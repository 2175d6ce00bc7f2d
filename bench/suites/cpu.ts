import { bulkOf, contestant } from '../contestants/contestants.ts';
import { contest, wake, withProcessorTime } from '../harness/contest-stage.ts';
import { busySeconds } from '../harness/stage.ts';
import type { Case, Effort, Metric, Suite } from '../harness/suite.ts';
import { iperf3 } from '../load/iperf3.ts';
import { wrk } from '../load/wrk.ts';

const TCP = [
  'tap-loop',
  'haproxy-tcp',
  'haproxy-splice',
  'nginx-stream',
  'node-pipe',
  'suture-1',
  'suture-relay',
];
const ALL = [...TCP, 'haproxy-http', 'nginx-http', 'suture-http'];
const QUICK = ['haproxy-tcp', 'suture-1'];
/** In a cluster the first member's, which serves. */
const metrics = (unit: string): readonly Metric[] => [
  { name: 'process', unit, better: 'lower' },
  { name: 'machine', unit, better: 'lower' },
];

export const cpu: Suite = {
  name: 'cpu',
  summary: 'Processor time a gigabyte and a connection',
  explanation:
    '"process" is what the kernel charged to the contestant (user and system time of /proc/PID/stat), its system calls ' +
    'included and what they led to at once: a write to a TAP or a veth runs the bridge and often the receiving ' +
    'host\'s TCP within it. What runs in softirqs on another process\'s account is not in it. "machine" is all the time ' +
    "the machine's processors were busy, both ends and every other program included: complete, but only to be compared on a " +
    'machine with nothing else to do.',
  stage: contest,
  cases: (effort) => [gigabyte(effort), connection(effort)],
};

function gigabyte({ quick, seconds }: Effort): Case {
  return {
    name: 'bulk, 1 connection, to the client',
    contestants: quick ? QUICK : TCP,
    metrics: metrics('s/GB'),
    estimate: seconds + 0.4,
    measure: async (turn) => {
      await wake(turn);
      const where = bulkOf(turn.contestant);
      const load = (): ReturnType<typeof iperf3> =>
        iperf3(turn, { ...where, toClient: true, seconds });
      const { result, own, machine } = await withProcessorTime(turn, busySeconds, load);
      const gigabytes = result.bytes / 1e9;
      return { process: own / gigabytes, machine: machine / gigabytes };
    },
  };
}

function connection({ quick, seconds }: Effort): Case {
  return {
    name: 'a connection for each request of 1 KB, 64 at a time',
    contestants: quick ? QUICK : ALL,
    metrics: metrics('us/connection'),
    estimate: seconds + 0.3,
    measure: async (turn) => {
      await wake(turn);
      const { web } = contestant(turn.contestant);
      const options = { web, file: '1k', connections: 64, newConnections: true, seconds } as const;
      const load = (): ReturnType<typeof wrk> => wrk(turn, options);
      const { result, own, machine } = await withProcessorTime(turn, busySeconds, load);
      return { process: (own * 1e6) / result.count, machine: (machine * 1e6) / result.count };
    },
  };
}
