/** Who plays which part in the topology of the demo. */
import { join } from 'node:path';

export const CLIENT = 'client';
/** The member that the router sends the service's address to, and that fails. */
export const VICTIM = 'a';
export const SURVIVOR = 'b';
/** The name of the file at the backends. */
export const FILE = 'file';
const LABS = join(import.meta.dirname, '../../labs');
/** By the IP version that client, proxies and backends speak: the lab, and the file at the service's address. */
export const STAGES = {
  4: { topology: join(LABS, 'duo.yaml'), url: `http://10.0.0.100/${FILE}` },
  6: { topology: join(LABS, 'duo6.yaml'), url: `http://[2001:db8::100]/${FILE}` },
} as const;
export type IpVersion = keyof typeof STAGES;
