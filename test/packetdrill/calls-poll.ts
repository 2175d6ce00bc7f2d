// Calls that wait for sockets: poll and epoll.
import { MILLISECOND } from '../../src/env/clock.ts';
import {
  argument,
  type Call,
  type Epoll,
  expectValue,
  fail,
  fieldsOf,
  type Handler,
  numberAt,
  type Outcome,
  ok,
  unsupported,
} from './calls.ts';
import { evaluate } from './constants.ts';
import { POLLERR, POLLHUP } from './tcp-socket.ts';

const POLLNVAL = 0x20;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EPOLLONESHOT = 0x4000_0000;
const EPOLLET = 0x8000_0000;

/** Sets the call's time limit once: milliseconds, negative for none. */
function limit(call: Call, timeout: number): void {
  if (call.begun) return;
  call.begun = true;
  if (timeout >= 0) call.deadline = call.startedAt + timeout * MILLISECOND;
}

const poll: Handler = (call) => {
  const list = argument(call, 0);
  const items = list.kind === 'list' ? list.items : [list];
  limit(call, numberAt(call, 2));
  const found = items.map((item) => {
    const fields = fieldsOf(item, call.line);
    const fd = fields.get('fd');
    const events = fields.get('events');
    const wanted = events === undefined ? 0 : evaluate(events, call.line);
    const descriptor = call.descriptors.get(fd === undefined ? -1 : evaluate(fd, call.line));
    if (descriptor === undefined) return POLLNVAL;
    if ('interest' in descriptor) return unsupported(call, 'poll of an epoll descriptor');
    return descriptor.events & (wanted | POLLERR | POLLHUP);
  });
  const ready = found.filter((events) => events !== 0).length;
  if (ready === 0 && call.world.now < call.deadline) return 'blocked';
  items.forEach((item, index) => {
    const expected = fieldsOf(item, call.line).get('revents');
    expectValue('revents', expected, found[index] ?? 0, call.line);
  });
  return ok(ready);
};

const create: Handler = (call) => ok(call.descriptors.add({ interest: new Map() }));

function epollOf(call: Call): Epoll | Outcome {
  const descriptor = call.descriptors.get(numberAt(call, 0));
  if (descriptor === undefined) return fail('EBADF');
  return 'interest' in descriptor ? descriptor : fail('EINVAL');
}

const control: Handler = (call) => {
  const epoll = epollOf(call);
  if (typeof epoll !== 'object' || !('interest' in epoll)) return epoll;
  const fd = numberAt(call, 2);
  if (call.descriptors.get(fd) === undefined) return fail('EBADF');
  const operation = numberAt(call, 1);
  if (operation === EPOLL_CTL_DEL) return epoll.interest.delete(fd) ? ok() : fail('ENOENT');
  const fields = fieldsOf(argument(call, 3), call.line);
  const events = fields.get('events');
  const data = fields.get('fd') ?? fields.get('ptr') ?? fields.get('u32') ?? fields.get('u64');
  const entry = {
    events: events === undefined ? 0 : evaluate(events, call.line),
    reported: 0,
    data: data === undefined ? fd : evaluate(data, call.line),
  };
  if (operation !== EPOLL_CTL_ADD && operation !== EPOLL_CTL_MOD) return fail('EINVAL');
  epoll.interest.set(fd, entry);
  return ok();
};

const wait: Handler = (call) => {
  const epoll = epollOf(call);
  if (typeof epoll !== 'object' || !('interest' in epoll)) return epoll;
  const expected = argument(call, 1);
  limit(call, numberAt(call, 3));
  const ready: { events: number; data: number }[] = [];
  for (const [fd, entry] of epoll.interest) {
    const descriptor = call.descriptors.get(fd);
    if (descriptor === undefined || 'interest' in descriptor) continue;
    const events = descriptor.events & (entry.events | POLLERR | POLLHUP);
    // Edge triggered: reported when something is there that was not the last time.
    const fresh = (entry.events & EPOLLET) === 0 || (events & ~entry.reported) !== 0;
    entry.reported = events;
    if (events === 0 || !fresh) continue;
    if ((entry.events & EPOLLONESHOT) !== 0) entry.events = 0;
    ready.push({ events, data: entry.data });
  }
  if (ready.length === 0 && call.world.now < call.deadline) return 'blocked';
  const [first] = ready;
  if (first !== undefined && expected.kind !== 'any') {
    const fields = fieldsOf(expected, call.line);
    expectValue('events', fields.get('events'), first.events, call.line);
    const data = fields.get('fd') ?? fields.get('ptr') ?? fields.get('u32') ?? fields.get('u64');
    expectValue('data', data, first.data, call.line);
  }
  return ok(ready.length);
};

export const POLL_CALLS: Readonly<Record<string, Handler>> = {
  poll,
  epoll_create: create,
  epoll_create1: create,
  epoll_ctl: control,
  epoll_wait: wait,
};
