// What routers tell hosts (RFC 4861, section 6.3): who is a default router and for how long, which prefixes
// are on the link, its MTU and hop limit. Bounded, and each thing ends with its lifetime.
import { type Micros, SECOND } from '../env/clock.ts';
import { Timer, type Timers } from '../env/timers.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as ndp from '../wire/ndp.ts';
import { type Address, isGroup, isLinkLocal } from './address.ts';
import { readIpv6 } from './intern.ts';
import { UNSPECIFIED_IPV6 } from './multicast.ts';
import type { Route, Routes } from './routes.ts';

const ROUTERS = 8;
const PREFIXES = 32;
/** MAX_RTR_SOLICITATIONS, RTR_SOLICITATION_INTERVAL (RFC 4861, section 10). */
const SOLICITATIONS = 3;
const INTERVAL: Micros = 4 * SECOND;

export interface RouterDiscoveryOptions {
  timers: Timers;
  routes: Routes;
  /** Sends a router solicitation. */
  solicit: () => void;
  /** Bytes of the largest packet that the link itself takes. */
  linkMtu: number;
}

/** A route that a router told of, until its time is over. */
interface Learnt {
  readonly route: Route;
  readonly timer: Timer;
}

export class RouterDiscovery {
  readonly counters = { routers: 0, prefixes: 0, refused: 0 };
  /** The MTU that the link's routers name, never above the link's own. */
  mtu: number;
  /** The hop limit that routers want us to use; 0 before one says so. */
  hopLimit = 0;
  readonly #options: RouterDiscoveryOptions;
  readonly #routers = new Map<Address, Learnt>();
  /** By address and length. */
  readonly #prefixes = new Map<string, Learnt>();
  readonly #solicitation: Timer;
  #asked = 0;

  constructor(options: RouterDiscoveryOptions) {
    this.#options = options;
    this.mtu = options.linkMtu;
    this.#solicitation = new Timer((now) => this.#solicit(now));
  }

  /** Asks for routers now and, without an answer, twice more (RFC 4861, section 6.3.7). */
  start(now: Micros): void {
    this.#asked = 0;
    this.#solicit(now);
  }

  /** Default routers that are good at present. */
  get routers(): Address[] {
    return [...this.#routers.keys()];
  }

  /** Takes a valid advertisement of `router`. */
  advertised(
    router: Address,
    view: DataView,
    at: number,
    options: ndp.NdpOptions,
    now: Micros,
  ): void {
    const { timers, linkMtu } = this.#options;
    const hopLimit = ndp.advertisedHopLimit(view, at);
    if (hopLimit !== 0) this.hopLimit = hopLimit;
    if (options.mtu >= ipv6.MINIMUM_MTU && options.mtu <= linkMtu) this.mtu = options.mtu;
    const lifetime = ndp.routerLifetime(view, at);
    if (lifetime > 0) timers.remove(this.#solicitation);
    this.#setRouter(router, lifetime, now);
    for (let i = 0; i < options.prefixes; i++) this.#setPrefix(view, options.prefixAt[i], now);
  }

  /** A neighbour says that it is no router (RFC 4861, section 7.2.5). */
  isHostNow(neighbour: Address): void {
    this.#forget(this.#routers, neighbour);
  }

  #setRouter(router: Address, lifetime: number, now: Micros): void {
    if (lifetime === 0) {
      this.#forget(this.#routers, router);
      return;
    }
    if (!this.#routers.has(router)) {
      if (this.#routers.size >= ROUTERS) {
        this.counters.refused++;
        return;
      }
      this.counters.routers++;
    }
    const prefix = { address: UNSPECIFIED_IPV6, length: 0 };
    this.#keep(this.#routers, router, { prefix, gateway: router }, lifetime, now);
  }

  #setPrefix(view: DataView, at: number, now: Micros): void {
    const length = ndp.prefixLength(view, at);
    const address = readIpv6(view, at + ndp.PREFIX_AT);
    // A prefix of no bits would make all the world a neighbour.
    if (!ndp.isOnLink(view, at) || length === 0 || length > 128) return;
    if (isLinkLocal(address) || isGroup(address)) return;
    const key = `${length}/${address}`;
    const lifetime = ndp.validLifetime(view, at);
    if (lifetime === 0) {
      this.#forget(this.#prefixes, key);
      return;
    }
    if (!this.#prefixes.has(key)) {
      if (this.#prefixes.size >= PREFIXES) {
        this.counters.refused++;
        return;
      }
      this.counters.prefixes++;
    }
    this.#keep(this.#prefixes, key, { prefix: { address, length } }, lifetime, now);
  }

  #keep<Key>(table: Map<Key, Learnt>, key: Key, route: Route, lifetime: number, now: Micros): void {
    const { routes, timers } = this.#options;
    let learnt = table.get(key);
    if (learnt === undefined) {
      learnt = { route, timer: new Timer(() => this.#forget(table, key)) };
      table.set(key, learnt);
      routes.add(route);
    }
    if (lifetime === ndp.INFINITE) timers.remove(learnt.timer);
    else timers.set(learnt.timer, now + lifetime * SECOND);
  }

  #forget<Key>(table: Map<Key, Learnt>, key: Key): void {
    const learnt = table.get(key);
    if (learnt === undefined) return;
    table.delete(key);
    this.#options.timers.remove(learnt.timer);
    this.#options.routes.remove(learnt.route);
  }

  #solicit(now: Micros): void {
    this.#asked++;
    if (this.#asked < SOLICITATIONS) {
      this.#options.timers.set(this.#solicitation, now + INTERVAL);
    }
    this.#options.solicit();
  }
}
