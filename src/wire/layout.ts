// Where the headers lie in a frame buffer. The virtio header's 10 bytes bring every IP header, and so
// every address and TCP sequence number, to a multiple of four.
import { ETHERNET_LENGTH } from './ethernet.ts';
import { VIRTIO_LENGTH } from './virtio.ts';

export const VIRTIO_AT = 0;
export const ETHERNET_AT = VIRTIO_AT + VIRTIO_LENGTH;
export const NETWORK_AT = ETHERNET_AT + ETHERNET_LENGTH;
/** The largest frame: a GSO frame's IP packet may have 65,535 bytes. */
export const FRAME_CAPACITY = NETWORK_AT + 65_536;
