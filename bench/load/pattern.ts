// What is sent: a block of bytes that look random, over and over. Its length is a prime number, so that a piece
// that is missing or comes twice is a wrong byte at once.
import { createCipheriv } from 'node:crypto';

const LENGTH = 1_048_583;
/** The block twice, so that any piece up to its length lies in one. */
const BLOCKS = Buffer.alloc(2 * LENGTH);
const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
const block = cipher.update(Buffer.alloc(LENGTH));
block.copy(BLOCKS);
block.copy(BLOCKS, LENGTH);

/** The stream's bytes from `offset` on, `length` of them; at most a million. */
export const patternAt = (offset: number, length: number): Buffer =>
  BLOCKS.subarray(offset % LENGTH, (offset % LENGTH) + length);

/** How many of `bytes` are not the stream's from `offset` on. */
export function wrongBytes(bytes: Buffer, offset: number): number {
  let wrong = 0;
  for (let at = 0; at < bytes.length; at += LENGTH) {
    const piece = bytes.subarray(at, at + LENGTH);
    const right = patternAt(offset + at, piece.length);
    if (piece.equals(right)) continue;
    for (let index = 0; index < piece.length; index++) {
      if (piece[index] !== right[index]) wrong++;
    }
  }
  return wrong;
}
