/**
 * Routes with several next hops: each flow keeps to one of them, or each packet takes the next. Linux has the first by itself
 * (a hash of addresses and ports); for the second nftables marks packets in turn, and each mark has a routing
 * table of its own.
 */
import { isIP } from 'node:net';
import type { NamespacePlan } from './plan.ts';
import type { RouteTopology } from './topology.ts';

/** The mark of the first next hop, and the number of its table; above those that the system uses. */
export const FIRST_MARK = 1_001;

/** What is set in a host's namespace for its routes. */
export type RoutePlan = Required<Pick<NamespacePlan, 'sysctls' | 'commands' | 'rules6'>> &
  Pick<NamespacePlan, 'ruleset'>;

const isIpv6Route = ({ via }: RouteTopology): boolean => isIP(hopsOf(via)[0]) === 6;

/** The next hops of a route. */
export const hopsOf = (via: RouteTopology['via']): readonly string[] =>
  typeof via === 'string' ? [via] : via;

export function planRoutes(routes: readonly RouteTopology[]): RoutePlan {
  const several = routes.filter(({ via }) => hopsOf(via).length > 1);
  const packets = several.filter(({ spread }) => spread === 'packet');
  const tables = new Tables();
  for (const route of packets) tables.add(route);
  return {
    // Layer 4: ports count, too.
    sysctls: [false, true]
      .filter((six) => several.some((route) => isIpv6Route(route) === six))
      .map((six) => [`net/ipv${six ? 6 : 4}/fib_multipath_hash_policy`, '1'] as const),
    // What the host sends itself has no mark: it is spread by flow.
    commands: [...routes.map(({ to, via }) => `route add ${to}${nextHops(via)}`), ...tables.routes],
    rules6: tables.rules6,
    ...(packets.length === 0 ? {} : { ruleset: tables.ruleset }),
  };
}

function nextHops(via: RouteTopology['via']): string {
  const hops = hopsOf(via);
  return hops.length === 1 ? ` via ${hops[0]}` : hops.map((hop) => ` nexthop via ${hop}`).join('');
}

/** A table for each next hop; routes with the same next hops share them. */
class Tables {
  readonly routes: string[] = [];
  readonly rules6: string[] = [];
  /** By next hops: the mark of the first, and where packets take turns. */
  readonly #groups = new Map<string, { readonly first: number; readonly to: string[] }>();
  #next = FIRST_MARK;

  add(route: RouteTopology): void {
    const hops = hopsOf(route.via);
    const name = hops.join(' ');
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = { first: this.#next, to: [] };
      this.#groups.set(name, group);
      this.#next += hops.length;
      for (const [turn] of hops.entries()) {
        const mark = group.first + turn;
        const rule = `rule add fwmark ${mark} table ${mark}`;
        if (isIpv6Route(route)) this.rules6.push(rule);
        else this.routes.push(rule);
      }
    }
    group.to.push(route.to);
    for (const [turn, hop] of hops.entries()) {
      this.routes.push(`route add ${route.to} via ${hop} table ${group.first + turn}`);
    }
  }

  get ruleset(): string {
    const rules = [...this.#groups].map(([name, { first, to }]) => {
      const hops = name.split(' ');
      const family = isIP(hops[0]) === 6 ? 'ip6' : 'ip';
      const where = to.includes('default') ? '' : `${family} daddr { ${to.join(', ')} } `;
      const version = isIP(hops[0]) === 6 ? 'ipv6' : 'ipv4';
      return `    meta nfproto ${version} ${where}meta mark set numgen inc mod ${hops.length} offset ${first}`;
    });
    return [
      'table inet spread {',
      '  chain prerouting {',
      '    type filter hook prerouting priority mangle; policy accept;',
      ...rules,
      '  }',
      '}',
      '',
    ].join('\n');
  }
}
