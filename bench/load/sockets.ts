// Kernel sockets without an event loop between: a load generator that must know to the microsecond when it
// sent and when the answer was there cannot afford one. Numbers are those of Linux (asm-generic).
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const cSocket = libc.func('int socket(int domain, int type, int protocol)');
const cConnect = libc.func('int connect(int fd, const void *address, uint32_t length)');
const cSetsockopt = libc.func(
  'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
);
const cPpoll = libc.func(
  'int ppoll(void *fds, ulong count, const void *timeout, const void *mask)',
);
const cRead = libc.func('int64_t read(int fd, void *buffer, uint64_t count)');
const cWrite = libc.func('int64_t write(int fd, const void *buffer, uint64_t count)');
const cClose = libc.func('int close(int fd)');
const cPrctl = libc.func('int prctl(int option, ulong value, ulong a, ulong b, ulong c)');

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const PR_SET_TIMERSLACK = 29;
const EAGAIN = 11;
const EINPROGRESS = 115;
const POLLFD = 8;
export const POLLIN = 0x1;
export const POLLOUT = 0x4;

const ONE = new Uint8Array([1, 0, 0, 0]);

/** Without it the kernel may be 50 us late with every timeout (prctl(2)). */
export function sleepExactly(): void {
  cPrctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

/**
 * Begins a connection. It is there once the descriptor is writable.
 * @param address IPv4, in the order of the wire
 * @throws Error when it cannot even begin
 */
export function connect(address: number, port: number): number {
  const fd = cSocket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const name = new Uint8Array(16);
  const view = new DataView(name.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  view.setUint32(4, address);
  cSetsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ONE, ONE.length);
  if (cConnect(fd, name, name.length) < 0 && koffi.errno() !== EINPROGRESS) {
    throw new Error(`connect: error ${koffi.errno()}`);
  }
  return fd;
}

/** Bytes read, 0 at the end, or -1 when there is nothing yet. @throws Error when the connection broke */
export function read(fd: number, buffer: Uint8Array): number {
  const count = Number(cRead(fd, buffer, buffer.length));
  if (count < 0 && koffi.errno() !== EAGAIN) throw new Error(`read: error ${koffi.errno()}`);
  return count;
}

/** @throws Error when it was not taken as a whole */
export function write(fd: number, bytes: Uint8Array): void {
  if (Number(cWrite(fd, bytes, bytes.length)) !== bytes.length) {
    throw new Error(`write: error ${koffi.errno()}`);
  }
}

export const close = (fd: number): void => {
  cClose(fd);
};

/** Descriptors to wait for, each at its place. */
export class PollSet {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #timeout = new BigInt64Array(2);
  readonly #timeoutBytes = new Uint8Array(this.#timeout.buffer);

  constructor(places: number) {
    this.#bytes = new Uint8Array(places * POLLFD);
    this.#view = new DataView(this.#bytes.buffer);
    for (let place = 0; place < places; place++) this.set(place, -1, 0);
  }

  /** A negative descriptor leaves the place empty. */
  set(place: number, fd: number, events: number): void {
    this.#view.setInt32(place * POLLFD, fd, true);
    this.#view.setInt16(place * POLLFD + 4, events, true);
  }

  /** Whether anything, an error too, happened at a place in the last `wait`. */
  isReady(place: number): boolean {
    return this.#view.getInt16(place * POLLFD + 6, true) !== 0;
  }

  /** Blocks the thread for at most so many microseconds. How many places are ready. */
  wait(micros: number): number {
    const nanos = Math.max(0, Math.floor(micros * 1_000));
    this.#timeout[0] = BigInt(Math.floor(nanos / 1e9));
    this.#timeout[1] = BigInt(nanos % 1e9);
    return cPpoll(this.#bytes, this.#bytes.length / POLLFD, this.#timeoutBytes, null);
  }
}
