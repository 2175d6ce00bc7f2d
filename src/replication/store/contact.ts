// A store, and whether it answers in time. What it was asked and has not answered is remembered only by when.
import { type Clock, MILLISECOND, type Micros } from '../../env/clock.ts';
import { Timer, type Timers } from '../../env/timers.ts';
import type { Entry, PutOutcome, ScanPage, Store } from './store.ts';

/** Between two attempts to use a store that was lost. */
const AGAIN: Micros = 100 * MILLISECOND;

export interface ContactOptions {
  readonly store: Store;
  /** An answer that takes longer is as good as none. */
  readonly timeout: Micros;
  readonly clock: Clock;
  readonly timers: Timers;
}

interface Question {
  readonly askedAt: Micros;
  isAnswered: boolean;
}

export class Contact {
  /** It is of no use from now on: it is not connected, is too slow, or does not do as asked. */
  onLost: (reason: string) => void = () => {};
  /** It is connected and owes no answer. */
  onBack: () => void = () => {};
  readonly #options: ContactOptions;
  /** In the order in which they were asked. */
  readonly #questions: Question[] = [];
  readonly #deadline: Timer;
  readonly #attempt: Timer;
  #isReachable = false;
  #isClosed = false;

  constructor(options: ContactOptions) {
    this.#options = options;
    this.#deadline = new Timer((now) => this.#check(now));
    this.#attempt = new Timer(() => this.#tryAgain());
    options.store.onChange = () => {
      if (options.store.isUp) this.#tryAgain();
      else this.lose('the connection is broken');
    };
  }

  get isReachable(): boolean {
    return this.#isReachable;
  }

  /** Questions without an answer. */
  get open(): number {
    return this.#questions.length;
  }

  start(): void {
    this.#options.store.open();
    this.#tryAgain();
  }

  close(): void {
    this.#isClosed = true;
    this.#isReachable = false;
    this.#options.timers.remove(this.#deadline);
    this.#options.timers.remove(this.#attempt);
    this.#options.store.close();
  }

  /** Not to be used for a while. */
  lose(reason: string): void {
    if (!this.#isReachable) return;
    this.#isReachable = false;
    this.#tryLater();
    this.onLost(reason);
  }

  put(entry: Entry, ttlMs: number, done: (outcome: PutOutcome) => void): void {
    const question = this.#ask();
    this.#options.store.put(entry, ttlMs, (outcome) => {
      this.#answered(question);
      if (outcome === 'failed') this.lose('it does not store what it is given');
      done(outcome);
    });
  }

  get(
    names: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[] | undefined) => void,
  ): void {
    const question = this.#ask();
    this.#options.store.get(names, (values) => {
      this.#answered(question);
      if (values === undefined) this.lose('it does not tell what it has');
      done(values);
    });
  }

  remove(names: Entry['names'], identity: Uint8Array, done: (ok: boolean) => void): void {
    const question = this.#ask();
    this.#options.store.remove(names, identity, (ok) => {
      this.#answered(question);
      if (!ok) this.lose('it does not remove what it is told to');
      done(ok);
    });
  }

  scan(prefix: string, cursor: string, done: (page: ScanPage | undefined) => void): void {
    const question = this.#ask();
    this.#options.store.scan(prefix, cursor, (page) => {
      this.#answered(question);
      if (page === undefined) this.lose('it does not tell what it has');
      done(page);
    });
  }

  #ask(): Question {
    const { clock, timers, timeout } = this.#options;
    const question = { askedAt: clock.now(), isAnswered: false };
    if (this.#questions.length === 0) timers.set(this.#deadline, question.askedAt + timeout);
    this.#questions.push(question);
    return question;
  }

  #answered(question: Question): void {
    const { timers, timeout } = this.#options;
    question.isAnswered = true;
    while (this.#questions.length > 0 && this.#questions[0].isAnswered) this.#questions.shift();
    if (this.#questions.length === 0) timers.remove(this.#deadline);
    else timers.set(this.#deadline, this.#questions[0].askedAt + timeout);
  }

  #check(now: Micros): void {
    const { timeout } = this.#options;
    if (this.#questions.length === 0) return;
    if (now - this.#questions[0].askedAt >= timeout) {
      this.lose(`it did not answer within ${timeout / MILLISECOND} ms`);
    } else this.#options.timers.set(this.#deadline, this.#questions[0].askedAt + timeout);
  }

  #tryAgain(): void {
    if (this.#isReachable || this.#isClosed) return;
    if (!this.#options.store.isUp || this.#questions.length > 0) {
      this.#tryLater();
      return;
    }
    this.#isReachable = true;
    this.onBack();
  }

  #tryLater(): void {
    const { clock, timers } = this.#options;
    timers.set(this.#attempt, clock.now() + AGAIN);
  }
}
