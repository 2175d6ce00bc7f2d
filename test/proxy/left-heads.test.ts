// Heads in the log of a member that left their clients to another one.
import { expect, test } from 'vitest';
import { MILLISECOND } from '../../src/env/clock.ts';
import { writeFlow } from '../../src/splice/record.ts';
import { addressOf, Cluster, HTTP, hostAddress } from './cluster.ts';
import { request, response } from './peers.ts';

const PATH = '/file/1000';
/** Where the key of a record has its epoch, behind the flow. */
const EPOCH_BYTES = 4;

/** The key of a record of a client's flow, of the first epoch; it begins with the flow. */
function keyOf(port: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const client = { address: addressOf(hostAddress(2)), port };
  const length = writeFlow(new DataView(bytes.buffer), 0, client, HTTP);
  return bytes.subarray(0, length + EPOCH_BYTES);
}

const heads = (cluster: Cluster): (number | undefined)[] =>
  [...cluster.members.values()].map(({ replicator }) => replicator?.heads.size);

test('go with the record that prevailed', () => {
  const cluster = new Cluster();
  const key = keyOf(41_000);
  const flow = key.slice(0, -EPOCH_BYTES);
  const said = Buffer.from(request(PATH));
  cluster.member('b').replicator?.logHead(flow, new Uint8Array(8), 0, said, () => {});
  cluster.simulation.runFor(50 * MILLISECOND);
  expect(heads(cluster)).toEqual([1, 1]);
  cluster.member('a').replicator?.remove(key);
  cluster.simulation.runFor(50 * MILLISECOND);
  expect(heads(cluster)).toEqual([0, 0]);
});

test('stay while their client is served', () => {
  const cluster = new Cluster();
  const [first, second] = [request(PATH).slice(0, 10), request(PATH).slice(10)];
  const client = cluster.connect([{ say: first }], response(PATH).length);
  cluster.until(() => heads(cluster).join() === '1,1', 'its first words are logged');
  const { port } = client.connection.local;
  cluster.member('b').replicator?.remove(keyOf(port));
  cluster.simulation.runFor(50 * MILLISECOND);
  expect(heads(cluster)).toEqual([1, 1]);
  client.connection.write(Buffer.from(second));
  cluster.until(() => client.closed, 'it is served');
  expect(client.heard).toBe(response(PATH));
});
