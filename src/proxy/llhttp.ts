/**
 * llhttp, Node's own HTTP/1 parser (generated from a state machine), as the WebAssembly module that
 * undici carries. Only what a request head needs of it.
 */
import { createRequire } from 'node:module';

/** The result of `execute`. */
export const OK = 0;
export const INVALID_METHOD = 6;
/** `execute` stopped at the end of the head, as it should. */
export const PAUSED = 21;

/** Parser type "request" (`HTTP_REQUEST` in llhttp.h). */
const REQUEST = 1;
/** Largest head, in bytes: also the largest that a configuration may allow. */
export const CAPACITY = 65_536;

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  _initialize(): void;
  malloc(size: number): number;
  llhttp_alloc(type: number): number;
  llhttp_reset(parser: number): void;
  llhttp_execute(parser: number, data: number, length: number): number;
  llhttp_get_error_pos(parser: number): number;
  llhttp_get_error_reason(parser: number): number;
}

/** The part of the global that is used; its types belong to those of the browser. */
interface WebAssemblyGlobal {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}
const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyGlobal };

/**
 * One parser, used again for every head: it keeps nothing between two calls of `execute`. Header
 * fields are found as offsets into `bytes`, in the order of the head.
 */
export class HeadParser {
  /** The head that was parsed last; overwritten by the next one. */
  readonly bytes: Buffer;
  /** Four offsets a header field: start and end of its name, start and end of its value. */
  readonly fields: number[] = [];
  /** Whether the connection stays open after this request (RFC 9112, 9.3). */
  keepAlive = false;
  readonly #llhttp: Exports;
  readonly #memory: Buffer;
  readonly #parser: number;
  readonly #data: number;

  constructor() {
    const next = (): number => 0;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(loadModule()), {
      env: {
        wasm_on_message_begin: next,
        wasm_on_url: next,
        wasm_on_status: next,
        wasm_on_body: next,
        wasm_on_message_complete: next,
        // The whole head is there, so that llhttp reports every name and value in one piece.
        wasm_on_header_field: (_parser: number, at: number, length: number) =>
          this.#span(at, length),
        wasm_on_header_value: (_parser: number, at: number, length: number) =>
          this.#span(at, length),
        wasm_on_headers_complete: (_parser: number, _status: number, _up: number, keep: number) => {
          this.keepAlive = keep !== 0;
          return PAUSED;
        },
      },
    });
    this.#llhttp = instance.exports as Exports;
    this.#llhttp._initialize();
    this.#parser = this.#llhttp.llhttp_alloc(REQUEST);
    this.#data = this.#llhttp.malloc(CAPACITY);
    // After the last allocation: the module's memory does not grow, so that views of it stay good.
    this.#memory = Buffer.from(this.#llhttp.memory.buffer);
    this.bytes = this.#memory.subarray(this.#data, this.#data + CAPACITY);
  }

  /**
   * Parses `head`, at most `CAPACITY` bytes: `PAUSED` if it is a complete head that llhttp finds
   * right and nothing follows it, else the error's number, or `OK` if it is not complete.
   */
  execute(head: Uint8Array): number {
    if (this.fields.length > 0) this.fields.length = 0;
    this.keepAlive = false;
    this.bytes.set(head);
    this.#llhttp.llhttp_reset(this.#parser);
    const result = this.#llhttp.llhttp_execute(this.#parser, this.#data, head.length);
    if (result !== PAUSED) return result;
    const end = this.#llhttp.llhttp_get_error_pos(this.#parser) - this.#data;
    return end === head.length ? PAUSED : OK;
  }

  /** What llhttp says about the last error, in ASCII. */
  reason(): string {
    const start = this.#llhttp.llhttp_get_error_reason(this.#parser);
    return this.#memory.toString('latin1', start, this.#memory.indexOf(0, start));
  }

  #span(at: number, length: number): number {
    const start = at - this.#data;
    this.fields.push(start, start + length);
    return 0;
  }
}

function loadModule(): Uint8Array {
  // The build without SIMD runs on every processor, and on heads it is no slower.
  return createRequire(import.meta.url)('undici/lib/llhttp/llhttp-wasm.js') as Uint8Array;
}
