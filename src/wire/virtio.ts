// The virtio network header that precedes every frame (Virtual I/O Device 1.2, 5.1.6), little-endian.
//
//  0 flags  1 gso_type  2 hdr_len  4 gso_size  6 csum_start  8 csum_offset
//
// Every link carries it, so that a frame means the same wherever it came from.

export const VIRTIO_LENGTH = 10;

/** The checksum at `csum_start + csum_offset` is partial and must be completed. */
export const NEEDS_CSUM = 0x01;
/** The receiver need not verify the checksum. */
export const DATA_VALID = 0x02;

export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
/** Or-ed to a type: the first segment alone carries CWR (RFC 3168). */
export const GSO_ECN = 0x80;

export const flags = (view: DataView, at: number): number => view.getUint8(at);
export const gsoType = (view: DataView, at: number): number => view.getUint8(at + 1);
export const headerLength = (view: DataView, at: number): number => view.getUint16(at + 2, true);
/** Payload bytes of each segment that the frame stands for; 0 without GSO. */
export const gsoSize = (view: DataView, at: number): number => view.getUint16(at + 4, true);
export const checksumStart = (view: DataView, at: number): number => view.getUint16(at + 6, true);
export const checksumOffset = (view: DataView, at: number): number => view.getUint16(at + 8, true);

export const setGsoSize = (view: DataView, at: number, size: number): void =>
  view.setUint16(at + 4, size, true);

/** A frame with nothing left to do: no GSO, checksums complete. */
export function clear(view: DataView, at: number): void {
  view.setUint32(at, 0);
  view.setUint32(at + 4, 0);
  view.setUint16(at + 8, 0);
}

/**
 * Fills the header. Offsets count from the first byte behind the virtio header.
 * @param type `GSO_NONE`, or a GSO type with `size` payload bytes a segment
 */
export function write(
  view: DataView,
  at: number,
  flag: number,
  type: number,
  headers: number,
  size: number,
  start: number,
  offset: number,
): void {
  view.setUint8(at, flag);
  view.setUint8(at + 1, type);
  view.setUint16(at + 2, headers, true);
  view.setUint16(at + 4, size, true);
  view.setUint16(at + 6, start, true);
  view.setUint16(at + 8, offset, true);
}
