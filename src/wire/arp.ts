// ARP for IPv4 over Ethernet (RFC 826), and its use to announce an address (RFC 5227, section 3).
import { type Mac, readMac, writeMac } from './ethernet.ts';

export const ARP_LENGTH = 28;
export const REQUEST = 1;
export const REPLY = 2;

/** True if `[at, end)` holds an ARP packet for IPv4 over Ethernet. */
export const isValid = (view: DataView, at: number, end: number): boolean =>
  end - at >= ARP_LENGTH &&
  view.getUint32(at) === 0x0001_0800 &&
  view.getUint16(at + 4) === 0x0604 &&
  (operation(view, at) === REQUEST || operation(view, at) === REPLY);

export const operation = (view: DataView, at: number): number => view.getUint16(at + 6);
export const senderMac = (view: DataView, at: number): Mac => readMac(view, at + 8);
export const senderAddress = (view: DataView, at: number): number => view.getUint32(at + 14);
export const targetMac = (view: DataView, at: number): Mac => readMac(view, at + 18);
export const targetAddress = (view: DataView, at: number): number => view.getUint32(at + 24);

export function write(
  view: DataView,
  at: number,
  kind: number,
  fromMac: Mac,
  fromAddress: number,
  toMac: Mac,
  toAddress: number,
): void {
  view.setUint32(at, 0x0001_0800);
  view.setUint16(at + 4, 0x0604);
  view.setUint16(at + 6, kind);
  writeMac(view, at + 8, fromMac);
  view.setUint32(at + 14, fromAddress);
  writeMac(view, at + 18, toMac);
  view.setUint32(at + 24, toAddress);
}
