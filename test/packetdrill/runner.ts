// Runs one script, event by event, on a clock that moves only when the script waits.
import { MILLISECOND, type Micros, SECOND } from '../../src/env/clock.ts';
import { endsFor, type Family } from './addresses.ts';
import { type CommandEffects, runCommand } from './command.ts';
import { difference, formatObserved, type Mode, takeTrain } from './compare.ts';
import { type Configuration, configuration } from './configuration.ts';
import { frameFor, type Observed, PROTOCOL_TCP, tcpSegment } from './frames.ts';
import { icmpMessage } from './icmp.ts';
import { mayWait } from './lenient.ts';
import { writeOptions } from './options.ts';
import { parseScript } from './parser.ts';
import { pattern } from './payload.ts';
import { runPython } from './python.ts';
import type { CallSpec, Event, IcmpSpec, Script, Setting, TcpSpec, When } from './script.ts';
import { System } from './system.ts';
import { namesOf, stateOf } from './tcp-info.ts';
import type { TcpSocket } from './tcp-socket.ts';
import { type Result, ScriptError, Unsupported } from './verdict.ts';
import { milliseconds, World } from './world.ts';

export interface RunOptions {
  readonly mode: Mode;
  /** The family when the script does not name one, or `force` says so. */
  readonly family: Family;
  readonly force?: boolean;
}

const TOLERANCE: Micros = 4_000;
/** A packet that may come at any time does not come after this long. */
const PATIENCE: Micros = 3_600 * SECOND;
const FIN = 1;
const SYN = 2;
const ICMP = 1;
const ICMPV6 = 58;

/** Runs a script to its verdict. Nothing that a script says makes this throw. */
export function runScript(file: string, text: string, options: RunOptions): Result {
  try {
    const script = parseScript(file, text);
    new Run(script, options).run();
    return { file, verdict: 'passed', reason: '', line: 0 };
  } catch (error) {
    if (error instanceof Unsupported) {
      return { file, verdict: 'unsupported', reason: error.what, line: error.line };
    }
    const line = error instanceof ScriptError ? error.line : 0;
    const reason = error instanceof Error ? error.message : String(error);
    return { file, verdict: 'failed', reason, line };
  }
}

class Run {
  readonly #script: Script;
  readonly #mode: Mode;
  readonly #configuration: Configuration = configuration();
  readonly #family: Family;
  readonly #names: { local?: string; remote?: string } = {};
  readonly #ports = { bind: 8_080, connect: 8_080 };
  #tolerance = TOLERANCE;
  /** Microseconds that one step of a timestamp in the script stands for; 0: they are not compared. */
  #tick = 0;
  #world: World | undefined;
  #system: System | undefined;
  /** Time that passed before there was a world. */
  #early: Micros = 0;
  /** When the last event took place, in the script and in fact. */
  #scripted: Micros = 0;
  #actual: Micros = 0;

  constructor(script: Script, { mode, family, force = false }: RunOptions) {
    this.#script = script;
    this.#mode = mode;
    let chosen = family;
    for (const setting of script.settings) {
      const { name, value, line } = setting;
      switch (name) {
        case 'ip_version':
          if (value === 'ipv4-mapped-ipv6')
            throw new Unsupported(line, '--ip_version=ipv4-mapped-ipv6');
          if (!force) chosen = value === 'ipv6' ? 6 : 4;
          break;
        case 'tolerance_usecs':
          this.#tolerance = count(setting, 0, 3_600_000_000);
          break;
        case 'tcp_ts_tick_usecs':
          this.#tick = count(setting, 0, 1_000_000);
          break;
        case 'mtu':
          this.#configuration.mtu = count(setting, 576, 65_535);
          break;
        case 'local_ip':
          this.#names.local = value;
          break;
        case 'remote_ip':
          this.#names.remote = value.split('/')[0] ?? value;
          break;
        case 'bind_port':
          this.#ports.bind = count(setting, 1, 65_535);
          break;
        case 'connect_port':
          this.#ports.connect = count(setting, 1, 65_535);
          break;
        case 'verbose':
        case 'debug':
        case 'dry_run':
        case 'non_fatal':
        case 'gateway_ip':
        case 'netmask_ip':
        case 'init_scripts':
        case 'send_omit_free':
        case 'no_cleanup':
        case 'define':
          break;
        default:
          throw new Unsupported(line, `--${name}`);
      }
    }
    this.#family = chosen;
  }

  run(): void {
    for (const event of this.#script.events) this.#event(event);
    this.#finish(this.#script.events.at(-1)?.line ?? 0);
  }

  /** The host, made when it is needed first: by then the script has said how it is to be. */
  #live(line: number): { world: World; system: System } {
    if (this.#world !== undefined && this.#system !== undefined) {
      return { world: this.#world, system: this.#system };
    }
    const ends = endsFor(this.#family, this.#names, this.#ports);
    if (ends === undefined) throw new Unsupported(line, `IPv${this.#family} addresses`);
    const world = new World(this.#configuration, ends);
    world.ignoresSizes = this.#mode === 'lenient';
    world.advanceTo(this.#early);
    this.#world = world;
    this.#system = new System(world);
    return { world, system: this.#system };
  }

  get #now(): Micros {
    return this.#world?.now ?? this.#early;
  }

  #event(event: Event): void {
    const base = event.when.kind === 'absolute' ? 0 : this.#now;
    const { what } = event;
    if (what.kind === 'tcp' && what.direction === 'out') {
      this.#expect(event, what, base);
      return;
    }
    this.#waitUntil(base + event.when.from);
    this.#scripted = base + event.when.from;
    this.#actual = this.#now;
    switch (what.kind) {
      case 'tcp':
        this.#inject(what, event.line);
        return;
      case 'icmp':
        if (what.direction === 'out') throw new Unsupported(event.line, 'outbound ICMP');
        this.#injectIcmp(what, event.line);
        return;
      case 'call':
        this.#call(what, event, base);
        return;
      case 'command':
        this.#command(what.text, event.line);
        return;
      default:
        runPython(what.text, event.line, namesOf(this.#current()));
    }
  }

  #waitUntil(time: Micros): void {
    if (this.#world === undefined) this.#early = Math.max(this.#early, time);
    else this.#world.advanceTo(time);
  }

  #call(spec: CallSpec, event: Event, base: Micros): void {
    const { world, system } = this.#live(event.line);
    // One call at a time: another waits until the one before has ended.
    const before = system.waitingLine;
    for (let steps = 0; system.waitingLine !== undefined; steps++) {
      if (!world.step(world.now + PATIENCE) || steps > 100_000) {
        throw new ScriptError(before ?? event.line, 'the call does not end');
      }
    }
    system.call(spec, event.line, (endedAt) => {
      if (spec.until === undefined) return;
      const from = event.when.kind === 'absolute' ? spec.until.from : base + spec.until.from;
      this.#checkTime(
        'the call ended',
        event.line,
        from,
        from,
        endedAt,
        this.#toleranceFor(from - base),
      );
    });
  }

  #command(text: string, line: number): void {
    const effects: CommandEffects = { sleep: 0, counts: [], dropTimeWait: false };
    const missing = runCommand(this.#configuration, text, effects);
    if (missing !== undefined) throw new Unsupported(line, missing);
    if (effects.sleep > 0) this.#waitUntil(this.#now + effects.sleep);
    if (this.#world === undefined) return;
    if (effects.dropTimeWait) this.#world.dropTimeWaits();
    for (const { state, count } of effects.counts) {
      const found = this.#world.count(state);
      if (found === undefined) throw new Unsupported(line, `sockets in state ${state}`);
      if (found === count) continue;
      throw new ScriptError(line, `${count} sockets in ${state} expected, not ${found}`);
    }
  }

  #inject(spec: TcpSpec, line: number): void {
    const { world } = this.#live(line);
    if (world.listening) {
      // What such a setting is about is a SYN with FIN that opens a connection, and nothing else.
      if (this.#configuration.takesSynFin && (spec.flags & (SYN | FIN)) === (SYN | FIN)) {
        throw new Unsupported(line, 'net.inet.tcp.drop_synfin=0');
      }
      world.beginPassive();
      world.listening = false;
    }
    const { flow, ends } = world;
    const { seq, ack } = flow.toWire(spec);
    const options = spec.options === 'any' ? [] : spec.options.map(flow.optionToWire);
    const optionBytes = writeOptions(options);
    if (optionBytes.length > 40) throw new ScriptError(line, 'the options need more than 40 bytes');
    const body = tcpSegment(
      {
        sourcePort: flow.remotePort,
        destinationPort: flow.localPort,
        seq: world.shifted(seq, spec),
        ack,
        flags: spec.flags,
        window: spec.window ?? 0,
        urgent: spec.urgent ?? 0,
      },
      optionBytes,
      pattern(spec.length, spec.seq ?? 0),
    );
    world.arrive(frameFor(ends, ipFields(spec), PROTOCOL_TCP, body, 16));
  }

  #injectIcmp(spec: IcmpSpec, line: number): void {
    const { world } = this.#live(line);
    const message = icmpMessage(spec, line, world.ends, world.flow);
    const four = world.ends.family === 4;
    const ip = { trafficClass: 0, timeToLive: 64, flowLabel: 0 };
    world.arrive(frameFor(world.ends, ip, four ? ICMP : ICMPV6, message, 2, !four));
  }

  /** Waits for the packet that the script expects, and compares it. */
  #expect(event: Event, spec: TcpSpec, base: Micros): void {
    const { world } = this.#live(event.line);
    const { when, line } = event;
    const early = when.from + base;
    const late = when.to + base;
    const tolerance = this.#toleranceFor(late - this.#actual);
    const lenient = this.#mode === 'lenient';
    const latest = lenient ? late + mayWait(spec) : late;
    const limit = when.kind === 'any' ? world.now + PATIENCE : latest + tolerance;
    while (world.nextSent() === undefined) {
      if (world.step(limit)) continue;
      world.advanceTo(limit);
      if (world.nextSent() !== undefined) break;
      throw new ScriptError(line, `no packet was sent until ${milliseconds(limit)}`);
    }
    const { flow } = world;
    const seen = takeTrain(world.sent, spec.length);
    if (seen === undefined) throw new ScriptError(line, 'no packet was sent');
    if ((spec.flags & seen.flags & SYN) !== 0) flow.learnSyn(spec, seen.seq);
    this.#learnTimestamp(spec, seen, line);
    const wrong = difference(spec, seen, flow, this.#mode);
    if (wrong !== undefined) throw new ScriptError(line, wrong);
    const flags = seen.flags & (FIN | SYN);
    if ((seen.flags & FIN) !== 0) flow.hasSentFin = true;
    const end = seen.seq + seen.length + (flags === 0 ? 0 : 1);
    const repeated = flow.isRepetition(seen.seq, end >>> 0);
    if (when.kind !== 'any') {
      // Another system's retransmissions may be late by a constant of its own.
      const slop = repeated && lenient ? this.#configuration.retransmissionSlop : 0;
      const what = `packet ${formatObserved(seen, flow)} sent`;
      this.#checkTime(what, line, early - slop, latest, seen.at, tolerance, when);
    }
    if (spec.window !== undefined) world.noteWindow(spec.window);
    this.#scripted = when.kind === 'any' ? seen.at : early;
    this.#actual = seen.at;
  }

  #learnTimestamp({ options }: TcpSpec, seen: Observed, line: number): void {
    const live = seen.options.find((option) => option.kind === 'timestamps');
    if (live?.value === undefined || options === 'any') return;
    const scripted = options.find((option) => option.kind === 'timestamps');
    if (scripted?.value === undefined || this.#world === undefined) return;
    const { flow } = this.#world;
    const passed = flow.learnTimestamp(scripted.value, live.value);
    if (this.#tick === 0) return;
    // Ours counts milliseconds.
    const late = passed.live * MILLISECOND - passed.scripted * this.#tick;
    if (Math.abs(late) <= this.#tolerance + MILLISECOND) return;
    throw new ScriptError(line, `TS val is ${milliseconds(late)} ahead of the script's`);
  }

  /** @throws ScriptError if `actual` is not within the tolerance of what the script says */
  #checkTime(
    what: string,
    line: number,
    from: Micros,
    to: Micros,
    actual: Micros,
    tolerance: Micros,
    when?: When,
  ): void {
    if (actual >= from - tolerance && actual <= to + tolerance) return;
    // Absolute times may also be read as the distance to the event before, which has had its own tolerance.
    if (when?.kind === 'absolute') {
      const moved = this.#actual - this.#scripted;
      if (actual >= from + moved - tolerance && actual <= to + moved + tolerance) return;
    }
    const expected =
      from === to ? milliseconds(from) : `${milliseconds(from)} to ${milliseconds(to)}`;
    throw new ScriptError(line, `${what} at ${milliseconds(actual)}, expected at ${expected}`);
  }

  /** The stated tolerance, or 1 % of a long wait. */
  #toleranceFor(wait: Micros): Micros {
    return Math.max(this.#tolerance, wait / 100);
  }

  /** Nothing is left over: no call that still waits. */
  #finish(line: number): void {
    const { system, world } = this.#live(line);
    const waiting = system.waitingLine;
    for (let steps = 0; system.waitingLine !== undefined; steps++) {
      if (!world.step(world.now + PATIENCE) || steps > 100_000) {
        throw new ScriptError(waiting ?? line, 'the call does not end');
      }
    }
  }

  /** The socket that code is about: the one whose packets the script writes. */
  #current(): TcpSocket | undefined {
    const { system, world } = this.#live(0);
    let last: TcpSocket | undefined;
    for (const [, socket] of system.descriptors.sockets()) {
      const { connection } = socket;
      const inFlow =
        connection?.local.port === world.flow.localPort &&
        connection.remote.port === world.flow.remotePort;
      if (inFlow) return socket;
      last = socket;
    }
    // A handshake under way has a connection that no socket knows of yet.
    return last !== undefined && stateOf(last) === 10 ? (system.halfOpen(world) ?? last) : last;
  }
}

/** @throws ScriptError if a setting is no whole number in its range */
function count({ name, value, line }: Setting, least: number, most: number): number {
  const number = Number(value);
  if (value !== '' && Number.isInteger(number) && number >= least && number <= most) return number;
  throw new ScriptError(line, `--${name} must be a number from ${least} to ${most}`);
}

function ipFields({ ip }: TcpSpec): {
  trafficClass: number;
  timeToLive: number;
  flowLabel: number;
} {
  const ecn = { noecn: 0, ect0: 2, ect1: 1, ect01: 2, ce: 3 }[ip.ecn ?? 'noecn'];
  return {
    trafficClass: ip.trafficClass ?? ecn,
    timeToLive: ip.timeToLive ?? 255,
    flowLabel: ip.flowLabel ?? 0,
  };
}
