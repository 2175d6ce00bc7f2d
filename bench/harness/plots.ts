// Pictures of results, as SVG text, drawn by echarts without a browser.
import * as echarts from 'echarts';
import { quantile } from './statistics.ts';

const WIDTH = 820;
/** Height of an entry of a legend. */
const LEGEND_ROW = 20;
const FONT = 'system-ui, sans-serif';
/** Told apart by eyes that see no red and green, too (Okabe and Ito). */
const COLOURS = [
  '#0072b2',
  '#e69f00',
  '#009e73',
  '#cc79a7',
  '#56b4e9',
  '#d55e00',
  '#999999',
  '#000000',
];

/** One value with its interval, where there is one. */
export interface Point {
  readonly value: number;
  readonly interval?: readonly [number, number];
}

export interface Bars {
  readonly title: string;
  readonly unit: string;
  /** One group of bars each, from the top. */
  readonly groups: readonly string[];
  /** One bar in every group each; undefined where a group has none. */
  readonly series: readonly {
    readonly name: string;
    readonly points: readonly (Point | undefined)[];
  }[];
}

/** Horizontal bars with whiskers for the intervals. */
export function bars({ title, unit, groups, series }: Bars): string {
  const names = series.length > 1 ? series.map(({ name }) => name) : [];
  const top = 46 + LEGEND_ROW * names.length;
  const hasIntervals = series.some(({ points }) => points.some((point) => point?.interval));
  const how = hasIntervals ? '; medians, and where they lie with 95 % confidence' : '';
  return render(top + 44 + groups.length * (12 + 15 * series.length), {
    ...common(title, names),
    grid: { left: labelWidth(groups), right: 90, top, bottom: 42 },
    xAxis: { type: 'value', name: `${unit}${how}`, nameLocation: 'middle', nameGap: 26 },
    yAxis: { type: 'category', data: [...groups], inverse: true, axisTick: { show: false } },
    series: [
      ...series.map(({ name, points }) => ({
        type: 'bar' as const,
        name,
        barGap: '10%',
        data: points.map((point) => point?.value ?? '-'),
      })),
      ...series.map(({ points }, index) => whiskers(points, index, series.length)),
    ],
  });
}

/** The interval of each bar of one series, a line over the bar's end, and the value behind it. */
function whiskers(
  points: readonly (Point | undefined)[],
  index: number,
  count: number,
): echarts.CustomSeriesOption {
  const data = points.flatMap((point, group) =>
    point === undefined
      ? []
      : [[...(point.interval ?? [point.value, point.value]), group, point.value]],
  );
  return {
    type: 'custom',
    z: 10,
    encode: { x: [0, 1, 3], y: 2 },
    data,
    renderItem: (_params, api) => {
      const [low, y] = api.coord([api.value(0), api.value(2)]);
      const [high] = api.coord([api.value(1), api.value(2)]);
      const layout = api.barLayout({ barGap: '10%', count })?.[index];
      const middle = y + (layout?.offsetCenter ?? 0);
      const line = (x1: number, y1: number, x2: number, y2: number) => ({
        type: 'line' as const,
        shape: { x1, y1, x2, y2 },
        style: { stroke: '#222', lineWidth: 1.2 },
      });
      const text = Number(Number(api.value(3)).toPrecision(3)).toLocaleString('en-US');
      const label = {
        type: 'text' as const,
        style: {
          text,
          x: high + 6,
          y: middle,
          verticalAlign: 'middle' as const,
          fill: '#222',
          font: `10px ${FONT}`,
        },
      };
      if (high === low) return { type: 'group', children: [label] };
      return {
        type: 'group',
        children: [
          line(low, middle, high, middle),
          line(low, middle - 3, low, middle + 3),
          line(high, middle - 3, high, middle + 3),
          label,
        ],
      };
    },
  };
}

export interface Strips {
  readonly title: string;
  readonly unit: string;
  /** One row of samples each, from the top. */
  readonly groups: readonly string[];
  /** Of each its samples in every group. */
  readonly series: readonly {
    readonly name: string;
    readonly samples: readonly (readonly number[])[];
  }[];
}

/** The axis reaches at least, and at most, so many times below the largest sample. Smaller ones are drawn at the left edge. */
const LEAST_SPAN = 30;
const SPAN = 10_000;

/** Every sample as a point, with a line at the median: what the distribution is like. */
export function strips({ title, unit, groups, series }: Strips): string {
  const all = series.flatMap(({ samples }) => samples.flat());
  const largest = Math.max(1, ...all);
  const positive = Math.min(largest / LEAST_SPAN, ...all.filter((value) => value > 0));
  const floor = 10 ** Math.floor(Math.log10(Math.max(positive, largest / SPAN)));
  const names = series.map(({ name }) => name);
  const top = 46 + LEGEND_ROW * names.length;
  const edge = all.some((value) => value < floor) ? '; what is smaller, at the left edge' : '';
  return render(top + 48 + groups.length * (10 + 16 * series.length), {
    ...common(title, names),
    grid: { left: labelWidth(groups), right: 60, top, bottom: 46 },
    xAxis: {
      type: 'log',
      name: `${unit}, logarithmic; every sample; lines and figures are medians${edge}`,
      nameLocation: 'middle',
      nameGap: 28,
      min: floor,
      max: largest,
      axisLabel: { showMaxLabel: false },
    },
    yAxis: {
      ...{ type: 'category', data: [...groups], inverse: true, axisTick: { show: false } },
      splitLine: { show: true },
    },
    series: series.map(({ name, samples }, index) => ({
      type: 'custom' as const,
      name,
      data: samples.map((own, group) => [
        own.length === 0 ? floor : Math.max(floor, own[0]),
        group,
      ]),
      renderItem: (_params, api) => {
        const group = Number(api.value(1));
        const own = samples[group];
        if (own.length === 0) return { type: 'group', children: [] };
        const layout = api.barLayout({ barGap: '10%', count: series.length })?.[index];
        const at = (value: number): [number, number] => {
          const [x, y] = api.coord([Math.max(floor, value), group]);
          return [x, y + (layout?.offsetCenter ?? 0)];
        };
        return { type: 'group', children: strip(own, at, at(largest)[0], COLOURS[index]) };
      },
    })),
  });
}

/** One row of samples. Points that would lie upon each other are moved up and down a little. */
function strip(
  samples: readonly number[],
  at: (value: number) => [number, number],
  right: number,
  fill: string,
) {
  const median = quantile(samples, 0.5);
  const [x, y] = at(median);
  const text = Number(median.toPrecision(3)).toLocaleString('en-US');
  return [
    ...samples.map((value, index) => {
      const [cx, cy] = at(value);
      const shape = { cx, cy: cy + ((index * 3) % 7) - 3, r: 2.4 };
      return { type: 'circle' as const, shape, style: { fill, opacity: 0.5 } };
    }),
    {
      type: 'line' as const,
      shape: { x1: x, y1: y - 7, x2: x, y2: y + 7 },
      style: { stroke: '#222', lineWidth: 2 },
    },
    {
      type: 'text' as const,
      style: {
        text,
        x: right + 8,
        y,
        verticalAlign: 'middle' as const,
        fill: '#222',
        font: `10px ${FONT}`,
      },
    },
  ];
}

/** Room for labels at the left, in pixels; without a browser nobody knows how wide a text is. */
const labelWidth = (labels: readonly string[]): number =>
  24 + 6.8 * Math.max(14, ...labels.map(({ length }) => length));

function common(title: string, legend: readonly string[]): echarts.EChartsOption {
  return {
    animation: false,
    backgroundColor: '#ffffff',
    color: COLOURS,
    textStyle: { fontFamily: FONT },
    title: { text: title, left: 12, top: 8, textStyle: { fontSize: 14, fontFamily: FONT } },
    ...(legend.length > 0
      ? {
          // Below each other: without a browser nobody knows how wide a text is.
          legend: {
            data: [...legend],
            orient: 'vertical',
            left: 12,
            top: 32,
            itemHeight: 10,
            itemWidth: 16,
            itemGap: 8,
          },
        }
      : {}),
  };
}

function render(height: number, option: echarts.EChartsOption): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  try {
    chart.setOption(option);
    return `${chart.renderToSVGString()}\n`;
  } finally {
    chart.dispose();
  }
}
