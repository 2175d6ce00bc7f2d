// Multicast listener discovery, version 2 (RFC 3810, section 5): how a host tells routers and switches which
// groups it listens to. `at` is where the ICMPv6 message starts.

export const QUERY = 130;
export const REPORT = 143;
/** Messages of listener discovery never leave the link. */
export const HOP_LIMIT = 1;
/** A query of version 1 has this length, one of version 2 at least four bytes more (section 8.1). */
export const LEAST_QUERY = 24;

/** A hop-by-hop header with a router alert (RFC 2711), which every message comes with. */
export const ALERT_LENGTH = 8;
export const REPORT_LENGTH = 8;
export const RECORD_LENGTH = 20;

/** Kinds of records: the state as it is, and changes of it. */
export const IS_EXCLUDE = 2;
export const TO_INCLUDE = 3;
export const TO_EXCLUDE = 4;

/** How long the answer to a query may take, in milliseconds (section 5.1.3). */
export function maximumDelay(view: DataView, at: number): number {
  const code = view.getUint16(at + 4);
  if (code < 0x8000) return code;
  return ((code & 0x0fff) | 0x1000) << (((code >> 12) & 7) + 3);
}

export function writeAlert(view: DataView, at: number, next: number): void {
  view.setUint32(at, ((next << 24) | 0x0502) >>> 0);
  view.setUint32(at + 4, 0x0000_0100);
}

/** Writes a report without its records; the checksum is left zero. */
export function writeReport(view: DataView, at: number, records: number): void {
  view.setUint32(at, REPORT * 0x100_0000);
  view.setUint32(at + 4, records);
}

/** Writes a record that names no sources, but for the group's address at `at + 4`. */
export const writeRecord = (view: DataView, at: number, kind: number): void =>
  view.setUint32(at, kind * 0x100_0000);
