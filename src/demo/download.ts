/** curl in the client's namespace, read at a steady pace. */
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { monotonic } from '../lab/event.ts';
import type { Lab } from '../lab/lab.ts';
import { exitCode } from '../lab/run.ts';
import { Timeline } from './timeline.ts';

/** How the client ended. */
export interface DownloadEnd {
  readonly code: number;
  /** What it complained of, in one line; empty when nothing. */
  readonly complaint: string;
  readonly sha256: string;
}

export interface DownloadOptions {
  readonly lab: Lab;
  /** The host it runs on. */
  readonly host: string;
  readonly url: string;
  /** Bytes per millisecond at which its output is read. */
  readonly rate: number;
  /** Called after each arrival. */
  readonly onArrival?: (timeline: Timeline) => void;
}

/** After a stall the reader makes up for at most this much of the time lost. */
const BURST_MS = 20;
/** Characters of complaint kept. */
const COMPLAINT_LIMIT = 1000;

/**
 * curl fails by itself when it hears nothing for 10 s. Its --limit-rate would move in leaps of up to
 * 10 MB; reading its output slowly paces it evenly, since all buffers on the way are small.
 */
const CURL = [
  ...['curl', '--silent', '--show-error', '--fail', '--globoff', '--noproxy', '*'],
  ...['--connect-timeout', '10', '--speed-limit', '1', '--speed-time', '10'],
];

export class Download {
  readonly timeline: Timeline = new Timeline(monotonic());
  /** Resolves when curl has ended and all it wrote is read. */
  readonly ended: Promise<DownloadEnd>;
  readonly #options: DownloadOptions;
  readonly #hash = createHash('sha256');
  /** When the bytes read so far would have come at the wanted rate. */
  #due: number;

  constructor(options: DownloadOptions) {
    this.#options = options;
    this.#due = this.timeline.began;
    const { lab, host, url } = options;
    const child = lab.spawn(host, [...CURL, url], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.ended = this.#read(child);
  }

  #read(child: ChildProcess): Promise<DownloadEnd> {
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error('curl was started without pipes');
    let complaint = '';
    stderr.setEncoding('utf8');
    stderr.on('data', (text: string) => {
      complaint = (complaint + text).slice(0, COMPLAINT_LIMIT);
    });
    stdout.on('data', (chunk: Buffer) => {
      const now = monotonic();
      this.timeline.add(now, chunk.length);
      this.#hash.update(chunk);
      this.#due = Math.max(this.#due, now - BURST_MS) + chunk.length / this.#options.rate;
      const early = Math.floor(this.#due - now);
      if (early > 0) {
        stdout.pause();
        setTimeout(() => stdout.resume(), early);
      }
      this.#options.onArrival?.(this.timeline);
    });
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => {
        resolve({
          code: exitCode(child),
          complaint: complaint.trim().replaceAll('\n', '; '),
          sha256: this.#hash.digest('hex'),
        });
      });
    });
  }
}
