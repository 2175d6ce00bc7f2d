// The C library through koffi: the only file that knows the FFI. Numbers are those of Linux on x86-64 and
// arm64 (asm-generic), where they agree.
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');

export const O_RDWR = 0o2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const POLLIN = 0x1;
export const CLONE_NEWNET = 0x4000_0000;
export const AF_INET = 2;
export const SOCK_DGRAM = 2;
export const SOCK_CLOEXEC = 0o2000000;

export const EINTR = 4;
export const EAGAIN = 11;

const cOpen = libc.func('int open(const char *path, int flags)');
const cClose = libc.func('int close(int fd)');
const cRead = libc.func('int64_t read(int fd, uint64_t buffer, uint64_t count)');
const cWrite = libc.func('int64_t write(int fd, uint64_t buffer, uint64_t count)');
const cIoctlBuffer = libc.func('int ioctl(int fd, ulong request, void *argument)');
const cPoll = libc.func('int poll(void *fds, ulong count, int timeout)');
const cSetns = libc.func('int setns(int fd, int type)');
const cSocket = libc.func('int socket(int domain, int type, int protocol)');
const cStrerror = libc.func('const char *strerror(int number)');
const cIfIndex = libc.func('uint32_t if_nametoindex(const char *name)');
// `ioctl` is variadic: the same symbol under another prototype takes its argument by value.
const cIoctlValue = libc.func('ioctl', 'int', ['int', 'ulong', 'ulong']);

/** A system call that failed, with its name, the reason and what it was about. */
export class SystemError extends Error {
  readonly errno: number;
  readonly call: string;

  constructor(call: string, errno: number, about: string) {
    super(`${call} ${about}: ${cStrerror(errno)}`);
    this.name = 'SystemError';
    this.call = call;
    this.errno = errno;
  }
}

/** The calling thread's `errno` after a call that returned -1. */
export const errno = (): number => koffi.errno();

function check(result: number, call: string, about: string): number {
  if (result < 0) throw new SystemError(call, koffi.errno(), about);
  return result;
}

/** The address of a buffer's first byte. The buffer must stay alive while the address is used. */
export const addressOf = (buffer: Uint8Array<ArrayBuffer>): number => Number(koffi.address(buffer));

export const open = (path: string, flags: number): number =>
  check(cOpen(path, flags), 'open', path);

export const close = (fd: number): void => {
  cClose(fd);
};

/** Bytes read to `address`, or -1 (see `errno`). */
export const read = (fd: number, address: number, count: number): number =>
  cRead(fd, address, count);

/** Bytes written from `address`, or -1 (see `errno`). */
export const write = (fd: number, address: number, count: number): number =>
  cWrite(fd, address, count);

export const ioctl = (fd: number, request: number, argument: Uint8Array, about: string): void => {
  check(cIoctlBuffer(fd, request, argument), 'ioctl', about);
};

export const ioctlValue = (fd: number, request: number, value: number, about: string): void => {
  check(cIoctlValue(fd, request, value), 'ioctl', about);
};

export const socket = (domain: number, type: number, protocol: number): number =>
  check(cSocket(domain, type, protocol), 'socket', `of domain ${domain}`);

export const setns = (fd: number, type: number, about: string): void => {
  check(cSetns(fd, type), 'setns', about);
};

/** The index of a network interface of the calling thread's namespace; 0 if there is none so named. */
export const interfaceIndex = (name: string): number => cIfIndex(name);

/** One descriptor to be polled: `struct pollfd`. */
export function pollSet(fd: number, events: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(8));
  const view = new DataView(bytes.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, events, true);
  return bytes;
}

/** Blocks the thread until the descriptor is ready or `timeout` milliseconds passed; how many are ready. */
export const poll = (set: Uint8Array, timeout: number): number => cPoll(set, 1, timeout);

/** The same on a thread of the pool, so that the event loop stays free. */
export const pollAsync = (set: Uint8Array, timeout: number): Promise<number> =>
  new Promise((resolve) => {
    cPoll.async(set, 1, timeout, (_error: unknown, ready: number) => resolve(ready));
  });
