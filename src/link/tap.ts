// A Linux TAP device: whole Ethernet frames in user space, with the virtio header, so that one read
// or write moves up to 64 KiB of a segment train whose checksum nobody has computed.
import { type Clock, MILLISECOND, type Micros, systemClock } from '../env/clock.ts';
import { bringUp, inNamespace, interfaceRequest } from '../sys/interface.ts';
import { LastWill } from '../sys/last-will.ts';
import * as libc from '../sys/libc.ts';
import { type Readiness, readiness } from '../sys/libuv.ts';
import { Attention } from './attention.ts';
import type { Frame } from './frame.ts';
import { type Link, type LinkCounters, linkCounters } from './link.ts';

const TUNSETIFF = 0x4004_54ca;
const TUNSETOFFLOAD = 0x4004_54d0;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_TSO6 = 0x04;
const TUN_F_TSO_ECN = 0x08;
const FLAGS_AT = 16;

export interface TapOptions {
  /** Name of the interface, at most 15 bytes. */
  name: string;
  /** Path of the network namespace to make it in; the process's own when absent. */
  namespace?: string | undefined;
  /** Bridge of that namespace to join. */
  bridge?: string | undefined;
  /** The largest IP packet of one segment in bytes. */
  mtu?: number | undefined;
  clock?: Clock | undefined;
}

/** An open TAP. The interface vanishes with it, or with the process; a moment later where something was bequeathed. */
export class TapLink implements Link {
  readonly name: string;
  readonly mtu: number;
  readonly offload = true;
  readonly counters: LinkCounters = linkCounters();
  readonly #fd: number;
  readonly #poll: Uint8Array<ArrayBuffer>;
  readonly #readiness: Readiness;
  readonly #clock: Clock;
  readonly #attention = new Attention();
  #closed = false;
  #waiting = false;
  /** Made when something is bequeathed. */
  #will: LastWill | undefined;

  /** @throws SystemError when the device, the namespace or the bridge is not to be had */
  constructor({ name, namespace, bridge, mtu = 1_500, clock = systemClock }: TapOptions) {
    this.name = name;
    this.mtu = mtu;
    this.#clock = clock;
    this.#fd = inNamespace(namespace, () => openTap(name, mtu, bridge));
    this.#poll = libc.pollSet(this.#fd, libc.POLLIN);
    this.#readiness = readiness(this.#fd);
  }

  receive(frame: Frame): boolean {
    if (this.#closed) return false;
    if (frame.address === 0) frame.address = libc.addressOf(frame.bytes);
    const length = libc.read(this.#fd, frame.address, frame.bytes.length);
    if (length <= 0) return false;
    frame.end = length;
    this.counters.received++;
    this.counters.receivedBytes += length;
    return true;
  }

  send(frame: Frame): boolean {
    if (this.#closed) return false;
    if (frame.address === 0) frame.address = libc.addressOf(frame.bytes);
    if (libc.write(this.#fd, frame.address, frame.end) !== frame.end) {
      this.counters.sendErrors++;
      return false;
    }
    this.counters.sent++;
    this.counters.sentBytes += frame.end;
    return true;
  }

  async wait(timeout: Micros): Promise<void> {
    if (this.#closed || this.#waiting) return;
    const from = this.#clock.now();
    const milliseconds = Math.max(0, Math.min(Math.ceil(timeout / MILLISECOND), 1_000));
    const isThere = this.#attention.waitsItself
      ? this.#look(from, timeout) || libc.poll(this.#poll, Math.min(milliseconds, 1)) > 0
      : await this.#sleep(milliseconds);
    this.#attention.waited(from, this.#clock.now(), this.counters.received, isThere);
  }

  /** Whether a frame came while the thread looked. */
  #look(from: Micros, timeout: Micros): boolean {
    const span = Math.min(this.#attention.spin, timeout);
    if (span <= 0) return false;
    do {
      if (libc.poll(this.#poll, 0) > 0) return true;
    } while (this.#clock.now() - from < span);
    return false;
  }

  async #sleep(milliseconds: number): Promise<boolean> {
    this.#waiting = true;
    const isThere = await this.#readiness.within(milliseconds);
    this.#waiting = false;
    return isThere;
  }

  bequeath(frames: readonly Uint8Array[]): boolean {
    if (this.#closed) return false;
    try {
      this.#will ??= new LastWill(this.#fd);
    } catch (error) {
      if (!(error instanceof libc.SystemError)) throw error;
      return false;
    }
    this.#will.write(frames);
    return this.#will.isKept;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#will?.revoke();
    this.#readiness.close(() => libc.close(this.#fd));
  }
}

function openTap(name: string, mtu: number, bridge: string | undefined): number {
  const fd = libc.open('/dev/net/tun', libc.O_RDWR | libc.O_NONBLOCK | libc.O_CLOEXEC);
  try {
    const request = interfaceRequest(name);
    new DataView(request.buffer).setInt16(FLAGS_AT, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, true);
    libc.ioctl(fd, TUNSETIFF, request, `TAP ${name}`);
    const offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    libc.ioctlValue(fd, TUNSETOFFLOAD, offloads, `offloads of TAP ${name}`);
    bringUp(name, mtu, bridge);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}
