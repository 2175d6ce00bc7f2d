// The whole stack against the kernel's: a TAP in a network namespace of the test's own, curl on the other side.
import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { accessSync } from 'node:fs';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { Host } from '../../src/host/host.ts';
import { parsePrefix } from '../../src/ip/address.ts';
import { CaptureLink } from '../../src/link/pcapng.ts';
import { TapLink } from '../../src/link/tap.ts';
import { TcpServer } from '../../src/tcp/server.ts';
import { connectSocket } from '../../src/tcp/socket.ts';
import { address } from '../sim/hosts.ts';

const run = promisify(execFile);
const US = address('10.77.0.2');
const KERNEL = address('10.77.0.1');

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
const why = obstacle();
if (why !== undefined) console.warn(`skipped: the stack against the kernel's ${why}`);

/** A running host on a TAP whose other side is a kernel in its own namespace. */
class Bench implements AsyncDisposable {
  readonly host: Host;
  readonly captured: Uint8Array[] = [];
  readonly #running: Promise<void>;

  constructor() {
    execFileSync('ip', ['netns', 'add', NAME]);
    const tap = new TapLink({ name: 'tap0', namespace: `/run/netns/${NAME}` });
    execFileSync('ip', ['-n', NAME, 'addr', 'add', '10.77.0.1/24', 'dev', 'tap0']);
    const link = new CaptureLink(tap, (bytes) => this.captured.push(bytes.slice()));
    this.host = new Host({ link, mac: 0x0200_0000_0077 });
    this.host.ip.addAddress(US);
    const prefix = parsePrefix('10.77.0.0/24');
    if (prefix !== undefined) this.host.ip.addRoute({ prefix });
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

test.skipIf(why !== undefined)(
  'curl fetches from node:http over our stack, and we from the kernel',
  async () => {
    await using bench = new Bench();
    const body = randomBytes(20_000_000);
    const digest = createHash('sha256').update(body).digest('hex');
    const web = http.createServer(async (request, response) => {
      if (request.method === 'POST') response.end(String((await text(request)).length));
      else response.end(body);
    });
    const server = new TcpServer(bench.host.tcp).listen({ address: US, port: 80 });
    server.on('connection', (socket) => web.emit('connection', socket));
    const url = 'http://10.77.0.2/';
    const sum = await bench.inside('sh', '-c', `curl -sS ${url} | sha256sum`);
    expect(sum).toContain(digest);
    // Many requests on one connection, and an upload with `Expect: 100-continue`.
    const again = Array.from({ length: 20 }, () => url).flatMap((each) => [
      '-o',
      '/dev/null',
      each,
    ]);
    expect(await bench.inside('curl', '-sS', '-w', '%{http_code} ', ...again.slice(0, 60))).toBe(
      '200 '.repeat(20),
    );
    expect(
      await bench.inside(
        'sh',
        '-c',
        `head -c 5000000 /dev/zero | curl -sS --data-binary @- ${url}`,
      ),
    ).toBe('5000000');
    // Nobody listens there: the kernel refuses us, and we refuse the kernel.
    const refused = connectSocket(bench.host.tcp, {
      local: US,
      remote: { address: KERNEL, port: 9 },
    });
    const error = await new Promise((resolve) => refused.once('error', resolve));
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    await expect(bench.inside('curl', '-sS', 'http://10.77.0.2:81/')).rejects.toThrow(
      /curl: \(7\)/,
    );
    const { counters } = bench.host.tcp;
    expect(counters).toMatchObject({ malformed: 0, badChecksum: 0, timeouts: 0 });
    expect(bench.host.link.counters.sendErrors).toBe(0);
    expect(bench.captured.length).toBeGreaterThan(100);
  },
);
