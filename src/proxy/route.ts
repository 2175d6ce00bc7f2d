/**
 * Which pool a request goes to: the most specific host first, then the longest path in front of
 * the request's. The order of the routes in the file does not matter.
 */

/** One line of a service's routes; absent fields match everything. */
export interface Route {
  /** `example.org`, or `*.example.org` for any name below it (not the name itself). */
  readonly host?: string | undefined;
  /** Matches itself and what is below it: `/api` matches `/api` and `/api/x`, not `/apis`. */
  readonly path?: string | undefined;
  readonly pool: string;
}

interface Prefix {
  readonly path: string;
  readonly pool: string;
}

/** A service's routes, compiled once. */
export class RouteTable {
  readonly #exact = new Map<string, Prefix[]>();
  /** By the part after the asterisk, with its dot: `.example.org`. */
  readonly #wildcard = new Map<string, Prefix[]>();
  readonly #any: Prefix[] = [];

  constructor(routes: readonly Route[]) {
    for (const { host, path, pool } of routes) {
      this.#prefixesFor(host?.toLowerCase()).push({ path: normalPath(path), pool });
    }
    // Longest first, so that the first match is the longest.
    for (const prefixes of [...this.#exact.values(), ...this.#wildcard.values(), this.#any]) {
      prefixes.sort((a, b) => b.path.length - a.path.length);
    }
  }

  /**
   * The pool for a request, `undefined` if no route matches.
   *
   * `host` is as in the request, in any case, with or without a port; `path` is the target's path
   * as sent, without the query. It is not decoded and `..` is not resolved: a route chooses where
   * a request goes, not whether it is allowed.
   */
  poolFor(host: string, path: string): string | undefined {
    const name = hostName(host);
    const exact = this.#exact.get(name);
    const found = exact === undefined ? undefined : longest(exact, path);
    return found ?? this.#wildcardPool(name, path) ?? longest(this.#any, path);
  }

  /** The wildcard with the most labels wins: it is the one found first from the left. */
  #wildcardPool(name: string, path: string): string | undefined {
    if (this.#wildcard.size === 0) return undefined;
    for (let dot = name.indexOf('.', 1); dot !== -1; dot = name.indexOf('.', dot + 1)) {
      const prefixes = this.#wildcard.get(name.slice(dot));
      const found = prefixes === undefined ? undefined : longest(prefixes, path);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #prefixesFor(host: string | undefined): Prefix[] {
    if (host === undefined) return this.#any;
    const wildcard = host.startsWith('*.');
    const table = wildcard ? this.#wildcard : this.#exact;
    const key = wildcard ? host.slice(1) : host;
    const known = table.get(key);
    if (known !== undefined) return known;
    const prefixes: Prefix[] = [];
    table.set(key, prefixes);
    return prefixes;
  }
}

/** A route's path as it is compared: no path is `/`, and one trailing slash says nothing. */
export function normalPath(path: string | undefined): string {
  if (path === undefined || path === '/') return '/';
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

/** A Host field's value without its port and without the root's dot, in lower case. */
export function hostName(host: string): string {
  // An IPv6 literal has its colons inside brackets (RFC 3986, 3.2.2).
  const colon = host.indexOf(':', host.startsWith('[') ? host.indexOf(']') : 0);
  const name = (colon === -1 ? host : host.slice(0, colon)).toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

function longest(prefixes: readonly Prefix[], path: string): string | undefined {
  for (const prefix of prefixes) {
    if (covers(prefix.path, path)) return prefix.pool;
  }
  return undefined;
}

/** Whether `path` is `prefix` or below it, on the boundary of a segment. */
function covers(prefix: string, path: string): boolean {
  if (prefix === '/') return true;
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}
