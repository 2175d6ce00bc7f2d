// The C library through koffi. Beside it only libuv.ts knows the FFI. Numbers are those of Linux on x86-64 and
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

/** What `lockRobust` returns when the owner of the lock is dead. */
export const EOWNERDEAD = 130;
const PTHREAD_PROCESS_SHARED = 1;
const PTHREAD_MUTEX_ROBUST = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MFD_CLOEXEC = 1;
/** More than any `pthread_mutexattr_t`. */
const ATTRIBUTE_BYTES = 64;

export const EINTR = 4;
export const EAGAIN = 11;

const cOpen = libc.func('int open(const char *path, int flags)');
const cClose = libc.func('int close(int fd)');
const cRead = libc.func('int64_t read(int fd, uint64_t buffer, uint64_t count)');
const cWrite = libc.func('int64_t write(int fd, uint64_t buffer, uint64_t count)');
const cIoctlBuffer = libc.func('int ioctl(int fd, ulong request, void *argument)');
const cMemfd = libc.func('int memfd_create(const char *name, uint32_t flags)');
const cFtruncate = libc.func('int ftruncate(int fd, int64_t length)');
const cMmap = libc.func(
  'int64_t mmap(uint64_t address, uint64_t length, int protection, int flags, int fd, int64_t offset)',
);
const cAttributeInit = libc.func('int pthread_mutexattr_init(void *attribute)');
const cSetShared = libc.func('int pthread_mutexattr_setpshared(void *attribute, int shared)');
const cSetRobust = libc.func('int pthread_mutexattr_setrobust(void *attribute, int robust)');
const cMutexInit = libc.func('int pthread_mutex_init(uint64_t mutex, void *attribute)');
const cMutexLock = libc.func('int pthread_mutex_lock(uint64_t mutex)');
const cMutexUnlock = libc.func('int pthread_mutex_unlock(uint64_t mutex)');
const cCalloc = libc.func('uint64_t calloc(uint64_t count, uint64_t size)');
const cFree = libc.func('void free(uint64_t address)');
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

/** The address of so many bytes, all zero, which stay where they are until `free`. */
export const calloc = (bytes: number): number => Number(cCalloc(1, bytes));

export const free = (address: number): void => {
  cFree(address);
};

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

/** A file of `length` zeros that is nowhere but in memory. */
export function memoryFile(name: string, length: number): number {
  const fd = check(cMemfd(name, MFD_CLOEXEC), 'memfd_create', name);
  check(cFtruncate(fd, length), 'ftruncate', name);
  return fd;
}

/** The address of a file's first `length` bytes, shared with all who map them. */
export const mapShared = (fd: number, length: number): number =>
  check(cMmap(0, length, PROT_READ_WRITE, MAP_SHARED, fd, 0), 'mmap', `of descriptor ${fd}`);

/** Makes a lock in shared memory that tells who waits for it when its owner's thread dies, and takes it. */
export function holdRobust(address: number): void {
  const attribute = new Uint8Array(ATTRIBUTE_BYTES);
  cAttributeInit(attribute);
  cSetShared(attribute, PTHREAD_PROCESS_SHARED);
  cSetRobust(attribute, PTHREAD_MUTEX_ROBUST);
  const failed = cMutexInit(address, attribute) || cMutexLock(address);
  if (failed !== 0) throw new SystemError('pthread_mutex_lock', failed, 'of a robust mutex');
}

/** Blocks the thread until the lock is free: 0, `EOWNERDEAD` or another error number. */
export const lockRobust = (address: number): number => cMutexLock(address);

export const unlockRobust = (address: number): void => {
  cMutexUnlock(address);
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
