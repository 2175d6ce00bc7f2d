// A process that runs the seeds it is given: ranges come, outcomes go.
import { rehearse } from './rehearsal.ts';

process.on('message', ([from, end]: [number, number]) => {
  for (let seed = from; seed < end; seed++) process.send?.(rehearse(seed));
  process.send?.('ready');
});
process.send?.('ready');
