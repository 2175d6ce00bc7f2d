// Pictures of results, as SVG text, drawn by echarts without a browser.
import * as echarts from 'echarts';

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
  return render(top + 44 + groups.length * (12 + 15 * series.length), {
    ...common(title, names),
    grid: { left: 130, right: 90, top, bottom: 42 },
    xAxis: { type: 'value', name: unit, nameLocation: 'middle', nameGap: 26 },
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
        style: { text, x: high + 6, y: middle - 5, fill: '#222', font: `10px ${FONT}` },
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

export interface Curves {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly logarithmic?: boolean;
  readonly series: readonly {
    readonly name: string;
    readonly points: readonly (readonly [x: number, y: number])[];
    /** Whether the value stays until the next point, as in a cumulative distribution. */
    readonly steps?: boolean;
  }[];
}

export function curves({ title, x, y, logarithmic = false, series }: Curves): string {
  const names = series.map(({ name }) => name);
  const top = 50 + LEGEND_ROW * names.length;
  return render(top + 350, {
    ...common(title, names),
    grid: { left: 70, right: 30, top, bottom: 48 },
    xAxis: {
      type: logarithmic ? 'log' : 'value',
      name: x,
      nameLocation: 'middle',
      nameGap: 28,
      min: logarithmic ? 'dataMin' : 0,
    },
    yAxis: { type: 'value', name: y, nameLocation: 'middle', nameGap: 48 },
    series: series.map(({ name, points, steps }) => ({
      type: 'line' as const,
      name,
      showSymbol: steps !== true,
      symbolSize: 6,
      ...(steps === true ? { step: 'end' as const } : {}),
      data: points.map((point) => [...point]),
    })),
  });
}

/** The share of samples that are no greater, for each sample, in percent. */
export function distribution(samples: readonly number[]): [number, number][] {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted.map((value, index) => [value, (100 * (index + 1)) / sorted.length]);
}

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
