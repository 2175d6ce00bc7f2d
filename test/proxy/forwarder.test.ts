// Which member a packet is for, asked of each.
import { expect, test } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';
import { addressOf, Cluster, hostAddress, VIRTUAL } from './cluster.ts';

const STRANGER = 0x0200_0000_0099;
const ICMP_BYTES = 36;

/** An IPv4 packet to a member, with what its header says of fragments. */
function packet(to: string, mac: ethernet.Mac, protocol: number, from = 2, fragment = 0): Frame {
  const frame = new Frame(256);
  const { view } = frame;
  ethernet.write(view, ETHERNET_AT, mac, STRANGER, ethernet.TYPE_IPV4);
  const [source, destination] = [hostAddress(from), to].map((text) => Number(addressOf(text)));
  const length = ipv4.IPV4_LENGTH + ICMP_BYTES;
  ipv4.write(view, NETWORK_AT, length, 7, fragment, 64, protocol, source, destination);
  frame.end = NETWORK_AT + length;
  return frame;
}

/** The names of those that each member sends a packet on to, or its own. */
function homes(cluster: Cluster, make: (mac: ethernet.Mac) => Frame): string[] {
  const members = [...cluster.members.values()];
  return members.map((member) => {
    const frame = make(member.host.ip.mac);
    if (member.forwarder?.handle(frame, 0) !== true) return member.member;
    expect(ethernet.source(frame.view, ETHERNET_AT)).toBe(member.host.ip.mac);
    const mac = ethernet.destination(frame.view, ETHERNET_AT);
    return members.find(({ host }) => host.ip.mac === mac)?.member ?? 'nobody';
  });
}

test('fragments of a datagram to a service meet at one member, those of many at all', () => {
  const cluster = new Cluster({ members: 3 });
  const chosen = new Set<string>();
  for (let from = 50; from < 90; from++) {
    for (const fragment of [ipv4.MORE_FRAGMENTS, 2]) {
      const found = new Set(
        homes(cluster, (mac) => packet(VIRTUAL, mac, ipv4.PROTOCOL_TCP, from, fragment)),
      );
      expect(found.size).toBe(1);
      for (const home of found) chosen.add(home);
    }
  }
  expect(chosen.size).toBe(3);
});

test('what is for a source address goes to its holder, whatever it is', () => {
  const cluster = new Cluster({ members: 3 });
  for (const protocol of [ipv4.PROTOCOL_TCP, ipv4.PROTOCOL_ICMP]) {
    for (const fragment of [0, ipv4.MORE_FRAGMENTS]) {
      const asked = (): string[] =>
        homes(cluster, (mac) => packet(hostAddress(21), mac, protocol, 31, fragment));
      expect(asked()).toEqual(['b', 'b', 'b']);
    }
  }
  cluster.kill('b');
  cluster.until(
    () =>
      [...cluster.members.values()].every(
        ({ replicator }) => replicator?.currentView.active.length === 2,
      ),
    'both know',
  );
  const found = homes(cluster, (mac) => packet(hostAddress(21), mac, ipv4.PROTOCOL_ICMP, 31));
  expect(found[0]).toBe(found[1]);
  expect(found).not.toContain('b');
});

test('what comes from a member is not passed on again, nor what is for no address of the cluster', () => {
  const cluster = new Cluster({ members: 3 });
  const { host, forwarder } = cluster.member('a');
  const frame = packet(hostAddress(21), host.ip.mac, ipv4.PROTOCOL_TCP, 31);
  ethernet.writeMac(frame.view, ETHERNET_AT + 6, cluster.member('c').host.ip.mac);
  expect(forwarder?.handle(frame, 0)).toBe(false);
  expect(forwarder?.counters).toMatchObject({ passedOn: 0, taken: 1 });
  expect(homes(cluster, (mac) => packet(hostAddress(77), mac, 6))).toEqual(['a', 'b', 'c']);
});
