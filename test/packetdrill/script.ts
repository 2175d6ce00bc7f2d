// What a packetdrill script says, as data.
import type { Micros } from '../../src/env/clock.ts';

/** When an event takes place. `to` equals `from` unless the script gives a range. */
export interface When {
  /** `any`: whenever it comes; `relative`: counted from the end of the event before. */
  readonly kind: 'any' | 'absolute' | 'relative';
  readonly from: Micros;
  readonly to: Micros;
}

export type Direction = 'in' | 'out';

/** A TCP option as a script writes it; numbers left open by `...` are undefined. */
export type OptionSpec =
  | { readonly kind: 'mss'; readonly value: number | undefined }
  | { readonly kind: 'wscale'; readonly shift: number | undefined }
  | { readonly kind: 'sackOK' }
  | { readonly kind: 'nop' }
  | { readonly kind: 'eol' }
  | { readonly kind: 'sack'; readonly blocks: readonly (readonly [number, number])[] }
  | {
      readonly kind: 'timestamps';
      readonly value: number | undefined;
      readonly echo: number | undefined;
    };

/** What a script says about the IP header. */
export interface IpSpec {
  /** `ect01` is either of the two. */
  readonly ecn?: 'noecn' | 'ect0' | 'ect1' | 'ect01' | 'ce';
  /** The whole traffic class octet. */
  readonly trafficClass?: number;
  readonly timeToLive?: number;
  readonly flowLabel?: number;
}

export interface TcpSpec {
  readonly kind: 'tcp';
  readonly direction: Direction;
  readonly ip: IpSpec;
  /** The flags octet. */
  readonly flags: number;
  /** Relative to the script's own start of the stream; undefined where the script leaves it open. */
  readonly seq: number | undefined;
  /** The number is the one on the wire. */
  readonly absolute: boolean;
  readonly length: number;
  readonly ack: number | undefined;
  readonly window: number | undefined;
  readonly urgent: number | undefined;
  /** `any`: not compared. */
  readonly options: readonly OptionSpec[] | 'any';
}

export interface IcmpSpec {
  readonly kind: 'icmp';
  readonly direction: Direction;
  readonly ip: IpSpec;
  /** As written: `unreachable`, `packet_too_big`. */
  readonly type: string;
  readonly code: string | undefined;
  readonly mtu: number | undefined;
  /** The quoted packet's first sequence number and payload bytes. */
  readonly quoted: { readonly seq: number; readonly length: number } | undefined;
}

/** An argument or a result of a system call. */
export type Expression =
  | { readonly kind: 'any' }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'or'; readonly parts: readonly Expression[] }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'struct'; readonly fields: ReadonlyMap<string, Expression> }
  | { readonly kind: 'call'; readonly name: string; readonly arguments: readonly Expression[] };

export interface CallSpec {
  readonly kind: 'call';
  readonly name: string;
  readonly arguments: readonly Expression[];
  readonly result: Expression;
  /** The name of the error that the call is to end with. */
  readonly error: string | undefined;
  /** When a call that blocks is to end, counted as the event's own time is. */
  readonly until: When | undefined;
}

export interface CommandSpec {
  readonly kind: 'command';
  readonly text: string;
}

export interface CodeSpec {
  readonly kind: 'code';
  readonly text: string;
}

export interface Event {
  readonly line: number;
  readonly when: When;
  readonly what: TcpSpec | IcmpSpec | CallSpec | CommandSpec | CodeSpec;
}

/** One `--name=value` at the head of a script. */
export interface Setting {
  readonly line: number;
  readonly name: string;
  readonly value: string;
}

export interface Script {
  readonly file: string;
  readonly settings: readonly Setting[];
  readonly events: readonly Event[];
}
