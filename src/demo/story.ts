/** The demo in words as it goes: the topology, what happens, and how the download gets on. */
import { SURVIVOR, VICTIM } from './cast.ts';
import type { Step } from './demo.ts';
import type { Paint } from './screen.ts';
import { formatSize } from './size.ts';
import { bar, spark } from './spark.ts';
import type { Timeline } from './timeline.ts';
import type { How } from './verdict.ts';
import { DEEDS, DIGEST_SHOWN, percentage, rate, SPAN_MS, seconds, span, tenths } from './words.ts';

export interface StoryOptions {
  readonly how: How;
  readonly seed: number;
  /** Bytes of the file. */
  readonly size: number;
  readonly paint: Paint;
}

/** The span whose throughput is given as the present one. */
const RECENT_MS = 500;
/** Widest bar and spark line, in characters. */
const BAR = 16;
const SPARK = 30;

/** Tells the steps, which it must be given in their order. */
export class Story {
  readonly #options: StoryOptions;
  #timeline: Timeline | undefined;
  /** Pace of the download in bytes per millisecond. */
  #rate = 0;
  #failedAt: number | undefined;
  #builtMs = 0;

  constructor(options: StoryOptions) {
    this.#options = options;
  }

  title(): string {
    const { how, seed, paint } = this.#options;
    const again = paint.dim(`(--how ${how} --seed ${seed})`);
    return `${paint.bold(`A download survives ${DEEDS[how].title}`)}  ${again}`;
  }

  /** The line for a step, or several; undefined when it needs none. */
  tell(step: Step): string | undefined {
    const { how, size, paint } = this.#options;
    switch (step.type) {
      case 'building':
        return undefined;
      case 'built':
        this.#builtMs = step.ms;
        return this.#topology(step.server);
      case 'filled': {
        const times = `lab ${seconds(this.#builtMs).trim()}, file ${seconds(step.ms).trim()}`;
        return `   ${paint.dim(`ready: ${times}; its SHA-256 ${step.sha256.slice(0, DIGEST_SHOWN)}…`)}\n`;
      }
      case 'asked':
        this.#timeline = step.timeline;
        this.#rate = step.rate;
        return this.#at(step.timeline.began, `curl asks ${step.url} by way of proxy ${VICTIM}`);
      case 'failed': {
        this.#failedAt = step.at;
        const part = percentage((this.#timeline?.bytesAt(step.at) ?? 0) / size).trim();
        const text = paint.red(`proxy ${VICTIM} ${DEEDS[how].done}`);
        return this.#at(step.at, `${text}, the file is at ${part}`);
      }
      case 'detected': {
        const text = paint.yellow(`proxy ${SURVIVOR} holds proxy ${VICTIM} for dead`);
        return this.#after(step.notice.at, text);
      }
      case 'adopted': {
        const addresses = step.notice.addresses.join(' and ');
        return this.#after(
          step.notice.at,
          paint.cyan(`proxy ${SURVIVOR} takes over its addresses ${addresses}`),
        );
      }
      case 'resumed':
        return this.#after(step.gap.to, paint.green('curl receives again, on the same connection'));
      case 'ended':
        return this.#at(step.at, `curl ends with exit code ${step.code}`);
    }
  }

  /**
   * How the download gets on, in one line shorter than `columns`; undefined when none is under way.
   * @param now milliseconds of CLOCK_MONOTONIC
   */
  progress(now: number, columns: number): string | undefined {
    const timeline = this.#timeline;
    if (timeline === undefined) return undefined;
    const fraction = timeline.bytes / this.#options.size;
    const figures = ` ${this.figures(now)}  ${bar(fraction, BAR)} `;
    // Whole spans since the start: a part of one would look like a dip.
    const past = Math.floor((now - timeline.began) / SPAN_MS);
    const shown = Math.max(0, Math.min(SPARK, past, columns - 1 - figures.length));
    const values = timeline.perSpan(timeline.began + (past - shown) * SPAN_MS, SPAN_MS, shown);
    return `${figures}${spark(values, this.#rate * SPAN_MS)}`.slice(0, columns - 1);
  }

  /** Time, part of the file and throughput. */
  figures(now: number): string | undefined {
    const timeline = this.#timeline;
    if (timeline === undefined) return undefined;
    const [recent] = timeline.perSpan(now - RECENT_MS, RECENT_MS, 1);
    const part = percentage(timeline.bytes / this.#options.size);
    return `${seconds(now - timeline.began)}  ${part} ${rate(recent / RECENT_MS)}`;
  }

  #topology(server: string): string {
    const { size, paint } = this.#options;
    return [
      '',
      `   curl ── router ─┬─ ${paint.green('proxy a')} ─┬─ web1   both run ${server} and serve`,
      `                   └─ ${paint.cyan('proxy b')} ─┴─ web2   the same ${formatSize(size)} of random bytes`,
      '',
    ].join('\n');
  }

  #at(moment: number, text: string): string {
    const began = this.#timeline?.began ?? moment;
    return ` ${this.#options.paint.dim(seconds(moment - began))}  ${text}`;
  }

  #after(moment: number, text: string): string {
    const late = span(tenths(moment - (this.#failedAt ?? moment)));
    return this.#at(moment, `${text} ${this.#options.paint.dim(`+${late}`)}`);
  }
}
