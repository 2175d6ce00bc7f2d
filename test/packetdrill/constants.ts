// Names in system calls: their values on Linux, where it matters that they are distinct and can be combined.
import type { Expression } from './script.ts';
import { Unsupported } from './verdict.ts';

export const ERRORS: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EBADF: 9,
  EAGAIN: 11,
  EWOULDBLOCK: 11,
  EFAULT: 14,
  EINVAL: 22,
  EPIPE: 32,
  EDOM: 33,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EOPNOTSUPP: 95,
  ENOTSUP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
};

const VALUES: Readonly<Record<string, number>> = {
  ...ERRORS,
  AF_UNSPEC: 0,
  AF_INET: 2,
  PF_INET: 2,
  AF_INET6: 10,
  PF_INET6: 10,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_NONBLOCK: 0x800,
  SOCK_CLOEXEC: 0x8_0000,
  IPPROTO_IP: 0,
  IPPROTO_TCP: 6,
  SOL_TCP: 6,
  SOL_IP: 0,
  IPPROTO_IPV6: 41,
  SOL_IPV6: 41,
  SOL_SOCKET: 1,
  SOMAXCONN: 4096,
  INADDR_ANY: 0,
  INADDR_LOOPBACK: 0x7f00_0001,
  F_GETFL: 3,
  F_SETFL: 4,
  F_GETFD: 1,
  F_SETFD: 2,
  FD_CLOEXEC: 1,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_NONBLOCK: 0x800,
  SHUT_RD: 0,
  SHUT_WR: 1,
  SHUT_RDWR: 2,
  MSG_OOB: 1,
  MSG_PEEK: 2,
  MSG_CTRUNC: 8,
  MSG_TRUNC: 0x20,
  MSG_DONTWAIT: 0x40,
  MSG_EOR: 0x80,
  MSG_WAITALL: 0x100,
  MSG_ERRQUEUE: 0x2000,
  MSG_NOSIGNAL: 0x4000,
  MSG_MORE: 0x8000,
  MSG_ZEROCOPY: 0x400_0000,
  MSG_FASTOPEN: 0x2000_0000,
  POLLIN: 1,
  POLLPRI: 2,
  POLLOUT: 4,
  POLLERR: 8,
  POLLHUP: 0x10,
  POLLNVAL: 0x20,
  POLLRDNORM: 0x40,
  POLLWRNORM: 0x100,
  POLLRDHUP: 0x2000,
  EPOLLIN: 1,
  EPOLLPRI: 2,
  EPOLLOUT: 4,
  EPOLLERR: 8,
  EPOLLHUP: 0x10,
  EPOLLRDNORM: 0x40,
  EPOLLWRNORM: 0x100,
  EPOLLRDHUP: 0x2000,
  EPOLLONESHOT: 0x4000_0000,
  EPOLLET: 0x8000_0000,
  EPOLL_CTL_ADD: 1,
  EPOLL_CTL_DEL: 2,
  EPOLL_CTL_MOD: 3,
  FIONREAD: 0x541b,
  SIOCINQ: 0x541b,
  SIOCOUTQ: 0x5411,
  TIOCOUTQ: 0x5411,
  SIOCOUTQNSD: 0x894b,
  FIONBIO: 0x5421,
  IPTOS_LOWDELAY: 0x10,
  IPTOS_THROUGHPUT: 8,
  IPTOS_DSCP_CS1: 0x20,
  IPTOS_DSCP_CS2: 0x40,
  IPTOS_DSCP_CS3: 0x60,
  IPTOS_DSCP_CS4: 0x80,
  IPTOS_DSCP_CS5: 0xa0,
  IPTOS_DSCP_CS6: 0xc0,
  IPTOS_DSCP_CS7: 0xe0,
  IPTOS_DSCP_EF: 0xb8,
  TCP_CA_Open: 0,
  TCP_CA_Disorder: 1,
  TCP_CA_CWR: 2,
  TCP_CA_Recovery: 3,
  TCP_CA_Loss: 4,
};

/** @throws Unsupported for a name that is not known */
export function evaluate(expression: Expression, line: number): number {
  switch (expression.kind) {
    case 'number':
      return expression.value;
    case 'name': {
      const value = VALUES[expression.name];
      if (value === undefined) throw new Unsupported(line, expression.name);
      return value;
    }
    case 'or':
      return expression.parts.reduce((all, part) => (all | evaluate(part, line)) >>> 0, 0);
    case 'call': {
      const [only] = expression.arguments;
      const same = ['htons', 'htonl', 'ntohs', 'ntohl'].includes(expression.name);
      if (same && only !== undefined) return evaluate(only, line);
      throw new Unsupported(line, `${expression.name}()`);
    }
    case 'list': {
      const [only] = expression.items;
      if (expression.items.length === 1 && only !== undefined) return evaluate(only, line);
      throw new Unsupported(line, 'a list where a number is needed');
    }
    default:
      throw new Unsupported(line, `${expression.kind} where a number is needed`);
  }
}

/** The name of an error number. */
export const errorName = (code: number): string =>
  Object.entries(ERRORS).find(([, value]) => value === code)?.[0] ?? String(code);
