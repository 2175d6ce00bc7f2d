// The UDP header in place (RFC 768).

export const UDP_LENGTH = 8;
export const CHECKSUM_AT = 6;

export const sourcePort = (view: DataView, at: number): number => view.getUint16(at);
export const destinationPort = (view: DataView, at: number): number => view.getUint16(at + 2);
/** Bytes of header and payload as the header says. */
export const length = (view: DataView, at: number): number => view.getUint16(at + 4);
/** Zero: the sender computed none. */
export const checksum = (view: DataView, at: number): number => view.getUint16(at + CHECKSUM_AT);

/** True if a header whose length holds lies in `[at, end)`. */
export const isValid = (view: DataView, at: number, end: number): boolean =>
  end - at >= UDP_LENGTH && length(view, at) >= UDP_LENGTH && at + length(view, at) <= end;

export function write(
  view: DataView,
  at: number,
  fromPort: number,
  toPort: number,
  total: number,
): void {
  view.setUint16(at, fromPort);
  view.setUint16(at + 2, toPort);
  view.setUint16(at + 4, total);
  view.setUint16(at + CHECKSUM_AT, 0);
}
