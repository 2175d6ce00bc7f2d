// The kinds of streams that a failure interrupts. Of each it is said who receives it, how much the sender says at a
// time, and how long it rests after that.

export interface Kind {
  readonly name: string;
  /** Whether the stream goes from the client to the server. */
  readonly upload: boolean;
  /** Bytes said at a time. */
  readonly chunk: number;
  /** Milliseconds between two chunks; 0: as fast as the connection takes them. */
  readonly restMs: number;
  /** Whether the server says a chunk only when it was asked for one; who asks rests between an answer and the next. */
  readonly asked: boolean;
}

export const KINDS = [
  { name: 'bulk download', upload: false, chunk: 65_536, restMs: 0, asked: false },
  { name: 'bulk upload', upload: true, chunk: 65_536, restMs: 0, asked: false },
  { name: 'paced download', upload: false, chunk: 20_000, restMs: 5, asked: false },
  { name: 'paced upload', upload: true, chunk: 20_000, restMs: 5, asked: false },
  { name: 'small segments', upload: false, chunk: 200, restMs: 5, asked: false },
  { name: 'requests', upload: false, chunk: 1_000, restMs: 5, asked: true },
] as const satisfies readonly Kind[];

export type KindName = (typeof KINDS)[number]['name'];

/** @throws Error for a name that no kind has */
export function kindOf(name: string): Kind {
  const kind = KINDS.find((each) => each.name === name);
  if (kind === undefined) throw new Error(`no kind of stream is called ${name}`);
  return kind;
}
