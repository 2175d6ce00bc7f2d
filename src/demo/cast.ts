/** Who plays which part in the topology of the demo. */
import { join } from 'node:path';

export const TOPOLOGY = join(import.meta.dirname, '../../labs/duo.yaml');
export const CLIENT = 'client';
/** The member that the router sends the service's address to, and that fails. */
export const VICTIM = 'a';
export const SURVIVOR = 'b';
/** The name of the file at the backends. */
export const FILE = 'file';
/** The file at the service's address. */
export const URL = `http://10.0.0.100/${FILE}`;
