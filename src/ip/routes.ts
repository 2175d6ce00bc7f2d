// Where a packet goes next: on-link prefixes and gateways, the longest prefix first.
import { type Address, contains, type Prefix } from './address.ts';

export interface Route {
  readonly prefix: Prefix;
  /** The next hop; absent when the prefix is on the link. */
  readonly gateway?: Address | undefined;
}

export class Routes {
  #routes: Route[] = [];

  add(route: Route): void {
    this.#routes = [...this.#routes, route].sort((a, b) => b.prefix.length - a.prefix.length);
  }

  remove(route: Route): void {
    this.#routes = this.#routes.filter((each) => each !== route);
  }

  /** A gateway does not answer: others of the same prefix come before it from now on. */
  demote(gateway: Address): void {
    const demoted = this.#routes.filter((each) => each.gateway === gateway);
    if (demoted.length === 0) return;
    const kept = this.#routes.filter((each) => each.gateway !== gateway);
    this.#routes = [...kept, ...demoted].sort((a, b) => b.prefix.length - a.prefix.length);
  }

  /** The neighbour to hand a packet for `destination` to; undefined if there is no route. */
  nextHop(destination: Address): Address | undefined {
    const route = this.#routes.find(({ prefix }) => contains(prefix, destination));
    return route === undefined ? undefined : (route.gateway ?? destination);
  }
}
