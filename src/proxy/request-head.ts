/**
 * The head of an HTTP/1.1 request, from bytes as they arrive. llhttp parses; what it lets pass but
 * RFC 9112 forbids is refused here, because two readings of one request are how requests are
 * smuggled.
 */
import { CAPACITY, HeadParser, INVALID_METHOD, PAUSED } from './llhttp.ts';

/** What a route is chosen by. */
export interface RequestHead {
  readonly method: string;
  /** The request target as sent (RFC 9112, 3.2). */
  readonly target: string;
  /** The target's path without the query, as sent; `*` for `OPTIONS *`. */
  readonly path: string;
  /** The Host field or the target's authority, as sent; empty when HTTP/1.0 gives neither. */
  readonly host: string;
  readonly version: '1.0' | '1.1';
  /** Whether another request may follow on this connection (RFC 9112, 9.3). */
  readonly keepAlive: boolean;
  /** Bytes of the head, its empty line included. */
  readonly headLength: number;
}

/** Why a head is refused: the status of the response, and words for a log. */
export interface HeadError {
  readonly status: 400 | 414 | 431 | 501 | 505;
  readonly reason: string;
}

export interface HeadLimits {
  /** Bytes of a head with its empty line, at most 65,536. */
  readonly maxHeadBytes: number;
}

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;

/** Method, target and version between single spaces (RFC 9112, 3). */
const REQUEST_LINE = /^([\w!#$%&'*+.^`|~-]+) ([\x21-\x7e]+) HTTP\/(\d)\.(\d)$/;
/** One character of a method: `tchar` of RFC 9110, 5.6.2. */
const TOKEN_CHARACTER = /[\w!#$%&'*+.^`|~-]/;
/** No method that llhttp knows is as long. */
const METHOD_LENGTH = 32;
/** RFC 9112, 3.2.2; without user information (RFC 9110, 4.2.4). */
const ABSOLUTE_FORM = /^https?:\/\/([^/?@]+)((?:[/?].*)?)$/i;
/** `uri-host [":" port]`, not empty (RFC 9110, 4.2.1 and 7.2). */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[\w.~%-]+)(?::\d{0,5})?$/;
/** Transfer codings that may come before the chunked one (RFC 9112, 7). */
const COMPRESSIONS: ReadonlySet<string> = new Set([
  'gzip',
  'x-gzip',
  'deflate',
  'compress',
  'x-compress',
]);

const parser = new HeadParser();

/**
 * Parses the request head at the start of `bytes[0, length)`.
 *
 * While it is `'incomplete'`, call again from the same start when more bytes are there, with
 * `searched` = the `length` of the last call: then each byte is searched for the end of the head
 * once, and parsed once. What follows the head is not looked at. Never throws.
 */
export function parseRequestHead(
  bytes: Uint8Array,
  length: number,
  limits: HeadLimits,
  searched = 0,
): RequestHead | 'incomplete' | HeadError {
  const limit = Math.min(limits.maxHeadBytes, CAPACITY);
  const seen = bytes.subarray(0, Math.min(length, limit));
  const end = findEnd(seen, searched);
  if (end === BARE_LF) return bad('a line ends in LF without CR');
  if (end !== NOT_YET) return parseComplete(seen.subarray(0, end));
  if (!mayBeginRequest(seen)) return bad('this is not an HTTP request');
  if (length < limit) return 'incomplete';
  return seen.includes(LF)
    ? { status: 431, reason: `the head is longer than ${limit} bytes` }
    : { status: 414, reason: `the request line is longer than ${limit} bytes` };
}

/** Tells a refused head from one that is right. */
export function isHeadError(result: RequestHead | HeadError): result is HeadError {
  return 'status' in result;
}

function bad(reason: string): HeadError {
  return { status: 400, reason };
}

const NOT_YET = -1;
const BARE_LF = -2;

/**
 * Length of the head up to and with its empty line. RFC 9112, 2.2 would let a LF alone end a line;
 * servers differ in that, so it is refused, and at once: no CRLF may ever come.
 */
function findEnd(bytes: Uint8Array, searched: number): number {
  for (let at = bytes.indexOf(LF, searched); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] !== CR) return BARE_LF;
    if (bytes[at - 2] === LF) return at + 1;
  }
  return NOT_YET;
}

/** Whether the first bytes can become a method: what speaks another protocol need not time out. */
function mayBeginRequest(bytes: Uint8Array): boolean {
  const start = afterEmptyLine(bytes);
  const end = Math.min(bytes.length, start + METHOD_LENGTH);
  for (let at = start; at < end; at++) {
    if (bytes[at] === SPACE) return at > start;
    if (!TOKEN_CHARACTER.test(String.fromCharCode(bytes[at]))) return false;
  }
  return true;
}

/** RFC 9112, 2.2: one empty line in front of the request line is ignored. */
function afterEmptyLine(bytes: Uint8Array): number {
  if (bytes[0] !== CR) return 0;
  return bytes.length === 1 ? 1 : bytes[1] === LF ? 2 : 0;
}

function parseComplete(head: Uint8Array): RequestHead | HeadError {
  const result = parser.execute(head);
  const start = afterEmptyLine(head);
  const line = REQUEST_LINE.exec(parser.bytes.toString('latin1', start, head.indexOf(CR, start)));
  if (line === null) return bad('the request line is malformed');
  const [, method, target, major, minor] = line;
  const version = `${major}.${minor}`;
  if (version !== '1.0' && version !== '1.1') {
    return { status: 505, reason: `HTTP/${version} is not spoken here` };
  }
  // RFC 9110, 9.1: a method that the server does not know is answered with 501. CONNECT is for
  // forward proxies (9.3.6).
  if (result === INVALID_METHOD || method === 'CONNECT') {
    return { status: 501, reason: `the method ${method.slice(0, METHOD_LENGTH)} is not known` };
  }
  if (result !== PAUSED) return bad(parser.reason() || 'the head is malformed');

  const place = readTarget(method, target);
  if (place === undefined) return bad('the request target is malformed');
  const host = readHost(place.authority, version);
  if (typeof host !== 'string') return host;
  const fault = transferCodingFault(version);
  if (fault !== undefined) return fault;
  return {
    method,
    target,
    path: place.path,
    host,
    version,
    keepAlive: parser.keepAlive,
    headLength: head.length,
  };
}

interface Place {
  readonly authority: string | undefined;
  readonly path: string;
}

/** The forms of RFC 9112, 3.2 without the one of CONNECT. Fragments are never sent (3.2.1). */
function readTarget(method: string, target: string): Place | undefined {
  if (target === '*') return method === 'OPTIONS' ? { authority: undefined, path: '*' } : undefined;
  if (target.includes('#')) return undefined;
  if (target.startsWith('/')) return { authority: undefined, path: withoutQuery(target) };
  const parts = ABSOLUTE_FORM.exec(target);
  if (parts === null) return undefined;
  return { authority: parts[1], path: withoutQuery(parts[2]) || '/' };
}

function withoutQuery(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}

/**
 * RFC 9112, 3.2: exactly one valid Host in HTTP/1.1, at most one before. An absolute target goes
 * before it (3.2.2), but the backend, who reads the same bytes, may think otherwise: both must be
 * the same.
 */
function readHost(authority: string | undefined, version: '1.0' | '1.1'): string | HeadError {
  const hosts = valuesOf('host');
  if (hosts.length > 1) return bad('more than one Host');
  if (hosts.length === 0 && version === '1.1') return bad('no Host');
  const host = hosts.at(0) ?? authority ?? '';
  if (!HOST.test(host) && (hosts.length > 0 || authority !== undefined)) {
    return bad('the host is malformed');
  }
  if (authority !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    return bad("the target's host and the Host differ");
  }
  return host;
}

/**
 * RFC 9112, 6.1 and 6.3: transfer codings end with chunked, which comes once, or nobody knows how
 * long the body is; HTTP/1.0 does not have them. (llhttp has refused Content-Length beside them.)
 */
function transferCodingFault(version: '1.0' | '1.1'): HeadError | undefined {
  const fields = valuesOf('transfer-encoding');
  if (fields.length === 0) return undefined;
  if (version === '1.0') return bad('Transfer-Encoding in HTTP/1.0');
  const codings = fields.join(',').toLowerCase().split(',').map(trim);
  if (codings.pop() !== 'chunked') return bad('Transfer-Encoding does not end with chunked');
  if (codings.every((coding) => COMPRESSIONS.has(coding))) return undefined;
  return { status: 501, reason: 'a transfer coding is not known' };
}

/** The values of every field called `name` (lower case) in the head that was parsed last. */
function valuesOf(name: string): string[] {
  const { bytes, fields } = parser;
  const values: string[] = [];
  for (let at = 0; at < fields.length; at += 4) {
    if (fields[at + 1] - fields[at] !== name.length) continue;
    if (bytes.toString('latin1', fields[at], fields[at + 1]).toLowerCase() !== name) continue;
    values.push(trim(bytes.toString('latin1', fields[at + 2], fields[at + 3])));
  }
  return values;
}

/** Without optional white space around (RFC 9110, 5.6.3), which is less than `trim` takes away. */
function trim(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, '');
}
