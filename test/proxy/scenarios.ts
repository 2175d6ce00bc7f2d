// What clients do with the cluster in the simulator, and what must come of it whatever happens meanwhile.
import { MILLISECOND, type Micros } from '../../src/env/clock.ts';
import type { Endpoint } from '../../src/ip/address.ts';
import { Cluster, type ClusterOptions, HTTP, OPAQUE } from './cluster.ts';
import { bodyOf, request, response, type ScriptedClient, type Step } from './peers.ts';

export interface Scenario {
  readonly name: string;
  readonly steps: Step[];
  /** What the client hears. */
  readonly hears: string;
  /** What the servers are asked, each once. */
  readonly asks: readonly string[];
  readonly to?: Endpoint;
  readonly thinking?: Micros;
  readonly cluster?: ClusterOptions;
  /** The client waits for the server, and has nothing that it would repeat. */
  readonly waits?: boolean;
}

const head = request('/file/3000');

export const scenarios: readonly Scenario[] = [
  {
    name: 'a download',
    steps: [{ say: request('/file/40000') }],
    hears: response('/file/40000'),
    asks: ['GET /file/40000 '],
  },
  {
    name: 'a head in two halves',
    steps: [{ say: head.slice(0, 20) }, { say: head.slice(20), pause: 30 * MILLISECOND }],
    hears: response('/file/3000'),
    asks: ['GET /file/3000 '],
  },
  {
    name: 'a head in five pieces, one after the other',
    steps: [5, 12, 14, 30, head.length].map((end, index, ends) => ({
      say: head.slice(ends[index - 1] ?? 0, end),
      pause: index === 0 ? 0 : 8 * MILLISECOND,
    })),
    hears: response('/file/3000'),
    asks: ['GET /file/3000 '],
  },
  {
    name: 'an upload',
    steps: [{ say: request('/up/100', 90_000) }],
    hears: response('/up/100'),
    asks: [`POST /up/100 ${bodyOf('up/up/100', 90_000)}`],
  },
  {
    name: 'two requests on one connection, the second after a pause',
    steps: [
      { say: request('/one/5000') },
      {
        say: request('/two/5000'),
        heard: response('/one/5000').length,
        pause: 20 * MILLISECOND,
      },
    ],
    hears: response('/one/5000') + response('/two/5000'),
    asks: ['GET /one/5000 ', 'GET /two/5000 '],
  },
  {
    name: 'two requests at once',
    steps: [{ say: request('/one/5000') + request('/two/5000') }],
    hears: response('/one/5000') + response('/two/5000'),
    asks: ['GET /one/5000 ', 'GET /two/5000 '],
  },
  {
    name: 'a server that thinks for a while, and closes',
    steps: [{ say: request('/close/3000') }],
    hears: response('/close/3000'),
    asks: ['GET /close/3000 '],
    thinking: 20 * MILLISECOND,
  },
  {
    name: 'a server that speaks first',
    steps: [{ say: request('/mail/2000'), heard: 11 }],
    hears: `220 hello\r\n${response('/mail/2000')}`,
    asks: ['GET /mail/2000 '],
    to: OPAQUE,
    waits: true,
  },
  {
    name: 'a backend that does not answer, and one that does',
    steps: [{ say: request('/file/3000') }],
    hears: response('/file/3000'),
    asks: ['GET /file/3000 '],
    cluster: { backends: [33, 31] },
  },
];

export interface Run {
  readonly cluster: Cluster;
  readonly client: ScriptedClient;
}

/** Brings a scenario's cluster up and its client about. */
export function begin(scenario: Scenario, options: ClusterOptions = {}): Run {
  const { steps, hears, to = HTTP, thinking = 0 } = scenario;
  const cluster = new Cluster({ ...scenario.cluster, ...options });
  for (const server of cluster.servers) server.thinking = thinking;
  const client = cluster.connect([...steps], hears.length, to);
  return { cluster, client };
}

/** What went otherwise than it should; empty if nothing did. */
export function faultsOf({ cluster, client }: Run, { hears, asks }: Scenario): string[] {
  const faults = [...cluster.violations];
  if (client.heard !== hears) {
    faults.push(
      `heard ${client.heard.length} of ${hears.length} bytes: ${difference(client.heard, hears)}`,
    );
  }
  if (!client.closed) faults.push('the client is not done');
  if (client.error !== undefined) faults.push(`the client met ${client.error}`);
  if (cluster.resets > 0) faults.push(`${cluster.resets} resets`);
  const asked = cluster.requests;
  if (asked.length !== asks.length || asks.some((wanted, index) => asked[index] !== wanted)) {
    faults.push(
      `the servers were asked ${asked.map((text) => text.slice(0, 40)).join('; ') || 'nothing'}`,
    );
  }
  return faults;
}

function difference(heard: string, hears: string): string {
  let at = 0;
  while (at < heard.length && heard[at] === hears[at]) at++;
  return at === heard.length
    ? 'all of them right'
    : `wrong from ${at} on: ${heard.slice(at, at + 60)}`;
}
