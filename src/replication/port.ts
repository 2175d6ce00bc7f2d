// Where the mesh's datagrams go to and come from: UDP over our own stack, or a simulated network.
import type { Address } from '../ip/address.ts';

/**
 * One bound UDP port. The address a member has in the mesh must stay with that member: it is not among
 * the addresses that survivors adopt, or a member that comes back could not speak to its adopter.
 */
export interface DatagramPort {
  /** Sends `payload` (at most 1,452 bytes), whose buffer is free again at once. Never fails loudly. */
  send(to: Address, port: number, payload: Uint8Array): void;
  /** Called for each datagram; `payload` is valid during the call only. */
  onDatagram: ((from: Address, port: number, payload: Uint8Array) => void) | undefined;
}
