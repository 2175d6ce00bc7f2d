// What a process that does nothing but serve connections tells the JavaScript engine.
import { setFlagsFromString } from 'node:v8';

/**
 * Keeps the engine from allocating the records of connections in its old space, as it does once it believes
 * that they live long. They do not, and there each dead one keeps others alive until a full collection: young
 * collections then copy all of them, 20 ms at a time. To be called before the first connection.
 */
export function keepConnectionsYoung(): void {
  setFlagsFromString('--no-allocation-site-pretenuring');
}
