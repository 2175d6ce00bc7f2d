// The Ethernet II header (IEEE 802.3): destination, source, type.

export const ETHERNET_LENGTH = 14;
export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const TYPE_IPV6 = 0x86dd;

/** A MAC address as a number below 2^48. */
export type Mac = number;
export const BROADCAST: Mac = 0xffff_ffff_ffff;

const HIGH = 0x1_0000_0000;

export const readMac = (view: DataView, at: number): Mac =>
  view.getUint16(at) * HIGH + view.getUint32(at + 2);

export function writeMac(view: DataView, at: number, mac: Mac): void {
  view.setUint16(at, Math.floor(mac / HIGH));
  view.setUint32(at + 2, mac >>> 0);
}

export const destination = (view: DataView, at: number): Mac => readMac(view, at);
export const source = (view: DataView, at: number): Mac => readMac(view, at + 6);
export const type = (view: DataView, at: number): number => view.getUint16(at + 12);

export function write(view: DataView, at: number, to: Mac, from: Mac, etherType: number): void {
  writeMac(view, at, to);
  writeMac(view, at + 6, from);
  view.setUint16(at + 12, etherType);
}

/** The group bit: broadcast and multicast. */
export const isGroup = (mac: Mac): boolean => (Math.floor(mac / 2 ** 40) & 1) === 1;

export function formatMac(mac: Mac): string {
  return (mac.toString(16).padStart(12, '0').match(/../g) ?? []).join(':');
}

/** Reads `aa:bb:cc:dd:ee:ff`; undefined if the text is nothing like it. */
export function parseMac(text: string): Mac | undefined {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)
    ? Number.parseInt(text.replaceAll(':', ''), 16)
    : undefined;
}
