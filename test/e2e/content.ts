// What backends send and clients check: a stream of bytes that its seed names, without repetition.
import { createCipheriv, createHash } from 'node:crypto';

const CHUNK = Buffer.alloc(256 * 1024);

/** Chunks of the first `length` bytes of the stream. */
export function* chunksOf(seed: number, length: number, size = CHUNK.length): Generator<Buffer> {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const zeros = CHUNK.subarray(0, Math.min(size, CHUNK.length));
  for (let left = length; left > 0; left -= zeros.length) {
    yield cipher.update(left < zeros.length ? zeros.subarray(0, left) : zeros);
  }
}

/** SHA-256 of the first `length` bytes, in hexadecimal. */
export function digestOf(seed: number, length: number): string {
  const hash = createHash('sha256');
  for (const chunk of chunksOf(seed, length)) hash.update(chunk);
  return hash.digest('hex');
}
