#!/usr/bin/env node
// The command `suture`. Thin: code is loaded only when the verb at hand needs it.
import { enableCompileCache } from 'node:module';

// Who reads what is printed may have seen enough, as `head` does: what is under way ends in order, as by SIGTERM.
let isRead = true;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  if (isRead) process.kill(process.pid, 'SIGTERM');
  isRead = false;
});

enableCompileCache();
const { run } = await import('./program.ts');
process.exitCode = await run(process.argv.slice(2));
