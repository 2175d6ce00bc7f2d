import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Outcome, run } from '../src/lab/run.ts';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'suture-package-'));
const consumer = join(folder, 'consumer');
/** A fresh machine fetches the dependencies. */
const INSTALL_MS = 240_000;

// npm hands its own settings to what it runs; a user's npm has none of them.
const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_/i.test(key)));

async function done(argv: readonly string[], cwd: string): Promise<Outcome> {
  const outcome = await run(argv, { cwd, env, timeoutMs: INSTALL_MS });
  expect(outcome.code, `${argv.join(' ')}\n${outcome.stdout}\n${outcome.stderr}`).toBe(0);
  return outcome;
}

beforeAll(async () => {
  mkdirSync(consumer);
  const pack = ['npm', 'pack', '--json', '--silent', '--pack-destination', folder];
  const { stdout } = await done(pack, root);
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [
    { readonly filename: string },
  ];
  writeFileSync(join(consumer, 'package.json'), '{ "private": true, "type": "module" }');
  const install = ['npm', 'install', '--prefer-offline', '--no-audit', '--no-fund'];
  await done([...install, join(folder, filename)], consumer);
}, INSTALL_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the installed package can be imported by its name', async () => {
  const script = "console.log(JSON.stringify(Object.keys(await import('suture'))))";
  const { stdout } = await done(
    [process.execPath, '--input-type=module', '--eval', script],
    consumer,
  );
  expect((JSON.parse(stdout) as string[]).length).toBeGreaterThan(0);
});

test('the installed command runs', async () => {
  const suture = join(consumer, 'node_modules/.bin/suture');
  const { stdout, stderr } = await done([process.execPath, suture, '--help'], consumer);
  expect(stdout).toContain('Usage: suture VERB [options]');
  expect(stderr).toBe('');
  const lab = join(consumer, 'node_modules/suture/labs/duo.yaml');
  await done([process.execPath, suture, 'lab', 'validate', lab], consumer);
});

test("the package's types hold without its sources", async () => {
  writeFileSync(
    join(consumer, 'consumer.ts'),
    "import * as suture from 'suture';\nexport const names: string[] = Object.keys(suture);\n" +
      // An unresolved import would make the whole face `any`, to which this can be assigned.
      '// @ts-expect-error: it is a module, not a number\nexport const wrong: number = suture;\n',
  );
  mkdirSync(join(consumer, 'node_modules/@types'), { recursive: true });
  for (const types of ['@types/node', 'undici-types']) {
    symlinkSync(join(root, 'node_modules', types), join(consumer, 'node_modules', types));
  }
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024'];
  const libraries = ['--lib', 'es2024,esnext.disposable', '--types', 'node'];
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await done([process.execPath, tsc, ...options, ...libraries, 'consumer.ts'], consumer);
});
