// How fast one core translates, what a flow costs in memory, and what the table's operations cost.
//
//   scripts/with-node bench/kernels/table.ts FLOWS      prints one object, see `Figures`
//
// A translated packet takes the whole fast path of one full-sized segment: lookup, rewrite, life cycle, counters,
// and a network that takes the frame and does nothing. Packets come from either end at random, and take
// the flows in turn, or in random order, so that with a million flows every packet waits for memory.
import { do_not_optimize, measure } from 'mitata';
import { seededRandom } from '../../src/env/random.ts';
import { fromIpv4 } from '../../src/ip/address.ts';
import { Frame } from '../../src/link/frame.ts';
import { IPV4_FORM } from '../../src/splice/form.ts';
import { RECOVERY_NONE, type SpliceRecord } from '../../src/splice/record.ts';
import { rewriteIpv4 } from '../../src/splice/rewrite.ts';
import { readSegment, Segment } from '../../src/splice/segment.ts';
import { Splicer } from '../../src/splice/splicer.ts';
import { SpliceTable } from '../../src/splice/table.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { writeTimestamps } from '../../src/wire/tcp-options.ts';
import * as virtio from '../../src/wire/virtio.ts';

const TCP_AT = NETWORK_AT + ipv4.IPV4_LENGTH;
const HEADER = 32;
const PAYLOAD = 1_448;
/** Packets that one measured call translates. */
const BATCH = 4_096;
const VIRTUAL = 0x0a00_0064;
const SOURCE = 0x0a00_0101;
const BACKEND = 0x0a00_010a;

const clientAddress = (flow: number): number => 0x0b00_0000 + (flow >>> 6);
const clientPort = (flow: number): number => 1_024 + (flow & 63);

function recordOf(flow: number): SpliceRecord {
  return {
    client: { address: fromIpv4(clientAddress(flow)), port: clientPort(flow) },
    virtual: { address: fromIpv4(VIRTUAL), port: 80 },
    source: { address: fromIpv4(SOURCE + (flow >>> 15)), port: 1_024 + (flow & 0x7fff) },
    backend: { address: fromIpv4(BACKEND), port: 8_080 },
    seqShiftToBackend: Math.imul(flow, 0x9e37_79b1) >>> 0,
    seqShiftToClient: Math.imul(flow, 0x85eb_ca77) >>> 0,
    timestamps: true,
    timestampShiftToBackend: 12_345,
    timestampShiftToClient: 54_321,
    clientScale: 7,
    scaleToClient: 9,
    scaleToBackend: 9,
    backendScale: 7,
    clientSack: true,
    backendSack: true,
    clientMss: 1_460,
    backendMss: 1_460,
    epoch: 1,
    home: 1,
    service: 1,
    recovery: RECOVERY_NONE,
  };
}

/** A full-sized segment with timestamps and a partial checksum, as a TAP hands them out. */
function segment(): Frame {
  const frame = new Frame(2_048);
  const { view } = frame;
  virtio.write(
    view,
    VIRTIO_AT,
    virtio.NEEDS_CSUM,
    virtio.GSO_NONE,
    0,
    0,
    TCP_AT - ETHERNET_AT,
    tcp.CHECKSUM_AT,
  );
  view.setUint16(ETHERNET_AT + 12, 0x0800);
  ipv4.write(view, NETWORK_AT, 20 + HEADER + PAYLOAD, 1, ipv4.DONT_FRAGMENT, 64, 6, 1, 2);
  tcp.write(view, TCP_AT, 1, 2, 1_000, 2_000, HEADER, tcp.ACK, 501);
  writeTimestamps(view, TCP_AT + 20, 1, 2);
  frame.end = TCP_AT + HEADER + PAYLOAD;
  return frame;
}

/** The flows in turn, or shuffled. */
function orderOf(flows: number, shuffled: boolean): Uint32Array {
  const order = Uint32Array.from({ length: flows }, (_, flow) => flow);
  if (!shuffled) return order;
  const random = seededRandom(7);
  for (let last = flows - 1; last > 0; last--) {
    const other = random.uint32() % (last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

/** `BATCH` packets a call, each for the next flow of the order. */
function traffic(splicer: Splicer, order: Uint32Array): () => number {
  const frame = segment();
  const { view, end } = frame;
  let next = 0;
  let coin = 1;
  let now = 1_000_000;
  return () => {
    now += 1_000;
    for (let packet = 0; packet < BATCH; packet++) {
      const flow = order[next];
      if (++next === order.length) next = 0;
      coin = (Math.imul(coin, 0x0019_660d) + 0x3c6e_f35f) | 0;
      const port = 1_024 + (flow & 0x7fff);
      view.setUint8(NETWORK_AT + ipv4.TTL_AT, 64);
      if (coin < 0) {
        view.setUint32(NETWORK_AT + ipv4.SOURCE_AT, clientAddress(flow));
        view.setUint32(NETWORK_AT + ipv4.DESTINATION_AT, VIRTUAL);
        view.setUint32(TCP_AT, (clientPort(flow) << 16) | 80);
      } else {
        view.setUint32(NETWORK_AT + ipv4.SOURCE_AT, BACKEND);
        view.setUint32(NETWORK_AT + ipv4.DESTINATION_AT, SOURCE + (flow >>> 15));
        view.setUint32(TCP_AT, (8_080 << 16) | port);
      }
      view.setUint32(TCP_AT + tcp.SEQ_AT, 1_000);
      view.setUint32(TCP_AT + tcp.ACK_AT, 2_000);
      view.setUint16(TCP_AT + tcp.WINDOW_AT, 501);
      frame.end = end;
      if (!splicer.handle(frame, now)) throw new Error(`a packet of flow ${flow} was not ours`);
    }
    return splicer.counters.framesToClient;
  };
}

/** The rewrite of a frame alone, slot after slot. */
function rewrites(splicer: Splicer): () => number {
  const frame = segment();
  const read = new Segment();
  const { words, size, slotWords } = splicer.table;
  let slot = 0;
  return () => {
    for (let packet = 0; packet < BATCH; packet++) {
      if (++slot === size) slot = 0;
      readSegment(frame, TCP_AT, frame.end, virtio.GSO_TCPV4, read);
      rewriteIpv4(words, slot * slotWords, packet & 1, frame, read);
    }
    return frame.words[0];
  };
}

/** What is printed. */
export interface Figures {
  /** Million packets a second: flows in turn, flows in random order, and the rewrite without the lookup. */
  readonly rate: number;
  readonly random: number;
  readonly alone: number;
  /** Bytes a flow: slots and index, with what is free among them. */
  readonly size: number;
  /** Microseconds a flow. */
  readonly insert: number;
  readonly slowestInsert: number;
  readonly lookup: number;
  readonly delete: number;
  /** Both sides of a snapshot: the record is read here and put into another table. */
  readonly snapshot: number;
}

/** Median microseconds of one of a batch. */
async function microsEach(batch: () => number): Promise<number> {
  // The first calls are slow, since the engine has not compiled them yet.
  for (let call = 0; call < 20; call++) do_not_optimize(batch());
  const { p50 } = await measure(() => do_not_optimize(batch()), {
    min_cpu_time: 200 * 1e6,
    batch_samples: 1,
  });
  return p50 / 1_000 / BATCH;
}

function lookups({ table }: Splicer, order: Uint32Array): () => number {
  const key = new Uint32Array(IPV4_FORM.keyWords);
  const { words, slotWords } = table;
  let next = 0;
  return () => {
    let found = 0;
    for (let packet = 0; packet < BATCH; packet++) {
      const start = order[next] * slotWords;
      if (++next === order.length) next = 0;
      for (let word = 0; word < key.length; word++) key[word] = words[start + word];
      found += table.find(key, 0);
    }
    return found;
  };
}

const micros = (began: number): number => (performance.now() - began) * 1_000;
const tableFor = (maximum: number): SpliceTable =>
  new SpliceTable({ maximum, random: seededRandom(1) });

async function figures(flows: number): Promise<Figures> {
  const table = tableFor(flows);
  const splicer = new Splicer({
    table,
    network: { resolve: () => 1, transmit: (_frame, hop) => hop === 1 },
  });
  // The making of a record's object is not the table's.
  let insert = 0;
  let slowest = 0;
  for (let flow = 0; flow < flows; flow++) {
    const record = recordOf(flow);
    const began = performance.now();
    if (table.insert(record, 0) < 0) throw new Error(`record ${flow} was refused`);
    const took = micros(began);
    insert += took;
    slowest = Math.max(slowest, took);
  }
  const size = table.bytesPerRecord;
  const random = orderOf(flows, true);
  const rate = 1 / (await microsEach(traffic(splicer, orderOf(flows, false))));
  const shuffled = 1 / (await microsEach(traffic(splicer, random)));
  const alone = 1 / (await microsEach(rewrites(splicer)));
  const lookup = await microsEach(lookups(splicer, random));
  const snapshot = snapshotOf(table, flows) / flows;
  const began = performance.now();
  for (let flow = 0; flow < flows; flow++) table.remove(random[flow]);
  return {
    ...{ rate, random: shuffled, alone, lookup, snapshot },
    size,
    insert: insert / flows,
    slowestInsert: slowest,
    delete: micros(began) / flows,
  };
}

function snapshotOf(from: SpliceTable, flows: number): number {
  const to = tableFor(flows);
  const bytes = new Uint8Array(IPV4_FORM.recordBytes);
  const view = new DataView(bytes.buffer);
  const began = performance.now();
  for (let slot = from.nextUsed(0); slot >= 0; slot = from.nextUsed(slot + 1)) {
    from.copyRecord(slot, bytes, 0);
    if (to.insertEncoded(view, 0, 0) < 0) throw new Error(`record ${slot} was refused`);
  }
  return micros(began);
}

process.stdout.write(`${JSON.stringify(await figures(Number(process.argv[2] ?? 1_000)))}\n`);
