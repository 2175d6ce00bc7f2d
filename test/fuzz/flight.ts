// Frames changed in flight between two hosts that talk over TCP, UDP and ICMP. With checksums left as they are,
// what arrives must be what was said; with checksums made right again anything may arrive, but nothing may break.
import { MILLISECOND, NEVER, SECOND } from '../../src/env/clock.ts';
import { below, chance, seededRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { parsePrefix } from '../../src/ip/address.ts';
import { Frame } from '../../src/link/frame.ts';
import type { Link } from '../../src/link/link.ts';
import { LinkWrapper } from '../../src/link/wrapper.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import { keyFromSecret } from '../../src/tcp/stack.ts';
import { hostAddress } from '../sim/hosts.ts';
import { Invariants } from '../sim/invariants.ts';
import { drawPlan, Party } from '../sim/party.ts';
import { drawEdit, type Edit, looksIntact, mutate, repair } from './mutation.ts';
import { split } from './split.ts';

/** A run of two hosts, and what happens to their frames. */
export interface FlightCase {
  readonly kind: 'flight';
  readonly seed: number;
  readonly family: 4 | 6;
  /** Whether checksums are made right again behind each edit. */
  readonly forged: boolean;
  readonly edits: readonly Edit[];
}

const MAX_EVENTS = 400_000;
const MAX_IN_TRANSIT = 20_000;
const BYTES = 12_000;

export function drawFlight(seed: number, family: 4 | 6): FlightCase {
  const random = seededRandom(seed ^ 0xf1e1d);
  const edits = Array.from({ length: 1 + below(random, 40) }, () => drawEdit(random, 150));
  return { kind: 'flight', seed, family, forged: chance(random, 0.5), edits };
}

/** What both hosts' frames go through as they arrive. */
class Tampering {
  arrived = 0;
  readonly forged: boolean;
  readonly #edits = new Map<number, Edit[]>();
  readonly #before = new Frame();

  constructor({ edits, forged }: FlightCase) {
    this.forged = forged;
    for (const edit of edits) {
      const known = this.#edits.get(edit.frame);
      if (known === undefined) this.#edits.set(edit.frame, [edit]);
      else known.push(edit);
    }
  }

  /** Takes the next frame; the edits that are due for it. */
  next(): readonly Edit[] | undefined {
    return this.#edits.get(this.arrived++);
  }

  change(frame: Frame, edit: Edit): void {
    this.#before.copyFrom(frame);
    mutate(frame, edit);
    if (this.forged) repair(frame);
    else if (looksIntact(frame)) frame.copyFrom(this.#before);
  }
}

/** A host's link as the tampering leaves it. */
class TamperedLink extends LinkWrapper {
  readonly #tampering: Tampering;
  readonly #queue: Frame[] = [];
  readonly #late: Frame[] = [];

  constructor(link: Link, tampering: Tampering) {
    super(link);
    this.#tampering = tampering;
  }

  override receive(frame: Frame): boolean {
    const queued = this.#queue.shift();
    if (queued !== undefined) frame.copyFrom(queued);
    else if (!super.receive(frame)) return false;
    const edits = this.#tampering.next();
    if (edits === undefined) {
      const late = this.#late.shift();
      if (late !== undefined) this.#queue.push(late);
      return true;
    }
    for (const edit of edits) if (!this.#apply(frame, edit)) return this.receive(frame);
    return true;
  }

  /** Applies an edit; false if the frame is gone. */
  #apply(frame: Frame, edit: Edit): boolean {
    switch (edit.op) {
      case 'drop':
        return false;
      case 'double':
        this.#queue.push(copyOf(frame));
        return true;
      case 'late':
        this.#late.push(copyOf(frame));
        return false;
      case 'split': {
        const size = 8 * (1 + (edit.value % 64));
        const overlap = this.#tampering.forged && edit.at % 3 === 0 ? 8 : 0;
        const pieces = split(frame, size, overlap);
        if (pieces.length === 0) return true;
        if (edit.at % 2 === 1) pieces.reverse();
        this.#queue.push(...pieces);
        return false;
      }
      default:
        this.#tampering.change(frame, edit);
        return true;
    }
  }

  /** Frames that it holds back. */
  get pending(): number {
    return this.#queue.length;
  }
}

function copyOf(frame: Frame): Frame {
  const copy = new Frame(frame.end + 700);
  copy.copyFrom(frame);
  return copy;
}

/**
 * Runs a case.
 * @throws Error that says what broke
 */
export function runFlight(flight: FlightCase): void {
  const { seed, family, forged } = flight;
  const simulation = new Simulation(seed);
  const random = seededRandom(seed);
  const tampering = new Tampering(flight);
  const makeHost = (number: number): Host => {
    const port = simulation.port({ conditions: { delay: 2 * MILLISECOND } });
    const link = new TamperedLink(port, tampering);
    const host = new Host({
      link,
      mac: 0x0200_0000_0000 + number,
      clock: simulation.clock,
      random: seededRandom(seed + number),
      tcp: { receiveLimit: 30_000, timeWait: SECOND },
    });
    host.ip.addAddress(hostAddress(number, family));
    const prefix = parsePrefix(family === 4 ? '10.0.0.0/24' : 'fd00::/64');
    if (prefix !== undefined) host.ip.addRoute({ prefix });
    simulation.add(
      {
        breath: () => host.breath(),
        get nextAt() {
          return link.pending > 0 ? 0 : host.nextAt;
        },
      },
      port,
    );
    return host;
  };
  const client = makeHost(1);
  const server = makeHost(2);
  const address = (host: Host) => hostAddress(host === client ? 1 : 2, family);
  const plans = [0, 1].map((says) => ({
    ...drawPlan(random, says, BYTES, false),
    pause: 20,
    deaf: 0,
    probes: true,
  }));
  const caller = new Party(client, seededRandom(seed + 10), plans[0], 1);
  const callee = new Party(server, seededRandom(seed + 11), plans[1], 0);
  const accepted: Party[] = [];
  server.tcp.listen({
    local: { address: address(server), port: 80 },
    ...(chance(random, 0.3) ? { cookieKey: keyFromSecret('secret', 'fuzz') } : {}),
    accept: () => {
      // A forged segment may open connections of its own.
      if (callee.connection === undefined && accepted.length === 0) {
        accepted.push(callee);
        return callee;
      }
      return {
        onConnect: (connection) => connection.setKeepalive(5 * SECOND),
        onReadable: (connection) => {
          while (connection.read() !== undefined);
        },
        onEnd: (connection) => connection.end(),
      };
    },
  });
  client.tcp.connect({
    local: address(client),
    remote: { address: address(server), port: 80 },
    handler: caller,
  });
  chatter(simulation, client, server, family);
  const invariants = new Invariants([client, server]);
  simulation.onEvent = () => {
    invariants.check();
    if (simulation.network.inTransit > MAX_IN_TRANSIT) throw new Error('a storm of frames');
  };
  const done = (): boolean => caller.closed && (callee.closed || callee.connection === undefined);
  const limits = { maxEvents: MAX_EVENTS, maxTime: 12 * 3_600 * SECOND };
  const end = simulation.runUntil(done, limits);
  if (end === 'events') throw new Error('the hosts come to no rest');
  if (!done()) throw new Error(`a connection hangs: ${caller.connection?.state} (${end})`);
  if (!forged) {
    checkSaid(caller, callee);
    checkSaid(callee, caller);
  }
  // A run in which nobody met would prove nothing.
  if (!forged && flight.edits.length === 0 && caller.heard === 0 && plans[1].length > 0) {
    throw new Error('the two never spoke');
  }
  const rest = simulation.runFor(4 * 3_600 * SECOND, MAX_EVENTS);
  if (rest === 'events') throw new Error('the hosts come to no rest after the end');
  for (const host of [client, server]) {
    if (host.tcp.connectionCount > 0) throw new Error('a connection is left');
  }
}

function checkSaid(hearer: Party, sayer: Party): void {
  const wrong = hearer.faults.filter((fault) => fault.includes('wrong'));
  if (wrong.length > 0) throw new Error(`not what was said: ${wrong[0]}`);
  if (hearer.heard > sayer.said) throw new Error('more was heard than said');
  if (hearer.ended && hearer.error === undefined && hearer.heard !== sayer.plan.length) {
    throw new Error(`an end after ${hearer.heard} of ${sayer.plan.length} bytes`);
  }
}

/** Datagrams to a socket and to nobody, which brings about ICMP. */
function chatter(simulation: Simulation, client: Host, server: Host, family: 4 | 6): void {
  const [here, there] = [hostAddress(1, family), hostAddress(2, family)];
  const echo = server.udp.bind({ address: there, port: 7 });
  echo.onDatagram = (from, port, payload) => {
    if (payload.length < 1_000) echo.send(from, port, payload.slice());
  };
  const socket = client.udp.bind({ address: here, port: 9_000 });
  let left = 12;
  const actor = {
    nextAt: 0,
    breath: () => {
      socket.send(there, left % 3 === 0 ? 9 : 7, new Uint8Array(60 + 50 * left).fill(left));
      left--;
      actor.nextAt = left > 0 ? simulation.clock.now() + 5 * MILLISECOND : NEVER;
    },
  };
  simulation.add(actor);
}
