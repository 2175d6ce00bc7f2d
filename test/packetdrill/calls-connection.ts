// Calls that make, open, accept and close sockets.
import { TcpError } from '../../src/tcp/errors.ts';
import {
  argument,
  type Call,
  fail,
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
import { TcpSocket } from './tcp-socket.ts';
import { firstSettings } from './tuning.ts';

const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0x800;
const IPPROTO_TCP = 6;
const MAX_BACKLOG = 4_096;

/** The port in a socket address; undefined where the script leaves the address open. */
function portOf(call: Call, index: number): number | undefined {
  const address = argument(call, index);
  if (address.kind !== 'struct') return undefined;
  const port = address.fields.get('sin_port') ?? address.fields.get('sin6_port');
  if (port === undefined || port.kind === 'any') return undefined;
  return evaluate(port, call.line);
}

const socket: Handler = (call) => {
  const type = numberAt(call, 1);
  const protocol = optionalNumberAt(call, 2, 0);
  if ((type & 15) !== SOCK_STREAM) return unsupported(call, 'sockets other than SOCK_STREAM');
  if (protocol !== 0 && protocol !== IPPROTO_TCP) unsupported(call, `protocol ${protocol}`);
  const made = new TcpSocket();
  made.nonBlocking = (type & SOCK_NONBLOCK) !== 0;
  return ok(call.descriptors.add(made));
};

const bind: Handler = (call) => {
  const found = socketOf(call);
  if (!isSocket(found)) return found;
  if (found.port !== undefined) return fail('EINVAL');
  found.port = portOf(call, 1) ?? call.world.ends.bindPort;
  return ok();
};

const listen: Handler = (call) => {
  const found = socketOf(call);
  if (!isSocket(found)) return found;
  const { world } = call;
  if (found.connection !== undefined) return fail('EINVAL');
  if (found.listener !== undefined) return ok();
  const backlog = Math.min(Math.max(numberAt(call, 1), 0) + 1, MAX_BACKLOG);
  try {
    found.listener = world.host.tcp.listen({
      local: { address: world.ends.local, port: found.port ?? world.ends.bindPort },
      backlog,
      settings: firstSettings(found.options, world.configuration),
      offer: () => world.offer(firstSettings(found.options, world.configuration)),
      accept: (connection) => {
        const child = new TcpSocket(new Map(found.options));
        child.connection = connection;
        child.established = true;
        world.slowStartOfAcks(connection);
        found.waiting.push(child);
        return child;
      },
    });
  } catch (error) {
    if (error instanceof TcpError) return fail(error.code);
    throw error;
  }
  world.listening = true;
  return ok();
};

const accept: Handler = (call) => {
  const found = socketOf(call);
  if (!isSocket(found)) return found;
  if (found.listener === undefined) return fail('EINVAL');
  const child = found.waiting.shift();
  if (child === undefined) return found.nonBlocking ? fail('EAGAIN') : 'blocked';
  const flags = optionalNumberAt(call, 3, 0);
  child.nonBlocking = (flags & SOCK_NONBLOCK) !== 0;
  return ok(call.descriptors.add(child));
};

const connect: Handler = (call) => {
  const found = socketOf(call);
  if (!isSocket(found)) return found;
  if (found.connection !== undefined && !call.begun) {
    if (found.error !== 0) return fail(errorName(found.takeError()));
    if (found.ended) return fail('ECONNABORTED');
    if (found.established) return fail('EISCONN');
    return fail('EALREADY');
  }
  if (!call.begun) return open(call, found);
  if (found.established) return ok();
  return found.ended ? fail(errorName(found.takeError())) : 'blocked';
};

function open(call: Call, found: TcpSocket): Outcome {
  const { world } = call;
  const { ends, host, configuration } = world;
  if (configuration.ecn === 1 && configuration.ecnRetries > 0) {
    return unsupported(call, `net.inet.tcp.ecn.maxretries=${configuration.ecnRetries}`);
  }
  try {
    const port = portOf(call, 1);
    const settings = firstSettings(found.options, configuration);
    found.connection = host.tcp.connect({
      local: ends.local,
      localPort: found.port,
      remote: { address: ends.remote, port: port ?? ends.connectPort },
      offer: world.offer(settings),
      settings,
      handler: found,
    });
  } catch (error) {
    if (error instanceof TcpError) return fail(error.code);
    throw error;
  }
  world.slowStartOfAcks(found.connection);
  world.listening = false;
  world.beginActive(found.connection);
  call.begun = true;
  return found.nonBlocking ? fail('EINPROGRESS') : 'blocked';
}

const shutdown: Handler = (call) => {
  const found = socketOf(call);
  if (!isSocket(found)) return found;
  const how = numberAt(call, 1);
  if (how < 0 || how > 2) return fail('EINVAL');
  const { connection } = found;
  if (connection === undefined || found.ended || !found.established) return fail('ENOTCONN');
  if (how !== 1) {
    found.readShut = true;
    connection.refusesText = true;
  }
  if (how !== 0) {
    found.writeShut = true;
    connection.end();
  }
  return ok();
};

const close: Handler = (call) => {
  const fd = numberAt(call, 0);
  const descriptor = call.descriptors.get(fd);
  if (descriptor === undefined) return fail('EBADF');
  if (!('interest' in descriptor)) closeSocket(descriptor);
  call.descriptors.remove(fd);
  return ok();
};

/** Unread bytes mean that the peer must hear of a loss: a reset (RFC 9293, 3.6.1; RFC 2525, 2.17). */
function closeSocket(found: TcpSocket): void {
  found.listener?.close();
  for (const child of found.waiting.splice(0)) child.connection?.abort();
  const { connection } = found;
  if (connection === undefined || found.ended) return;
  if (connection.receiveBuffer.length > 0) connection.abort();
  else connection.abandon('reset');
}

export const CONNECTION_CALLS: Readonly<Record<string, Handler>> = {
  socket,
  bind,
  listen,
  accept,
  accept4: accept,
  connect,
  shutdown,
  close,
};
