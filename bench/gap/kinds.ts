// The kinds of traffic whose pause is measured. Of each it is said who receives the stream, how much the sender
// says at a time, and how long it rests after that.

export interface Kind {
  readonly name: string;
  /** Whether the stream goes from the client to the server. */
  readonly upload: boolean;
  /** Bytes said at a time. */
  readonly chunk: number;
  /** Milliseconds between two chunks; 0: as fast as the connection takes them. */
  readonly restMs: number;
  /** Whether the server says a chunk only when it was asked for one. */
  readonly asked: boolean;
}

export const KINDS: readonly Kind[] = [
  { name: 'bulk', upload: false, chunk: 65_536, restMs: 0, asked: false },
  { name: 'paced', upload: false, chunk: 20_000, restMs: 5, asked: false },
  { name: 'events', upload: false, chunk: 200, restMs: 5, asked: false },
  { name: 'upload', upload: true, chunk: 65_536, restMs: 0, asked: false },
  { name: 'paced-upload', upload: true, chunk: 20_000, restMs: 5, asked: false },
  { name: 'requests', upload: false, chunk: 1_000, restMs: 0, asked: true },
];
