// Calls that ask a socket about itself, or tell it how to be.
import { TcpError } from '../../src/tcp/errors.ts';
import {
  argument,
  type Call,
  expectValue,
  fail,
  fieldsOf,
  type Handler,
  isSocket,
  numberAt,
  ok,
  socketOf,
  unsupported,
} from './calls.ts';
import { evaluate } from './constants.ts';
import type { Expression } from './script.ts';
import { getOption, isKnown, setOption } from './socket-options.ts';
import type { TcpSocket } from './tcp-socket.ts';

const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const O_RDWR = 2;
const O_NONBLOCK = 0x800;
const SIOCINQ = 0x541b;
const SIOCOUTQ = 0x5411;
const SIOCOUTQNSD = 0x894b;
const FIONBIO = 0x5421;

const fcntl: Handler = (call) => {
  const found = socketOf(call);
  if (!isSocket(found)) return found;
  switch (numberAt(call, 1)) {
    case F_GETFL:
      return ok(O_RDWR | (found.nonBlocking ? O_NONBLOCK : 0));
    case F_SETFL:
      found.nonBlocking = (numberAt(call, 2) & O_NONBLOCK) !== 0;
      return ok();
    case F_GETFD:
    case F_SETFD:
      return ok();
    default:
      return unsupported(call, 'that command of fcntl');
  }
};

const ioctl: Handler = (call) => {
  const found = socketOf(call);
  if (!isSocket(found)) return found;
  const { connection } = found;
  const request = numberAt(call, 1);
  if (request === FIONBIO) {
    found.nonBlocking = numberAt(call, 2) !== 0;
    return ok();
  }
  const fin = connection?.snd.finQueued === true && !found.ended ? 1 : 0;
  const queued = connection?.sendBuffer.length ?? 0;
  const sent = connection === undefined ? 0 : (connection.snd.nxt - connection.snd.una) | 0;
  if (request === SIOCINQ) check(call, found.readable);
  else if (request === SIOCOUTQ) check(call, queued + fin);
  else if (request === SIOCOUTQNSD) check(call, Math.max(0, queued + fin - sent));
  else unsupported(call, 'that request of ioctl');
  return ok();
};

function check(call: Call, actual: number): void {
  const expected = argument(call, 2);
  expectValue(
    call.spec.name,
    expected.kind === 'list' ? expected.items[0] : expected,
    actual,
    call.line,
  );
}

function optionName(call: Call): string {
  const name = argument(call, 2);
  return name.kind === 'name' ? name.name : unsupported(call, 'an option without a name');
}

const getsockopt: Handler = (call) => {
  const found = socketOf(call);
  if (!isSocket(found)) return found;
  const name = optionName(call);
  const expected = argument(call, 3);
  const { line, world } = call;
  if (name === 'SO_ERROR') {
    const error = found.takeError();
    expectValue('SO_ERROR', expected.kind === 'list' ? expected.items[0] : expected, error, line);
    return ok();
  }
  if (name === 'TCP_INFO' || name === 'TCP_CC_INFO') {
    const open = expected.kind === 'struct' ? [...expected.fields.values()] : [expected];
    if (open.every(({ kind }) => kind === 'any')) return ok();
    return unsupported(call, `the bytes of ${name}`);
  }
  if (name === 'TCP_CONGESTION') {
    const named = found.options.get('TCP_CONGESTION') ?? 0;
    const actual = NAMES[named] ?? world.configuration.congestionControl;
    if (expected.kind === 'text' && expected.value.replace('reno', 'newreno') !== actual) {
      unsupported(call, `congestion control ${expected.value}`);
    }
    return ok();
  }
  const actual = getOption(found, name, world.configuration);
  if (actual === undefined) return unsupported(call, name);
  // In lenient mode another system's sizes are not ours; the script's runner tells.
  if (world.ignoresSizes && (name === 'SO_RCVBUF' || name === 'SO_SNDBUF')) {
    // The buffer of a connection is the window that its system counts with.
    const tells = name === 'SO_RCVBUF' && expected.kind !== 'any' && found.connection !== undefined;
    if (tells) world.theirWindow = evaluate(expected, line);
    return ok();
  }
  if (name === 'SO_LINGER') {
    const fields = fieldsOf(expected, line);
    expectValue('l_onoff', fields.get('l_onoff') ?? fields.get('onoff'), actual < 0 ? 0 : 1, line);
    expectValue(
      'l_linger',
      fields.get('l_linger') ?? fields.get('linger'),
      Math.max(0, actual),
      line,
    );
    return ok();
  }
  expectValue(name, expected.kind === 'list' ? expected.items[0] : expected, actual, line);
  return ok();
};

const NAMES: Readonly<Record<number, string>> = { 1: 'cubic', 2: 'newreno' };

function congestionNumber(expression: Expression): number {
  if (expression.kind !== 'text') return 0;
  return { cubic: 1, reno: 2, newreno: 2 }[expression.value] ?? 0;
}

const setsockopt: Handler = (call) => {
  const found = socketOf(call);
  if (!isSocket(found)) return found;
  const name = optionName(call);
  const given = argument(call, 3);
  if (name === 'TCP_CONGESTION') {
    const number = congestionNumber(given);
    if (number === 0) unsupported(call, 'that congestion control');
    return set(call, found, name, number);
  }
  if (!isKnown(name)) unsupported(call, name);
  if (name === 'SO_LINGER') {
    const fields = fieldsOf(given, call.line);
    const on = fields.get('l_onoff') ?? fields.get('onoff') ?? fields.get('0');
    const time = fields.get('l_linger') ?? fields.get('linger') ?? fields.get('1');
    const value = (part: Expression | undefined): number =>
      part === undefined ? 0 : evaluate(part, call.line);
    return set(call, found, name, value(on) === 0 ? -1 : value(time));
  }
  const value = evaluate(given, call.line);
  // Linux doubles what is asked for, to have room for its own bookkeeping.
  const doubled = name === 'SO_RCVBUF' || name === 'SO_SNDBUF';
  return set(call, found, name, doubled ? 2 * value : value);
};

function set(call: Call, found: TcpSocket, name: string, value: number): ReturnType<Handler> {
  try {
    return setOption(found, name, value) ? ok() : unsupported(call, name);
  } catch (error) {
    if (error instanceof TcpError) return fail(error.code);
    throw error;
  }
}

/** Both names of a socket are those of the test bed. */
const getname =
  (ours: boolean): Handler =>
  (call) => {
    const found = socketOf(call);
    if (!isSocket(found)) return found;
    if (!ours && (found.connection === undefined || found.ended)) return fail('ENOTCONN');
    const address = argument(call, 1);
    if (address.kind !== 'struct') return ok();
    const port = address.fields.get('sin_port') ?? address.fields.get('sin6_port');
    const { connection } = found;
    const actual = ours
      ? (connection?.local.port ?? found.port ?? 0)
      : (connection?.remote.port ?? 0);
    expectValue('port', port, actual, call.line);
    return ok();
  };

export const OPTION_CALLS: Readonly<Record<string, Handler>> = {
  fcntl,
  ioctl,
  getsockopt,
  setsockopt,
  getsockname: getname(true),
  getpeername: getname(false),
};
