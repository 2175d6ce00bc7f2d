// The ceiling: what a TypeScript loop over a TAP can do at most, without any TCP. It stands between one client
// and one server, known beforehand, and changes addresses, MACs and checksums of IPv4 packets by a fixed
// table of two rows. Ports stay. It answers ARP for its two addresses and asks for its two neighbours.
//
//   node bench/contestants/tap-loop.ts --tap NAME --namespace PATH --bridge NAME
//     --client ADDRESS --service ADDRESS --source ADDRESS --server ADDRESS
import { parseArgs } from 'node:util';
import { MILLISECOND, systemClock } from '../../src/env/clock.ts';
import { type Address, parseAddress } from '../../src/ip/address.ts';
import { Frame } from '../../src/link/frame.ts';
import { TapLink } from '../../src/link/tap.ts';
import * as arp from '../../src/wire/arp.ts';
import { change32, updateFull, updatePartial } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as virtio from '../../src/wire/virtio.ts';

const MAC = 0x0253_0000_0061;
/** As `Host` has them, whose loop this is without what it carries. */
const BURST = 64;
const BREATHS = 4;
const WAIT = 20 * MILLISECOND;
const ASK_EVERY = 1_000 * MILLISECOND;

const { values: options } = parseArgs({
  options: {
    tap: { type: 'string', default: 'tap0' },
    namespace: { type: 'string' },
    bridge: { type: 'string' },
    client: { type: 'string', default: '' },
    service: { type: 'string', default: '' },
    source: { type: 'string', default: '' },
    server: { type: 'string', default: '' },
  },
});

function addressOf(name: 'client' | 'service' | 'source' | 'server'): number {
  const address: Address | undefined = parseAddress(options[name]);
  if (typeof address !== 'number') throw new Error(`--${name}: an IPv4 address`);
  return address;
}
const client = addressOf('client');
const service = addressOf('service');
const source = addressOf('source');
const server = addressOf('server');

/** One direction: the addresses a packet gets, what that adds to its checksums, and where it goes. */
interface Row {
  readonly from: number;
  readonly to: number;
  readonly change: number;
  readonly neighbour: number;
  mac: number;
}
const row = (before: [number, number], from: number, to: number): Row => ({
  from,
  to,
  change: change32(before[0], from) + change32(before[1], to),
  neighbour: to,
  mac: 0,
});
const toServer = row([client, service], source, server);
const toClient = row([server, source], service, client);

const link = new TapLink({
  name: options.tap,
  namespace: options.namespace,
  bridge: options.bridge,
});
const frame = new Frame();

function handle(): void {
  const { view } = frame;
  const type = view.getUint16(ETHERNET_AT + 12);
  if (type === ethernet.TYPE_ARP) handleArp();
  else if (type === ethernet.TYPE_IPV4) {
    const destination = view.getUint32(NETWORK_AT + ipv4.DESTINATION_AT);
    const chosen = destination === service ? toServer : destination === source ? toClient : null;
    if (chosen !== null && chosen.mac !== 0) translate(chosen);
  }
}

function translate({ from, to, change, mac }: Row): void {
  const { view } = frame;
  ethernet.writeMac(view, ETHERNET_AT, mac);
  ethernet.writeMac(view, ETHERNET_AT + 6, MAC);
  view.setUint32(NETWORK_AT + ipv4.SOURCE_AT, from);
  view.setUint32(NETWORK_AT + ipv4.DESTINATION_AT, to);
  const header = NETWORK_AT + ipv4.CHECKSUM_AT;
  view.setUint16(header, updateFull(view.getUint16(header), change));
  const at = NETWORK_AT + (view.getUint8(NETWORK_AT) & 0x0f) * 4 + tcp.CHECKSUM_AT;
  const partial = (virtio.flags(view, VIRTIO_AT) & virtio.NEEDS_CSUM) !== 0;
  const checksum = view.getUint16(at);
  view.setUint16(at, partial ? updatePartial(checksum, change) : updateFull(checksum, change));
  link.send(frame);
}

function handleArp(): void {
  const { view } = frame;
  const from = arp.senderAddress(view, NETWORK_AT);
  const mac = arp.senderMac(view, NETWORK_AT);
  for (const each of [toServer, toClient]) if (each.neighbour === from) each.mac = mac;
  const target = arp.targetAddress(view, NETWORK_AT);
  if (arp.operation(view, NETWORK_AT) !== arp.REQUEST) return;
  if (target === service || target === source) sendArp(arp.REPLY, target, mac, from);
}

function sendArp(kind: number, from: number, mac: number, to: number): void {
  const { view } = frame;
  virtio.clear(view, VIRTIO_AT);
  ethernet.write(view, ETHERNET_AT, mac, MAC, ethernet.TYPE_ARP);
  arp.write(view, NETWORK_AT, kind, MAC, from, mac === ethernet.BROADCAST ? 0 : mac, to);
  frame.end = NETWORK_AT + arp.ARP_LENGTH;
  link.send(frame);
}

process.stdout.write('ready\n');
let askAt = 0;
let busy = 0;
for (;;) {
  let frames = 0;
  while (frames < BURST && link.receive(frame)) {
    frames++;
    handle();
  }
  if (systemClock.now() >= askAt) {
    askAt = systemClock.now() + ASK_EVERY;
    if (toServer.mac === 0) sendArp(arp.REQUEST, source, ethernet.BROADCAST, server);
    if (toClient.mac === 0) sendArp(arp.REQUEST, service, ethernet.BROADCAST, client);
  }
  if (frames > 0 && ++busy < BREATHS) continue;
  busy = 0;
  if (frames === 0) await link.wait(WAIT);
  await new Promise(setImmediate);
}
