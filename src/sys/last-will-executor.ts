// The program that waits for another process's death and then writes its last will (last-will.ts). It is killed by
// nothing that befalls the other one alone, and ends when that one ends in order.
import { readSync, writeSync } from 'node:fs';
import { FILE_FD, LOCK_BYTES, TARGET_FD, WILL_BYTES } from './last-will.ts';
import * as libc from './libc.ts';

/** Nothing repeats what is written here. */
const COPIES = 2;

const bytes = new Uint8Array(WILL_BYTES);
const view = new DataView(bytes.buffer);

/** Does something with each message that is in the file. */
function forEachMessage(visit: (message: Uint8Array) => void): void {
  const length = readSync(FILE_FD, bytes, 0, WILL_BYTES, LOCK_BYTES);
  const count = view.getUint32(0);
  let at = 4;
  for (let index = 0; index < count && at + 4 <= length; index++) {
    const end = at + 4 + view.getUint32(at);
    if (end > length) return;
    visit(bytes.subarray(at + 4, end));
    at = end;
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
// Code that has run once runs sooner.
forEachMessage(() => {});
if (libc.lockRobust(libc.mapShared(FILE_FD, LOCK_BYTES)) === libc.EOWNERDEAD) {
  for (let copy = 0; copy < COPIES; copy++) {
    forEachMessage((message) => {
      try {
        writeSync(TARGET_FD, message);
      } catch {
        // The device takes nothing now; the next may pass.
      }
    });
  }
}
