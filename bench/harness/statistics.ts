// What samples say: medians, how sure they are, and whether two sets of them differ. The estimates are those
// of simple-statistics; randomness is seeded, so that a report does not change without its data.
import {
  median as middle,
  permutationTest,
  quantileSorted,
  sampleWithReplacement,
} from 'simple-statistics';
import { type Random, seededRandom } from '../../src/env/random.ts';

/** Resamplings of a confidence interval, and shuffles of a test. */
const RESAMPLES = 2_000;
const PERMUTATIONS = 5_000;
const SEED = 1;

export interface Summary {
  readonly count: number;
  readonly median: number;
  /** Where the median lies with 95 % confidence (percentile bootstrap); absent with fewer than three samples. */
  readonly interval?: readonly [low: number, high: number];
}

/** @throws Error without samples */
export function summarize(samples: readonly number[]): Summary {
  const count = samples.length;
  const median = middle([...samples]);
  if (count < 3) return { count, median };
  const uniform = uniformOf(seededRandom(SEED));
  const medians = Array.from({ length: RESAMPLES }, () =>
    middle(sampleWithReplacement([...samples], count, uniform)),
  ).sort((a, b) => a - b);
  const interval = [quantileSorted(medians, 0.025), quantileSorted(medians, 0.975)] as const;
  return { count, median, interval };
}

/** The value below which `fraction` (0 to 1) of the samples lie. @throws Error without samples */
export function quantile(samples: readonly number[], fraction: number): number {
  return quantileSorted(
    samples.toSorted((a, b) => a - b),
    fraction,
  );
}

/**
 * How much larger the samples are than those of `base`, with 95 % confidence: the median of the rounds' ratios, since what
 * befalls a round of the machine befalls both; or the ratio of the medians, if one of them did not play every round.
 *
 * @throws Error when one side has no samples
 */
export function ratio(samples: readonly number[], base: readonly number[]): Summary {
  if (samples.length === base.length && base.every((value) => value > 0)) {
    return summarize(samples.map((value, round) => value / base[round]));
  }
  const count = Math.min(samples.length, base.length);
  const median = middle([...samples]) / middle([...base]);
  if (count < 3) return { count, median };
  const uniform = uniformOf(seededRandom(SEED));
  const again = (values: readonly number[]): number =>
    middle(sampleWithReplacement([...values], values.length, uniform));
  const ratios = Array.from({ length: RESAMPLES }, () => again(samples) / again(base));
  ratios.sort((a, b) => a - b);
  return {
    count,
    median,
    interval: [quantileSorted(ratios, 0.025), quantileSorted(ratios, 0.975)],
  };
}

/** Fewest samples on either side from which a difference can be told at the 5 % level: 2 of C(8, 4) = 2.9 %. */
export const FEWEST = 4;

export interface Difference {
  /** Medians. */
  readonly before: number;
  readonly after: number;
  /** `after / before`. */
  readonly ratio: number;
  /** Probability of such a difference between the means by chance (permutation test); absent with too few samples. */
  readonly p?: number;
}

/** @throws Error when one side has no samples */
export function difference(before: readonly number[], after: readonly number[]): Difference {
  const medians = { before: middle([...before]), after: middle([...after]) };
  const ratio = medians.after / medians.before;
  if (Math.min(before.length, after.length) < FEWEST) return { ...medians, ratio };
  const uniform = uniformOf(seededRandom(SEED));
  const p = permutationTest([...before], [...after], 'two_side', PERMUTATIONS, uniform);
  return { ...medians, ratio, p };
}

/** From 0 up to, and without, 1. */
const uniformOf = (random: Random) => (): number => random.uint32() / 0x1_0000_0000;
