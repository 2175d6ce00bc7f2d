/**
 * A small HTTP server for the files of one folder, for hosts without nginx: GET and HEAD, one range a
 * request (RFC 9110, 14), entity tags as nginx makes them.
 *
 *     node file-server.ts --root FOLDER --port PORT
 */
import { createReadStream, type Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';

/** Bytes read from a file at a time: large enough that system calls do not show. */
const CHUNK = 256 * 1024;

/** A server of the files below `root`, not yet listening. */
export function createFileServer(root: string): Server {
  const server = createServer((request, response) => {
    serve(root, request, response).catch(() => {
      // The client left, or the file changed under us: the connection cannot go on.
      response.destroy();
    });
  });
  server.keepAliveTimeout = 75_000;
  return server;
}

async function serve(
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  const found = await locate(root, request.url ?? '/');
  if (found === undefined) {
    response.writeHead(404).end();
    return;
  }
  const { path, stats } = found;
  const tag = `"${Math.floor(stats.mtimeMs / 1000).toString(16)}-${stats.size.toString(16)}"`;
  const headers = {
    'content-type': 'application/octet-stream',
    'last-modified': stats.mtime.toUTCString(),
    etag: tag,
    'accept-ranges': 'bytes',
  };
  const condition = request.headers['if-range'];
  const wanted = condition === undefined || condition === tag ? request.headers.range : undefined;
  const range = parseRange(wanted, stats.size);
  if (range === 'unsatisfiable') {
    response.writeHead(416, { 'content-range': `bytes */${stats.size}` }).end();
    return;
  }
  const { start, end } = range ?? { start: 0, end: stats.size - 1 };
  response.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    'content-length': end - start + 1,
    ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${stats.size}` }),
  });
  if (request.method === 'HEAD' || end < start) {
    response.end();
    return;
  }
  await pipeline(createReadStream(path, { start, end, highWaterMark: CHUNK }), response);
}

/** The file a request names, if it is one and lies below `root`. */
async function locate(
  root: string,
  url: string,
): Promise<{ readonly path: string; readonly stats: Stats } | undefined> {
  try {
    const base = await realpath(root);
    const name = decodeURIComponent(url.split('?', 1)[0]);
    const path = await realpath(join(base, name.endsWith('/') ? `${name}index.html` : name));
    const stats = await stat(path);
    return stats.isFile() && path.startsWith(base + sep) ? { path, stats } : undefined;
  } catch {
    return undefined;
  }
}

/** The one range of a Range header; `undefined` when the whole file is to be sent. */
export function parseRange(
  header: string | undefined,
  size: number,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  if (match[1] === '') {
    const length = Math.min(Number(match[2]), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(match[1]);
  const end = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== '' && Number(match[2]) < start) return undefined;
  return start < size ? { start, end } : 'unsatisfiable';
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: { root: { type: 'string' }, port: { type: 'string' } },
  });
  createFileServer(values.root ?? '.').listen({ port: Number(values.port ?? 80), backlog: 4096 });
}
