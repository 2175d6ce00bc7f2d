// Who talks to whom in a script: the addresses and ports that packetdrill takes when a script names none.
import { type Address, parseAddress } from '../../src/ip/address.ts';

export type Family = 4 | 6;

export interface Ends {
  readonly family: Family;
  readonly local: Address;
  readonly remote: Address;
  readonly localBytes: Uint8Array;
  readonly remoteBytes: Uint8Array;
  /** Port that our listening sockets have, and the first that the peer connects from. */
  readonly bindPort: number;
  /** Port that our sockets connect to. */
  readonly connectPort: number;
}

export const LOCAL_MAC = 0x0200_0000_0001;
export const REMOTE_MAC = 0x0200_0000_0002;
/** The first port that the peer connects from. */
export const PEER_PORT = 49_152;

const IPV4 = { local: '192.168.0.1', remote: '192.0.2.1' };
const IPV6 = { local: 'fd3d:fa7b:d17d::1', remote: '2001:db8::1' };

/** The bytes of an address of either family; undefined if the text is none. */
export function addressBytes(text: string): Uint8Array | undefined {
  const dotted = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (dotted !== null) {
    const bytes = Uint8Array.from(dotted.slice(1).map(Number));
    return dotted.slice(1).every((part) => Number(part) < 256) ? bytes : undefined;
  }
  const halves = text.split('::');
  if (halves.length > 2 || !/^[0-9a-fA-F:]+$/.test(text)) return undefined;
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...(tail ?? [])];
  const values = groups.map((group) => Number.parseInt(group, 16));
  if (values.some((value) => !(value >= 0 && value <= 0xffff))) return undefined;
  return Uint8Array.from(values.flatMap((value) => [value >> 8, value & 0xff]));
}

/** Undefined if an address is none of that family, or the stack knows no such family. */
export function endsFor(
  family: Family,
  names: { local?: string | undefined; remote?: string | undefined },
  ports: { bind: number; connect: number },
): Ends | undefined {
  const defaults = family === 4 ? IPV4 : IPV6;
  const localName = names.local ?? defaults.local;
  const remoteName = names.remote ?? defaults.remote;
  const local = parseAddress(localName);
  const remote = parseAddress(remoteName);
  const localBytes = addressBytes(localName);
  const remoteBytes = addressBytes(remoteName);
  const length = family === 4 ? 4 : 16;
  if (local === undefined || remote === undefined) return undefined;
  if (localBytes?.length !== length || remoteBytes?.length !== length) return undefined;
  return {
    family,
    local,
    remote,
    localBytes,
    remoteBytes,
    bindPort: ports.bind,
    connectPort: ports.connect,
  };
}
