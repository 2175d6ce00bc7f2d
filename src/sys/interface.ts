// Network interfaces and their namespaces, by the ioctls of netdevice(7).
import * as libc from './libc.ts';

const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCSIFMTU = 0x8922;
const SIOCBRADDIF = 0x89a2;
const IFF_UP = 0x1;
const NAME_SIZE = 16;
const REQUEST_SIZE = 40;

/** `struct ifreq` for an interface, its union all zero. */
export function interfaceRequest(name: string): Uint8Array<ArrayBuffer> {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length === 0 || encoded.length >= NAME_SIZE) {
    throw new RangeError(`interface name "${name}" must have 1 to ${NAME_SIZE - 1} bytes`);
  }
  const request = new Uint8Array(new ArrayBuffer(REQUEST_SIZE));
  request.set(encoded);
  return request;
}

/** Runs `work` with the calling thread in the network namespace at `path`, and comes back. */
export function inNamespace<T>(path: string | undefined, work: () => T): T {
  if (path === undefined) return work();
  const home = libc.open('/proc/thread-self/ns/net', libc.O_CLOEXEC);
  try {
    const target = libc.open(path, libc.O_CLOEXEC);
    try {
      libc.setns(target, libc.CLONE_NEWNET, path);
    } finally {
      libc.close(target);
    }
    try {
      return work();
    } finally {
      libc.setns(home, libc.CLONE_NEWNET, 'back to the first namespace');
    }
  } finally {
    libc.close(home);
  }
}

/** Sets an interface's MTU, joins it to a bridge when one is named, and brings it up. */
export function bringUp(name: string, mtu: number, bridge: string | undefined): void {
  const control = libc.socket(libc.AF_INET, libc.SOCK_DGRAM | libc.SOCK_CLOEXEC, 0);
  try {
    const size = interfaceRequest(name);
    new DataView(size.buffer).setInt32(NAME_SIZE, mtu, true);
    libc.ioctl(control, SIOCSIFMTU, size, `MTU of ${name}`);
    if (bridge !== undefined) {
      const join = interfaceRequest(bridge);
      new DataView(join.buffer).setInt32(NAME_SIZE, libc.interfaceIndex(name), true);
      libc.ioctl(control, SIOCBRADDIF, join, `${name} to bridge ${bridge}`);
    }
    const flags = interfaceRequest(name);
    const view = new DataView(flags.buffer);
    libc.ioctl(control, SIOCGIFFLAGS, flags, `flags of ${name}`);
    view.setInt16(NAME_SIZE, view.getInt16(NAME_SIZE, true) | IFF_UP, true);
    libc.ioctl(control, SIOCSIFFLAGS, flags, `flags of ${name}`);
  } finally {
    libc.close(control);
  }
}
