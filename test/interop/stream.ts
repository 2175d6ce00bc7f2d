// A stream of bytes that both ends can make up from its name, and the digest of what came.
import { createCipheriv, createHash } from 'node:crypto';

/** The first `length` bytes of the stream that `name` stands for. */
export function streamBytes(name: string, length: number): Buffer {
  const key = createHash('sha256').update(name).digest().subarray(0, 16);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

export const digestOf = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

/** What one end tells of a conversation: the bytes that it heard up to the peer's FIN, or what went wrong. */
export interface Heard {
  readonly role: 'server' | 'client';
  readonly bytes: number;
  readonly digest: string;
  readonly error?: string;
}
