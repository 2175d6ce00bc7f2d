/** The file that is downloaded: bytes that look random, the same ones for the same seed. */
import { type Cipheriv, createCipheriv, createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Bytes made and written at a time. */
const BLOCK = 1024 * 1024;

/**
 * Writes a file of `size` bytes, the key stream of AES-128 in counter mode under a key from `seed`
 * (NIST SP 800-38A, 6.5): no compression and no repetition could hide a wrong byte.
 * @returns its SHA-256 in hexadecimal
 * @throws the reason of `signal` when aborted, and what the file system says.
 */
export async function writeContent(
  path: string,
  size: number,
  seed: number,
  signal?: AbortSignal,
): Promise<string> {
  const stream = keyStream(seed);
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(BLOCK);
  const file = await open(path, 'w');
  try {
    for (let written = 0; written < size; written += BLOCK) {
      signal?.throwIfAborted();
      const block = stream.update(zeros.subarray(0, Math.min(BLOCK, size - written)));
      // The file system and the hash work side by side.
      const done = file.writeFile(block);
      hash.update(block);
      await done;
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

function keyStream(seed: number): Cipheriv {
  const key = createHash('sha256').update(`suture demo ${seed}`).digest().subarray(0, 16);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
}
