/** Shows the demo on a screen while it runs. */
import { monotonic } from '../lab/event.ts';
import type { Step } from './demo.ts';
import { report } from './report.ts';
import { paintFor, type Screen } from './screen.ts';
import { Story } from './story.ts';
import type { Timeline } from './timeline.ts';
import type { DemoResult, How } from './verdict.ts';

/** Between two drawings of the line that changes. */
const REDRAW_MS = 100;
/** Between two lines of progress where no line can change. */
const LINE_MS = 1000;
/** Back to the start of the line and erase it (ECMA-48, 8.3.41). */
const ERASE = '\r\x1b[K';

export interface ShowOptions {
  readonly screen: Screen;
  readonly how: How;
  readonly seed: number;
  /** Bytes of the file. */
  readonly size: number;
}

export class Show {
  readonly #screen: Screen;
  readonly #story: Story;
  readonly #paint: ReturnType<typeof paintFor>;
  #timer: NodeJS.Timeout | undefined;
  #timeline: Timeline | undefined;
  /** What the line that changes says now; only on a live screen. */
  #status = '';

  constructor({ screen, ...options }: ShowOptions) {
    this.#screen = screen;
    this.#paint = paintFor(screen);
    this.#story = new Story({ ...options, paint: this.#paint });
  }

  step(step: Step): void {
    const text = this.#story.tell(step);
    if (text !== undefined) this.#print(text);
    switch (step.type) {
      case 'building':
        this.#print(`\n ${this.#story.title()}`);
        this.#say(' building a lab of network namespaces ...');
        break;
      case 'built':
        this.#say(' writing the file ...');
        break;
      case 'filled':
        this.#say('');
        break;
      case 'asked':
        this.#timeline = step.timeline;
        this.#follow();
        break;
      case 'ended':
        this.close();
        break;
    }
  }

  /** The end. */
  verdict(result: DemoResult): void {
    this.close();
    this.#print(report(result, this.#paint, this.#timeline));
  }

  /** Ends the changing line, wherever the demo is. */
  close(): void {
    clearInterval(this.#timer);
    this.#say('');
  }

  #follow(): void {
    const { live } = this.#screen;
    const draw = (): void => {
      const now = monotonic();
      if (live) this.#say(this.#story.progress(now, this.#screen.columns) ?? '');
      else this.#print(` ${this.#story.figures(now)}`);
    };
    this.#timer = setInterval(draw, live ? REDRAW_MS : LINE_MS);
  }

  /** A line that stays, above the one that changes. */
  #print(text: string): void {
    const status = this.#status;
    this.#say('');
    this.#screen.write(`${text}\n`);
    this.#say(status);
  }

  /** Changes the line that changes. */
  #say(status: string): void {
    if (!this.#screen.live || (status === '' && this.#status === '')) return;
    this.#screen.write(`${ERASE}${status}`);
    this.#status = status;
  }
}
