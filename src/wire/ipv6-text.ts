// IPv6 addresses as text: read in every form of RFC 4291, section 2.2, written in that of RFC 5952.
import { formatAddress as formatIpv4, parseAddress as parseIpv4 } from './ipv4.ts';

const GROUPS = 8;
/** The first 12 bytes of an address that stands for an IPv4 one (RFC 4291, section 2.5.5.2). */
export const MAPPED_PREFIX = '\0\0\0\0\0\0\0\0\0\0\xff\xff';

/** Reads an address, in full, shortened by `::` or with a dotted tail; undefined if the text is none. */
export function parseAddress(text: string): string | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0], halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1], true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = GROUPS - head.length - tail.length;
  // `::` stands for one group at least (RFC 5952, section 4.2.2, forbids writing one so; reading is free).
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return groups.map((group) => String.fromCharCode(group >> 8, group & 0xff)).join('');
}

/** The groups in a part of an address, the last two of them perhaps in dotted decimal. */
function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const dotted = last && index === parts.length - 1 ? parseIpv4(part) : undefined;
    if (dotted === undefined) return undefined;
    groups.push(dotted >>> 16, dotted & 0xffff);
  }
  return groups.length <= GROUPS ? groups : undefined;
}

/** The one form of RFC 5952: lower case, the longest run of zero groups (of two or more) as `::`. */
export function formatAddress(address: string): string {
  if (address.startsWith(MAPPED_PREFIX)) return `::ffff:${formatIpv4(lastWord(address))}`;
  const groups = Array.from(
    { length: GROUPS },
    (_, index) => (address.charCodeAt(2 * index) << 8) | address.charCodeAt(2 * index + 1),
  );
  let start = -1;
  let longest = 1;
  for (let at = 0; at < GROUPS; at++) {
    let run = 0;
    while (at + run < GROUPS && groups[at + run] === 0) run++;
    if (run > longest) {
      start = at;
      longest = run;
    }
  }
  const text = groups.map((group) => group.toString(16));
  if (start < 0) return text.join(':');
  return `${text.slice(0, start).join(':')}::${text.slice(start + longest).join(':')}`;
}

const lastWord = (address: string): number =>
  ((address.charCodeAt(12) << 24) |
    (address.charCodeAt(13) << 16) |
    (address.charCodeAt(14) << 8) |
    address.charCodeAt(15)) >>>
  0;
