// Neighbour discovery (RFC 4861, section 4): ICMPv6 messages with options. `at` is where the ICMPv6 message
// starts.
import { isGroup, type Mac, readMac, writeMac } from './ethernet.ts';

/** All messages of neighbour discovery come with this hop limit, so that no router can have passed them on. */
export const HOP_LIMIT = 255;
/** Bytes before the options. */
export const ROUTER_SOLICITATION_LENGTH = 8;
export const ROUTER_ADVERTISEMENT_LENGTH = 16;
export const NEIGHBOUR_LENGTH = 24;

export const TARGET_AT = 8;
const FLAGS_AT = 4;
/** Flags of a neighbour advertisement. */
export const FROM_ROUTER = 0x80;
export const SOLICITED = 0x40;
export const OVERRIDE = 0x20;

export const flags = (view: DataView, at: number): number => view.getUint8(at + FLAGS_AT);
/** The hop limit that a router wants hosts to use; 0: it does not say. */
export const advertisedHopLimit = (view: DataView, at: number): number => view.getUint8(at + 4);
/** Seconds that a router is good for as default; 0: not at all. */
export const routerLifetime = (view: DataView, at: number): number => view.getUint16(at + 6);

const SOURCE_LINK_ADDRESS = 1;
const TARGET_LINK_ADDRESS = 2;
const PREFIX_INFORMATION = 3;
const MTU = 5;
const NONCE = 14;
const ON_LINK = 0x80;

/** Prefixes that one advertisement is heard for. */
export const MAX_PREFIXES = 8;
/** A lifetime in seconds that never ends. */
export const INFINITE = 0xffff_ffff;

/** What a message's options said. One instance serves all, one at a time. */
export class NdpOptions {
  /** Link-layer addresses of source and target, or -1 if absent. */
  sourceMac: Mac = -1;
  targetMac: Mac = -1;
  /** The link's MTU, or 0 if absent. */
  mtu = 0;
  /** RFC 3971, section 5.3.2, as far as RFC 7527 needs it: 48 bits, or -1 if absent or longer. */
  nonce = -1;
  /** How many prefixes count; each stands at `prefixAt[i]` in the message. */
  prefixes = 0;
  readonly prefixAt = new Uint32Array(MAX_PREFIXES);

  clear(): void {
    this.sourceMac = -1;
    this.targetMac = -1;
    this.mtu = 0;
    this.nonce = -1;
    this.prefixes = 0;
  }
}

/**
 * Reads the options in `[at, end)`; unknown ones are skipped.
 * @returns false if one has no length or does not fit: the message must be dropped (RFC 4861, section 4.6)
 */
export function readOptions(view: DataView, at: number, end: number, into: NdpOptions): boolean {
  into.clear();
  let cursor = at;
  while (cursor < end) {
    if (cursor + 8 > end) return false;
    const length = 8 * view.getUint8(cursor + 1);
    if (length === 0 || cursor + length > end) return false;
    readOption(view, cursor, length, into);
    cursor += length;
  }
  return true;
}

function readOption(view: DataView, at: number, length: number, into: NdpOptions): void {
  const kind = view.getUint8(at);
  if (kind === PREFIX_INFORMATION && length === 32) {
    if (into.prefixes < MAX_PREFIXES) into.prefixAt[into.prefixes++] = at;
    return;
  }
  if (length !== 8) return;
  if (kind === MTU) into.mtu = view.getUint32(at + 4);
  else if (kind === NONCE) into.nonce = readMac(view, at + 2);
  else if (kind === SOURCE_LINK_ADDRESS || kind === TARGET_LINK_ADDRESS) {
    const mac = readMac(view, at + 2);
    if (isGroup(mac) || mac === 0) return;
    if (kind === SOURCE_LINK_ADDRESS) into.sourceMac = mac;
    else into.targetMac = mac;
  }
}

/** Parts of a prefix option at `at`. */
export const prefixLength = (view: DataView, at: number): number => view.getUint8(at + 2);
export const isOnLink = (view: DataView, at: number): boolean =>
  (view.getUint8(at + 3) & ON_LINK) !== 0;
/** Seconds. */
export const validLifetime = (view: DataView, at: number): number => view.getUint32(at + 4);
export const PREFIX_AT = 16;

/** Each writer returns the offset behind what it wrote. */
function writeLinkAddress(view: DataView, at: number, kind: number, mac: Mac): number {
  view.setUint16(at, (kind << 8) | 1);
  writeMac(view, at + 2, mac);
  return at + 8;
}

export const writeSourceMac = (view: DataView, at: number, mac: Mac): number =>
  writeLinkAddress(view, at, SOURCE_LINK_ADDRESS, mac);
export const writeTargetMac = (view: DataView, at: number, mac: Mac): number =>
  writeLinkAddress(view, at, TARGET_LINK_ADDRESS, mac);
export const writeNonce = (view: DataView, at: number, nonce: number): number =>
  writeLinkAddress(view, at, NONCE, nonce);

/** The MAC of an IPv6 group (RFC 2464, section 7): `33:33` and the last four bytes of the address. */
export const groupMac = (lastWord: number): Mac => 0x3333_0000_0000 + (lastWord >>> 0);
