/**
 * The member's own small HTTP server: `/metrics` and `/health` for scrapers and health checks, `POST /drain` and
 * `POST /reload` for who runs it. It runs over the host's network, not over the proxy's stack, and must be up when
 * that is not.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { ConfigError } from '../config/config-error.ts';
import { MILLISECOND } from '../env/clock.ts';
import type { MetricSources } from './metric-sources.ts';
import type { Metrics } from './metrics.ts';

export interface AdminSettings {
  /** Where to listen. */
  readonly address: string;
  /** 0 to 65535; 0 for any free port. */
  readonly port: number;
  /** When given, requests must have `Authorization: Bearer TOKEN`. */
  readonly token?: string | undefined;
  readonly metrics: Metrics;
  readonly health: () => Health;
  /** What a POST to each path does; it resolves with what is answered, as JSON. */
  readonly actions?: Readonly<Record<string, (query: URLSearchParams) => Promise<object>>>;
}

/** What `/health` answers, as JSON. */
export interface Health {
  /**
   * `degraded`: it serves, but a peer is not alive, replication is stalled or the store is not
   * as it should be. `joining`: it does not
   * serve yet, `leaving`: not any more, and the response's status is 503.
   */
  readonly status: 'ok' | 'degraded' | 'joining' | 'leaving';
  /** Why it is degraded, in words; empty if it is not. */
  readonly reasons: readonly string[];
  readonly cluster: string;
  readonly member: string;
  readonly peers: readonly { readonly name: string; readonly state: string }[];
  /** Spliced connections now. */
  readonly splices: number;
  readonly adoptedAddresses: number;
}

/** Connections at a time: scrapers are few. */
const MAX_CONNECTIONS = 64;
/** In milliseconds. */
const REQUEST_TIMEOUT = 10_000;

/** A running server; `await using` closes it. */
export class AdminServer implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    const { address, port } = server.address() as AddressInfo;
    this.address = address;
    this.port = port;
    this.#server = server;
  }

  /** @throws ConfigError if the address cannot be listened on. */
  static async start(settings: AdminSettings): Promise<AdminServer> {
    const server = createServer({ requestTimeout: REQUEST_TIMEOUT }, (request, response) => {
      void answer(settings, request, response);
    });
    server.maxConnections = MAX_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(cannotListen(settings, error)));
      server.listen(settings.port, settings.address, resolve);
    });
    return new AdminServer(server);
  }

  /** Ends every connection, also those in the middle of a response. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The health of the proxy that `sources` belong to, now. */
export function healthOf(sources: MetricSources): Health {
  const { cluster, member, state, peers, replication, splices, adoption, store } = sources;
  const reasons = peers
    .filter(({ alive }) => !alive)
    .map(({ name, state: theirs }) => `member ${name} is ${theirs}`);
  if (replication.stalled) {
    reasons.push(`replication stalls: ${Math.round(replication.lag / MILLISECOND)} ms behind`);
  }
  if (store?.reachable === false) reasons.push('the store is unreachable');
  else if (store?.complete === false) reasons.push('the store does not have every record yet');
  return {
    status: state === 'active' ? (reasons.length === 0 ? 'ok' : 'degraded') : state,
    reasons,
    cluster,
    member,
    peers: peers.map(({ name, state }) => ({ name, state })),
    splices: splices.active,
    adoptedAddresses: adoption.addresses,
  };
}

async function answer(
  settings: AdminSettings,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const send = (status: number, type: string, body: string): void => {
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
    });
    response.end(body);
  };
  const refuse = (status: number, text: string): void => send(status, 'text/plain', `${text}\n`);

  if (settings.token !== undefined && !hasToken(request, settings.token)) {
    response.setHeader('WWW-Authenticate', 'Bearer');
    return refuse(401, 'a token is needed: Authorization: Bearer TOKEN');
  }
  const [path, query = ''] = (request.url ?? '').split('?', 2);
  const action = settings.actions?.[path];
  if (action !== undefined) {
    if (request.method !== 'POST') {
      response.setHeader('Allow', 'POST');
      return refuse(405, 'only POST');
    }
    if (!isDeliberate(request)) {
      return refuse(
        403,
        'a POST needs Content-Type: application/json and an IP address as its host',
      );
    }
    try {
      const result = await action(new URLSearchParams(query));
      return send(200, 'application/json', `${JSON.stringify(result)}\n`);
    } catch (error) {
      return refuse(400, error instanceof Error ? error.message : String(error));
    }
  }
  if (path !== '/metrics' && path !== '/health') {
    return refuse(404, 'nothing here; try /metrics or /health');
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return refuse(405, 'only GET and HEAD');
  }
  try {
    if (path === '/health') {
      const health = settings.health();
      const status = health.status === 'joining' || health.status === 'leaving' ? 503 : 200;
      return send(status, 'application/json', `${JSON.stringify(health)}\n`);
    }
    const text = await settings.metrics.text();
    send(200, settings.metrics.contentType, text);
  } catch (error) {
    refuse(500, error instanceof Error ? error.message : String(error));
  }
}

/** Compares digests, which have one length, in a time that does not depend on where they differ. */
function hasToken(request: IncomingMessage, token: string): boolean {
  const given = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(sha256(given), sha256(token));
}

/**
 * True if no page in a browser on this machine can have sent it: one may post forms anywhere, but not this type
 * without being allowed to; and one whose name was made to mean this machine says that name.
 */
function isDeliberate({ headers }: IncomingMessage): boolean {
  const host = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return headers['content-type'] === 'application/json' && isIP(host) !== 0;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function cannotListen({ address, port }: AdminSettings, error: Error): ConfigError {
  const { code } = error as NodeJS.ErrnoException;
  const why =
    code === 'EADDRINUSE'
      ? 'another process has it; give the member another admin address or port'
      : code === 'EADDRNOTAVAIL'
        ? 'this host does not have that address'
        : error.message;
  return new ConfigError(`cannot serve metrics at ${address}:${port}: ${why}`, { cause: error });
}
