// Any bytes, and any part of them, for readers that must take whatever comes.
import fc from 'fast-check';

export interface Part {
  readonly view: DataView;
  readonly at: number;
  readonly end: number;
}

/** Views of any bytes with 0 <= at <= end <= length. */
export const anyPart = (maxLength: number): fc.Arbitrary<Part> =>
  fc
    .uint8Array({ maxLength })
    .chain((bytes) => fc.tuple(fc.constant(bytes), fc.nat(bytes.length), fc.nat(bytes.length)))
    .map(([bytes, one, other]) => ({
      view: new DataView(bytes.slice().buffer),
      at: Math.min(one, other),
      end: Math.max(one, other),
    }));

/** Bytes that begin with a header that may be right, so that readers get past their first look. */
export const likely = (header: readonly number[], maxLength: number): fc.Arbitrary<Part> =>
  fc
    .tuple(
      fc.uint8Array({ maxLength }),
      fc.array(fc.tuple(fc.nat(header.length - 1), fc.integer({ min: 0, max: 255 })), {
        maxLength: 2,
      }),
      fc.nat(header.length + maxLength),
    )
    .map(([rest, changes, cut]) => {
      const bytes = Uint8Array.from([...header, ...rest]);
      for (const [at, value] of changes) bytes[at] = value;
      return { view: new DataView(bytes.buffer), at: 0, end: Math.max(0, bytes.length - cut) };
    });

export const viewOf = (length: number): DataView => new DataView(new ArrayBuffer(length));
