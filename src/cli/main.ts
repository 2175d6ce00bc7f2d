#!/usr/bin/env node
// The command `suture`. Thin: code is loaded only when the verb at hand needs it.
import { enableCompileCache } from 'node:module';

enableCompileCache();
const { run } = await import('./program.ts');
process.exitCode = await run(process.argv.slice(2));
