// The event loop of Node itself: libuv's functions, which the program exports for native modules, through koffi.
import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';
import { calloc, free, POLLIN, pollAsync, pollSet, SystemError } from './libc.ts';

/** `uv_handle_type` and `uv_poll_event`, which are part of libuv's interface. */
const UV_POLL = 8;
const UV_READABLE = 1;

const program = koffi.load(null);
// `uv_poll_cb` and `uv_close_cb`.
const onPoll = koffi.pointer(koffi.proto('void', ['uint64_t', 'int', 'int']));
const onClose = koffi.pointer(koffi.proto('void', ['uint64_t']));
const uvDefaultLoop = program.func('uint64_t uv_default_loop()');
const uvHandleSize = program.func('uint64_t uv_handle_size(int type)');
const uvPollInit = program.func('int uv_poll_init(uint64_t loop, uint64_t handle, int fd)');
const uvPollStart = program.func('uv_poll_start', 'int', ['uint64_t', 'int', onPoll]);
const uvPollStop = program.func('int uv_poll_stop(uint64_t handle)');
const uvClose = program.func('uv_close', 'void', ['uint64_t', onClose]);

/** Those that are open, by the address of their handle. */
const waits = new Map<number, EventLoopWait>();
/** Registered once: what one descriptor's handle calls is what all call. */
const polled = koffi.register((handle: number) => waits.get(Number(handle))?.end(true), onPoll);
const closed = koffi.register((handle: number) => free(Number(handle)), onClose);

/** Waits until a descriptor can be read. */
export interface Readiness {
  /**
   * True once there is something to read; false after `milliseconds`, or when it is closed. Not to be called again
   * before that.
   */
  within(milliseconds: number): Promise<boolean>;
  /** To be called before the descriptor is closed; `then` when it may be. */
  close(then: () => void): void;
}

/** The event loop's own wait, which takes a tenth of the time that a thread of the pool and the way there and back take. */
class EventLoopWait implements Readiness {
  readonly #handle: number;
  #resolve: ((ready: boolean) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(fd: number) {
    this.#handle = calloc(uvHandleSize(UV_POLL));
    const error = uvPollInit(uvDefaultLoop(), this.#handle, fd);
    if (error < 0) {
      free(this.#handle);
      throw new SystemError('uv_poll_init', -error, `of descriptor ${fd}`);
    }
    waits.set(this.#handle, this);
  }

  within(milliseconds: number): Promise<boolean> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#timer = setTimeout(() => this.end(false), milliseconds);
      uvPollStart(this.#handle, UV_READABLE, polled);
    });
  }

  end(ready: boolean): void {
    const resolve = this.#resolve;
    if (resolve === undefined) return;
    this.#resolve = undefined;
    clearTimeout(this.#timer);
    uvPollStop(this.#handle);
    resolve(ready);
  }

  close(then: () => void): void {
    this.end(false);
    waits.delete(this.#handle);
    uvClose(this.#handle, closed);
    then();
  }
}

/** A wait on a thread of the pool: a worker that ended while a handle of its loop is open would end the whole process. */
class PoolWait implements Readiness {
  readonly #set: Uint8Array;
  #then: (() => void) | undefined;
  #isWaiting = false;

  constructor(fd: number) {
    this.#set = pollSet(fd, POLLIN);
  }

  async within(milliseconds: number): Promise<boolean> {
    this.#isWaiting = true;
    const ready = await pollAsync(this.#set, milliseconds);
    this.#isWaiting = false;
    this.#then?.();
    return ready > 0;
  }

  close(then: () => void): void {
    // A descriptor that another thread polls must not be closed and given out again under it.
    if (this.#isWaiting) this.#then = then;
    else then();
  }
}

/** @throws SystemError for a descriptor that cannot be waited for */
export const readiness = (fd: number): Readiness =>
  isMainThread ? new EventLoopWait(fd) : new PoolWait(fd);
