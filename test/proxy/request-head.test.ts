import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type HeadError,
  isHeadError,
  parseRequestHead,
  type RequestHead,
} from '../../src/proxy/request-head.ts';

const LIMITS = { maxHeadBytes: 8192 };

function parse(text: string, limits = LIMITS): RequestHead | 'incomplete' | HeadError {
  const bytes = Buffer.from(text, 'latin1');
  return parseRequestHead(bytes, bytes.length, limits);
}

/** The status a head is refused with, 0 if it is accepted, -1 if it is incomplete. */
function status(text: string): number {
  const result = parse(text);
  if (result === 'incomplete') return -1;
  return isHeadError(result) ? result.status : 0;
}

/** A GET with these lines after its Host. */
function get(...lines: string[]): string {
  return `${['GET / HTTP/1.1', 'Host: a', ...lines].join('\r\n')}\r\n\r\n`;
}

/** A POST with these lines after its Host. */
function post(...lines: string[]): string {
  return get(...lines).replace('GET', 'POST');
}

test('a head is read, and what follows it is left alone', () => {
  const head =
    'POST /api/users?id=7 HTTP/1.1\r\nHost: Example.org:8080\r\nContent-Length: 5\r\n\r\n';
  expect(parse(`${head}helloGET`)).toEqual({
    method: 'POST',
    target: '/api/users?id=7',
    path: '/api/users',
    host: 'Example.org:8080',
    version: '1.1',
    keepAlive: true,
    headLength: head.length,
  });
});

test('bytes of the buffer behind the length do not count', () => {
  const bytes = Buffer.from(get(), 'latin1');
  expect(parseRequestHead(bytes, bytes.length - 1, LIMITS)).toBe('incomplete');
});

test.each<[string, Partial<RequestHead>]>([
  [
    'GET http://example.org/x?y HTTP/1.1\r\nHost: EXAMPLE.org\r\n\r\n',
    { path: '/x', host: 'EXAMPLE.org' },
  ],
  ['GET http://example.org HTTP/1.1\r\nHost: example.org\r\n\r\n', { path: '/' }],
  ['GET http://example.org?y=/z HTTP/1.0\r\n\r\n', { path: '/', host: 'example.org' }],
  ['OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', { path: '*' }],
  ['GET / HTTP/1.0\r\n\r\n', { version: '1.0', host: '', keepAlive: false }],
  ['GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', { keepAlive: true }],
  [get('Connection: close'), { keepAlive: false }],
  [get('Connection: x, Close'), { keepAlive: false }],
  [get('X:', 'Y: \t ', 'Z: \xff\xfe'), { host: 'a' }],
  ['GET / HTTP/1.1\r\nX:\r\nhOST: \t [::1]:80 \t\r\n\r\n', { host: '[::1]:80' }],
  ['\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', { host: 'a', headLength: 29 }],
  [get('Connection: upgrade', 'Upgrade: websocket'), { keepAlive: true }],
  [post('Transfer-Encoding: chunked'), { method: 'POST' }],
  [post('Transfer-Encoding: gzip, \tChunked'), { method: 'POST' }],
  [post('Transfer-Encoding: gzip', 'Transfer-Encoding: chunked'), { method: 'POST' }],
])('%j is right', (head, expected) => {
  expect(parse(head)).toMatchObject(expected);
});

describe('what could be read in two ways is refused', () => {
  test.each<[string, string, HeadError['status']]>([
    ['bare LF after the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 400],
    ['bare LF after a field', 'GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n', 400],
    ['bare LF as the empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\n', 400],
    ['bare LF before the rest is there', 'GET / HTTP/1.1\n', 400],
    ['bare CR in a value', get('X: a\rY: b'), 400],
    ['bare CR before the end', 'GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n', 400],
    ['bare CRs in front', '\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['bare LF in front', '\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['two empty lines in front', '\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a folded line', get('X: a', ' b'), 400],
    ['a folded line with a tab', get('X: a', '\tb'), 400],
    ['white space before the first field', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', 400],
    ['space before a colon', get('X : a'), 400],
    ['tab before a colon', get('X\t: a'), 400],
    ['space in a name', get('X Y: a'), 400],
    ['an empty name', get(': a'), 400],
    ['a line without a colon', get('abc'), 400],
    ['NUL in a value', get('X: a\0b'), 400],
    ['a control character in a value', get('X: a\x0bb'), 400],
    ['a control character in a name', get('X\x01: a'), 400],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 400],
    ['two Hosts', get('Host: a'), 400],
    ['two Hosts in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ['a list as Host', 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 400],
    ['a Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
    ['a Host with a user', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400],
    ['a Host with another port syntax', 'GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n', 400],
    ['another Host than the target', 'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['another port than the target', 'GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    [
      'Content-Length and Transfer-Encoding',
      post('Content-Length: 3', 'Transfer-Encoding: chunked'),
      400,
    ],
    [
      'Transfer-Encoding and Content-Length',
      post('Transfer-Encoding: chunked', 'Content-Length: 3'),
      400,
    ],
    ['two Content-Lengths', post('Content-Length: 3', 'Content-Length: 4'), 400],
    ['the same Content-Length twice', post('Content-Length: 3', 'Content-Length: 3'), 400],
    ['a list as Content-Length', post('Content-Length: 3, 3'), 400],
    ['a signed Content-Length', post('Content-Length: +3'), 400],
    ['a negative Content-Length', post('Content-Length: -3'), 400],
    ['a hexadecimal Content-Length', post('Content-Length: 0x3'), 400],
    ['an empty Content-Length', post('Content-Length:'), 400],
    ['a Content-Length of two numbers', post('Content-Length: 3 4'), 400],
    ['a Content-Length beyond 64 bits', post(`Content-Length: ${'9'.repeat(30)}`), 400],
    ['Transfer-Encoding: identity', post('Transfer-Encoding: identity'), 400],
    ['Transfer-Encoding: xchunked', post('Transfer-Encoding: xchunked'), 400],
    ['Transfer-Encoding: "chunked"', post('Transfer-Encoding: "chunked"'), 400],
    ['Transfer-Encoding: chunked;x', post('Transfer-Encoding: chunked;x'), 400],
    ['an empty Transfer-Encoding', post('Transfer-Encoding:'), 400],
    ['chunked that is not last', post('Transfer-Encoding: chunked, gzip'), 400],
    ['chunked twice', post('Transfer-Encoding: chunked, chunked'), 400],
    [
      'chunked in two fields',
      post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
      400,
    ],
    [
      'chunked and then another field',
      post('Transfer-Encoding: chunked', 'Transfer-Encoding: x'),
      400,
    ],
    ['vertical tab before chunked', post('Transfer-Encoding: \x0bchunked'), 400],
    ['Transfer-Encoding in HTTP/1.0', 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    ['an unknown coding', post('Transfer-Encoding: rot13, chunked'), 501],
    ['two spaces after the method', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['two spaces after the target', 'GET /  HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['tabs in the request line', 'GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['space after the version', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n', 400],
    ['no version', 'GET /\r\n\r\n', 400],
    ['a lower-case version', 'GET / http/1.1\r\nHost: a\r\n\r\n', 400],
    ['a version of two digits', 'GET / HTTP/1.11\r\nHost: a\r\n\r\n', 400],
    ['another protocol', 'PLAY / RTSP/1.0\r\nHost: a\r\n\r\n', 400],
    ['a relative target', 'GET a HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['another scheme', 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a user in the target', 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a fragment', 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['an asterisk that is not for OPTIONS', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['bytes above ASCII in the target', 'GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a response', 'HTTP/1.1 200 OK\r\n\r\n', 400],
    ['TLS', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', 400],
    ['a lower-case method', 'get / HTTP/1.1\r\nHost: a\r\n\r\n', 501],
    ['an unknown method', 'FOO / HTTP/1.1\r\nHost: a\r\n\r\n', 501],
    ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 501],
    ['HTTP/0.9', 'GET / HTTP/0.9\r\nHost: a\r\n\r\n', 505],
    ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', 505],
    ['HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  ])('%s', (_, text, expected) => {
    expect(status(text)).toBe(expected);
  });
});

test('a head may be as long as the limit and not longer', () => {
  const fits = get(`X: ${'a'.repeat(256 - get('X: ').length)}`);
  expect(fits).toHaveLength(256);
  const limits = { maxHeadBytes: 256 };
  expect(parse(`${fits}body`, limits)).toMatchObject({ headLength: 256 });
  expect(parse(fits.slice(0, -1), limits)).toBe('incomplete');
  expect(parse(fits, { maxHeadBytes: 255 })).toMatchObject({ status: 431 });
  expect(parse(fits.slice(0, -1), { maxHeadBytes: 255 })).toMatchObject({ status: 431 });
  expect(parse(`GET /${'a'.repeat(300)}`, limits)).toMatchObject({ status: 414 });
});

test('a head of the largest limit is read', () => {
  const limits = { maxHeadBytes: 65_536 };
  const head = get(`X: ${'a'.repeat(65_536 - get('X: ').length)}`);
  expect(parse(head, limits)).toMatchObject({ headLength: 65_536 });
  expect(parse(`${head.slice(0, -4)}a\r\n\r\n`, limits)).toMatchObject({ status: 431 });
});

/** Heads that are right, with what must be read from them. */
const token = fc.string({ unit: fc.constantFrom(...'abcXYZ019-_!'), minLength: 1, maxLength: 12 });
const value = fc.string({ unit: fc.constantFrom(...'abc ,;="/\t\x80\xff'), maxLength: 30 });
const rightHead = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND'),
    path: fc.string({ unit: fc.constantFrom(...'ab/.%20~!|'), maxLength: 20 }).map((p) => `/${p}`),
    query: fc.constantFrom('', '?', '?a=b', '?/x?y'),
    host: fc.constantFrom('a', 'example.org', 'EXAMPLE.org:8080', '10.0.0.100', '[fd00::1]:80'),
    before: fc.array(fc.tuple(token, value), { maxLength: 4 }),
    after: fc.array(fc.tuple(token, value), { maxLength: 4 }),
    length: fc.option(fc.nat(1000), { nil: undefined }),
    blank: fc.boolean(),
  })
  .map(({ method, path, query, host, before, after, length, blank }) => {
    // A prefix keeps a random name from being one that means something.
    const plain = ([name, text]: [string, string]): string => `x-${name}:${text}`;
    const lines = [
      `${method} ${path}${query} HTTP/1.1`,
      ...before.map(plain),
      `Host: ${host}`,
      ...(length === undefined ? [] : [`Content-Length: ${length}`]),
      ...after.map(plain),
    ];
    const text = `${blank ? '\r\n' : ''}${lines.join('\r\n')}\r\n\r\n`;
    const expected: RequestHead = {
      method,
      target: path + query,
      path,
      host,
      version: '1.1',
      keepAlive: true,
      headLength: text.length,
    };
    return { text, expected };
  });

test('however a right head is split, the result is the same', () => {
  fc.assert(
    fc.property(
      rightHead,
      fc.array(fc.nat(400), { maxLength: 8 }),
      fc.string({ unit: 'binary-ascii', maxLength: 20 }),
      ({ text, expected }, cuts, body) => {
        const bytes = Buffer.from(text + body, 'latin1');
        let searched = 0;
        const lengths = [...cuts, text.length, bytes.length].sort((a, b) => a - b);
        for (const length of lengths.filter((at) => at <= bytes.length)) {
          const result = parseRequestHead(bytes, length, LIMITS, searched);
          if (length >= text.length) {
            expect(result).toEqual(expected);
            return;
          }
          expect(result).toBe('incomplete');
          searched = length;
        }
      },
    ),
  );
});

test('byte by byte, no right head is refused early', () => {
  fc.assert(
    fc.property(rightHead, ({ text, expected }) => {
      const bytes = Buffer.from(text, 'latin1');
      for (let length = 0; length < bytes.length; length++) {
        expect(parseRequestHead(bytes, length, LIMITS, Math.max(0, length - 1))).toBe('incomplete');
      }
      expect(parseRequestHead(bytes, bytes.length, LIMITS, bytes.length - 1)).toEqual(expected);
    }),
    { numRuns: 20 },
  );
});

test('any bytes give a result, and a head that is accepted is what it says', () => {
  const near = fc
    .tuple(
      rightHead,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
    )
    .map(([{ text }, changes]) => {
      const bytes = Buffer.from(text, 'latin1');
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(near, fc.uint8Array({ maxLength: 300 })), (bytes) => {
      const result = parseRequestHead(bytes, bytes.length, LIMITS);
      if (result === 'incomplete' || isHeadError(result)) return;
      const text = Buffer.from(bytes.subarray(0, result.headLength)).toString('latin1');
      expect(text.endsWith('\r\n\r\n')).toBe(true);
      expect(text.replace(/\r\n/g, '')).not.toMatch(/[\r\n\0]/);
      expect(text.trimStart().startsWith(`${result.method} ${result.target} HTTP/1.`)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
