// What shall be written to a descriptor when this process is dead: killed, crashed or out of memory. The kernel
// tells a small process that waits for a lock of ours (robust futexes, futex(2), get_robust_list(2)) before it even
// begins to give back our memory, which takes longer than all the rest.
//
//   the file in memory: the lock, in a page of its own   count (4)   then each message: length (4), bytes
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { extname, join } from 'node:path';
import * as libc from './libc.ts';

/** Where the messages begin in the file. */
export const LOCK_BYTES = 4_096;
/** Bytes of all messages, with their lengths, at the most. */
export const WILL_BYTES = 65_536;
/** The descriptors of who executes it: that which is written to, and the file. */
export const TARGET_FD = 3;
export const FILE_FD = 4;

const EXECUTOR = join(import.meta.dirname, `last-will-executor${extname(import.meta.filename)}`);
/** It has next to nothing to do. */
const FLAGS = [
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=1',
  '--v8-pool-size=0',
];

export class LastWill {
  readonly #file: number;
  readonly #lock: number;
  readonly #executor: ChildProcess;
  #isKept = true;

  /**
   * Call it on the main thread, whose end is that of the process.
   * @param target the descriptor to write to, which stays open until the will is executed or revoked
   * @throws SystemError if there is no memory for it
   */
  constructor(target: number) {
    this.#file = libc.memoryFile('last-will', LOCK_BYTES + WILL_BYTES);
    this.#lock = libc.mapShared(this.#file, LOCK_BYTES);
    libc.holdRobust(this.#lock);
    // A session of its own, and no environment: what befalls our process group must not befall it.
    this.#executor = spawn(process.execPath, [...FLAGS, EXECUTOR], {
      stdio: ['ignore', 'ignore', 'ignore', target, this.#file],
      detached: true,
      env: {},
    });
    this.#executor.unref();
    const lost = (): void => {
      this.#isKept = false;
    };
    this.#executor.on('error', lost);
    this.#executor.on('exit', lost);
  }

  /** False once there is nobody who would execute it. */
  get isKept(): boolean {
    return this.#isKept;
  }

  /** The messages, each to be written by one call, in place of all before. @throws RangeError if they are too long */
  write(messages: readonly Uint8Array[]): void {
    const length = messages.reduce((sum, message) => sum + 4 + message.length, 4);
    if (length > WILL_BYTES) throw new RangeError(`a last will of ${length} bytes is too long`);
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, messages.length);
    let at = 4;
    for (const message of messages) {
      view.setUint32(at, message.length);
      bytes.set(message, at + 4);
      at += 4 + message.length;
    }
    writeSync(this.#file, bytes, 0, length, LOCK_BYTES);
  }

  /** It is not executed any more: this process ends in order. */
  revoke(): void {
    libc.unlockRobust(this.#lock);
    closeSync(this.#file);
  }
}
