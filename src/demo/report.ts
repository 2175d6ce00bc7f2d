/** The end of the demo in words: the verdict, its figures, and a picture of the throughput. */
import { SURVIVOR, VICTIM } from './cast.ts';
import type { Paint } from './screen.ts';
import { formatCount } from './size.ts';
import { spark } from './spark.ts';
import type { Timeline } from './timeline.ts';
import type { DemoResult } from './verdict.ts';
import { count, DEEDS, DIGEST_SHOWN, SPAN_MS, span } from './words.ts';

/** Longest part of the throughput that is shown, in spans. */
const PICTURE_SPANS = 64;
/** The least that a retransmission timer of Linux waits. */
const TIMER_MS = 200;
/** Spans before the failure with which a longer picture begins. */
const PICTURE_LEAD = 20;

/** @param timeline what the client received when; undefined shows no picture */
export function report(result: DemoResult, paint: Paint, timeline?: Timeline | undefined): string {
  const { ok, problems, bytes, size, sha256, expectedSha256, resets, clientErrors } = result;
  const head = ok
    ? [
        ` ${paint.green(paint.bold('OK'))}  One TCP connection carried the file to its end, and every byte is right.`,
      ]
    : [` ${paint.red(paint.bold('FAILED'))}`, ...problems.map((problem) => `   - ${problem}`)];
  const same =
    bytes === size && sha256 === expectedSha256 ? 'as at the backends' : 'NOT as it should be';
  const facts = [
    `${formatCount(bytes)} bytes, SHA-256 ${sha256.slice(0, DIGEST_SHOWN)}… ${same}`,
    [
      count(resets, 'reset'),
      count(clientErrors, 'client error'),
      count(result.connections, 'connection'),
    ].join(', '),
    ...gap(result),
  ];
  return [
    '',
    ...(timeline === undefined ? [] : picture(result, paint, timeline)),
    ...head,
    ...facts.map((fact) => `     ${fact}`),
    '',
  ].join('\n');
}

/** The gap and where its time went. */
function gap(result: DemoResult): string[] {
  const { clientGapMs, usualGapMs, detectedMs, adoptedMs, resumedMs, stalledMs } = result;
  if (clientGapMs === null) return [];
  const usual = usualGapMs === null ? '' : ` (before the failure: ${span(usualGapMs)})`;
  const head = `longest pause at the client: ${span(clientGapMs)}${usual}`;
  // What buffers and wires still held may have bridged the takeover.
  if (detectedMs === null || adoptedMs === null || resumedMs === null || resumedMs < adoptedMs) {
    return [head];
  }
  const part = (milliseconds: number, text: string): string =>
    `${span(milliseconds).padStart(9)}  ${text}`;
  return [
    head,
    `${span(resumedMs)} from the failure to the next new byte:`,
    part(detectedMs, `until proxy ${SURVIVOR} held proxy ${VICTIM} for dead`),
    part(adoptedMs - detectedMs, 'until it had announced the addresses as its own'),
    part(
      resumedMs - adoptedMs,
      resumedMs < TIMER_MS
        ? `until the backend sent again: proxy ${SURVIVOR} asked both ends to go on`
        : 'until the backend sent again: its retransmission timer',
    ),
    ...(stalledMs > 0
      ? [`this machine is busy: it gave proxy ${SURVIVOR} no time for ${span(stalledMs)} of it`]
      : []),
  ];
}

/** The throughput, and a mark below it where the failure was. */
function picture(
  { how, killedAtMs, durationMs }: DemoResult,
  paint: Paint,
  timeline: Timeline,
): string[] {
  const all = Math.max(1, Math.round(durationMs / SPAN_MS));
  const failed = killedAtMs === null ? 0 : Math.floor(killedAtMs / SPAN_MS);
  const first = all <= PICTURE_SPANS ? 0 : Math.max(0, failed - PICTURE_LEAD);
  const values = timeline.perSpan(
    timeline.began + first * SPAN_MS,
    SPAN_MS,
    Math.min(all - first, PICTURE_SPANS),
  );
  const median = values.toSorted((x, y) => x - y)[values.length >> 1];
  const mark = paint.red(`↑ ${DEEDS[how].mark}`);
  return [
    `     ${spark(values, median)}`,
    ...(killedAtMs === null ? [] : [`     ${' '.repeat(failed - first)}${mark}`]),
    '',
  ];
}
