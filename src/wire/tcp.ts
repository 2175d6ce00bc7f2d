// The TCP header in place (RFC 9293, section 3.1).

export const TCP_LENGTH = 20;
export const SEQ_AT = 4;
export const ACK_AT = 8;
export const FLAGS_AT = 13;
export const WINDOW_AT = 14;
export const CHECKSUM_AT = 16;

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
export const ECE = 0x40;
export const CWR = 0x80;

/** Header length in bytes, or -1 if the header does not fit in `[at, end)`. */
export function headerLength(view: DataView, at: number, end: number): number {
  if (end - at < TCP_LENGTH) return -1;
  const length = (view.getUint8(at + 12) >> 4) * 4;
  return length >= TCP_LENGTH && at + length <= end ? length : -1;
}

export const sourcePort = (view: DataView, at: number): number => view.getUint16(at);
export const destinationPort = (view: DataView, at: number): number => view.getUint16(at + 2);
export const seq = (view: DataView, at: number): number => view.getUint32(at + SEQ_AT);
export const ack = (view: DataView, at: number): number => view.getUint32(at + ACK_AT);
export const flags = (view: DataView, at: number): number => view.getUint8(at + FLAGS_AT);
/** The window field as it stands, not scaled. */
export const window = (view: DataView, at: number): number => view.getUint16(at + WINDOW_AT);
export const checksum = (view: DataView, at: number): number => view.getUint16(at + CHECKSUM_AT);
export const urgentPointer = (view: DataView, at: number): number => view.getUint16(at + 18);

export const setChecksum = (view: DataView, at: number, value: number): void =>
  view.setUint16(at + CHECKSUM_AT, value);

/**
 * Writes the fixed header; the checksum is left zero and the urgent pointer too.
 * @param length header bytes with options, a multiple of 4 from 20 to 60
 */
export function write(
  view: DataView,
  at: number,
  fromPort: number,
  toPort: number,
  sequence: number,
  acknowledgment: number,
  length: number,
  flag: number,
  windowField: number,
): void {
  view.setUint16(at, fromPort);
  view.setUint16(at + 2, toPort);
  view.setUint32(at + SEQ_AT, sequence);
  view.setUint32(at + ACK_AT, acknowledgment);
  view.setUint16(at + 12, (length << 10) | flag);
  view.setUint16(at + WINDOW_AT, windowField);
  view.setUint32(at + CHECKSUM_AT, 0);
}
