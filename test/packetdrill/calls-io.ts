// Calls that move bytes.

import {
  argument,
  type Call,
  fail,
  fieldsOf,
  type Handler,
  isSocket,
  numberAt,
  type Outcome,
  ok,
  optionalNumberAt,
  socketOf,
  unsupported,
} from './calls.ts';
import { errorName, evaluate } from './constants.ts';
import { pattern } from './payload.ts';
import type { Expression } from './script.ts';
import type { TcpSocket } from './tcp-socket.ts';

const MSG_OOB = 1;
const MSG_PEEK = 2;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_EOR = 0x80;
const MSG_WAITALL = 0x100;
const MSG_NOSIGNAL = 0x4000;
const MSG_MORE = 0x8000;
const READ_FLAGS = MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL;
const WRITE_FLAGS = MSG_DONTWAIT | MSG_EOR | MSG_NOSIGNAL | MSG_MORE;

/** Reads up to `size` bytes as `recv` does. */
function receive(call: Call, size: number, flags: number): Outcome {
  const found = socketOf(call);
  if (!isSocket(found)) return found;
  if ((flags & MSG_OOB) !== 0) unsupported(call, 'MSG_OOB');
  if ((flags & ~READ_FLAGS) !== 0)
    unsupported(call, `flags 0x${flags.toString(16)} of ${call.spec.name}`);
  const { connection } = found;
  if (connection === undefined) return fail('ENOTCONN');
  const wanted = size - call.done;
  const enough = (flags & MSG_WAITALL) !== 0 ? wanted : Math.min(1, wanted);
  const ending = found.peerDone || found.ended || found.readShut || found.error !== 0;
  if (found.readable >= enough || (ending && found.readable > 0)) {
    call.done += take(found, wanted, flags);
    return ok(call.done);
  }
  if (found.error !== 0) return fail(errorName(found.takeError()));
  if (ending) return ok(call.done);
  if (!found.established) return fail(found.nonBlocking ? 'EAGAIN' : 'ENOTCONN');
  if (found.nonBlocking || (flags & MSG_DONTWAIT) !== 0) {
    if (found.readable === 0) return fail('EAGAIN');
    call.done += take(found, wanted, flags);
    return ok(call.done);
  }
  return 'blocked';
}

function take(found: TcpSocket, most: number, flags: number): number {
  const count = Math.min(most, found.readable);
  if ((flags & MSG_PEEK) !== 0) return count;
  let left = count;
  while (left > 0) left -= found.connection?.read(left)?.length ?? left;
  return count;
}

/** Writes `size` bytes as `send` does: all, if it may wait; else what finds room. */
function transmit(call: Call, size: number, flags: number): Outcome {
  const found = socketOf(call);
  if (!isSocket(found)) return found;
  if ((flags & MSG_OOB) !== 0) unsupported(call, 'MSG_OOB');
  if ((flags & ~WRITE_FLAGS) !== 0) {
    unsupported(call, `flags 0x${flags.toString(16)} of ${call.spec.name}`);
  }
  const { connection } = found;
  if (found.error !== 0) return fail(errorName(found.takeError()));
  if (found.writeShut || found.ended) return fail('EPIPE');
  if (connection === undefined) return fail('EPIPE');
  const waits = !found.nonBlocking && (flags & MSG_DONTWAIT) === 0;
  if (!found.established) return waits ? 'blocked' : fail('EAGAIN');
  const count = Math.min(size - call.done, found.room);
  if (count > 0) {
    const more = (flags & MSG_MORE) !== 0;
    if (more) connection.configure({ cork: true });
    connection.write(pattern(count, call.done));
    if (more && found.options.get('TCP_CORK') !== 1) found.options.set('MSG_MORE', 1);
    else releaseMore(found, more);
    call.done += count;
  }
  if (call.done === size) return ok(size);
  if (waits) return 'blocked';
  return call.done > 0 ? ok(call.done) : fail('EAGAIN');
}

/** A write without MSG_MORE lets go what those with it have held back. */
function releaseMore(found: TcpSocket, more: boolean): void {
  if (more || found.options.get('MSG_MORE') !== 1) return;
  found.options.delete('MSG_MORE');
  if (found.options.get('TCP_CORK') !== 1) found.connection?.configure({ cork: false });
}

/** Bytes in all pieces of an iovec: `[{..., 1000}, {..., 500}]`. */
function vectorSize(vector: Expression, call: Call): number {
  const items = vector.kind === 'list' ? vector.items : [vector];
  return items.reduce((sum, item) => {
    const fields = fieldsOf(item, call.line);
    const length = fields.get('iov_len') ?? fields.get('1');
    return sum + (length === undefined ? 0 : evaluate(length, call.line));
  }, 0);
}

function messageSize(call: Call): number {
  const fields = fieldsOf(argument(call, 1), call.line);
  const control = fields.get('msg_control');
  const empty =
    control === undefined ||
    control.kind === 'any' ||
    (control.kind === 'list' && control.items.length === 0) ||
    (control.kind === 'number' && control.value === 0);
  if (!empty) unsupported(call, 'msg_control');
  const vector = fields.get('msg_iov');
  return vector === undefined ? 0 : vectorSize(vector, call);
}

export const IO_CALLS: Readonly<Record<string, Handler>> = {
  read: (call) => receive(call, numberAt(call, 2), 0),
  readv: (call) => receive(call, vectorSize(argument(call, 1), call), 0),
  recv: (call) => receive(call, numberAt(call, 2), optionalNumberAt(call, 3, 0)),
  recvfrom: (call) => receive(call, numberAt(call, 2), optionalNumberAt(call, 3, 0)),
  recvmsg: (call) => receive(call, messageSize(call), optionalNumberAt(call, 2, 0)),
  write: (call) => transmit(call, numberAt(call, 2), 0),
  writev: (call) => transmit(call, vectorSize(argument(call, 1), call), 0),
  send: (call) => transmit(call, numberAt(call, 2), optionalNumberAt(call, 3, 0)),
  sendto: (call) => transmit(call, numberAt(call, 2), optionalNumberAt(call, 3, 0)),
  sendmsg: (call) => transmit(call, messageSize(call), optionalNumberAt(call, 2, 0)),
};
