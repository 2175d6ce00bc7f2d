// A host on a TAP in a network namespace of the test's own, with the kernel's stack on the other side.
import { execFile, execFileSync } from 'node:child_process';
import { accessSync } from 'node:fs';
import { promisify } from 'node:util';
import { Host } from '../../src/host/host.ts';
import { parsePrefix } from '../../src/ip/address.ts';
import { CaptureLink } from '../../src/link/pcapng.ts';
import { TapLink } from '../../src/link/tap.ts';
import { address } from '../sim/hosts.ts';

const run = promisify(execFile);
export const US = address('10.77.0.2');
export const KERNEL = address('10.77.0.1');
export const US6 = address('2001:db8:77::2');
export const KERNEL6 = address('2001:db8:77::1');

/** Why the kernel cannot take part here; undefined if it can. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root for a network namespace';
  try {
    accessSync('/dev/net/tun');
    execFileSync('ip', ['-V']);
    execFileSync('curl', ['-V']);
  } catch (error) {
    return `needs /dev/net/tun, ip and curl: ${error}`;
  }
  try {
    execFileSync('ip', ['netns', 'add', `${NAME}probe`], { stdio: 'pipe' });
    execFileSync('ip', ['netns', 'delete', `${NAME}probe`]);
  } catch (error) {
    return `network namespaces are not to be had: ${error}`;
  }
  return undefined;
}

const NAME = `stt${process.pid}`;
export const why = obstacle();
if (why !== undefined) console.warn(`skipped: the stack against the kernel's ${why}`);

/** A running host on a TAP whose other side is a kernel in its own namespace. */
export class TapBench implements AsyncDisposable {
  readonly host: Host;
  readonly captured: Uint8Array[] = [];
  readonly #running: Promise<void>;

  constructor() {
    execFileSync('ip', ['netns', 'add', NAME]);
    const tap = new TapLink({ name: 'tap0', namespace: `/run/netns/${NAME}` });
    execFileSync('ip', ['-n', NAME, 'addr', 'add', '10.77.0.1/24', 'dev', 'tap0']);
    // Without `nodad` the kernel would not use its address for a second.
    const six = ['addr', 'add', '2001:db8:77::1/64', 'dev', 'tap0', 'nodad'];
    execFileSync('ip', ['-n', NAME, ...six]);
    const link = new CaptureLink(tap, (bytes) => this.captured.push(bytes.slice()));
    this.host = new Host({ link, mac: 0x0200_0000_0077 });
    this.host.ip.addAddress(US);
    this.host.ip.addAddress(US6);
    for (const text of ['10.77.0.0/24', '2001:db8:77::/64']) {
      const prefix = parsePrefix(text);
      if (prefix !== undefined) this.host.ip.addRoute({ prefix });
    }
    this.#running = this.host.run();
  }

  async inside(command: string, ...args: string[]): Promise<string> {
    const options = { maxBuffer: 64 * 1024 * 1024, timeout: 20_000 };
    const { stdout } = await run('ip', ['netns', 'exec', NAME, command, ...args], options);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.host.stop();
    await this.#running;
    execFileSync('ip', ['netns', 'delete', NAME]);
  }
}
