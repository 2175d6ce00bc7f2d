/** The supervisor's HTTP face on a unix socket: JSON in, JSON out. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { FAULT_VERBS, type FaultVerb, type LabState } from './event.ts';
import { LabError } from './lab-error.ts';
import type { Cable, TapPlan } from './plan.ts';
import type { ProcessStatus } from './supervised.ts';

/** Longest request body. */
const BODY_LIMIT = 4096;

/** The state of a lab as `GET /status` tells it. */
export interface LabStatus {
  readonly name: string;
  readonly state: LabState;
  readonly hosts: readonly string[];
  readonly switches: readonly string[];
  readonly cables: readonly Cable[];
  readonly taps: readonly TapPlan[];
  readonly processes: readonly ProcessStatus[];
}

/** What the supervisor does on request. Errors of kind LabError are the caller's to mend. */
export interface Controls {
  status(): LabStatus;
  /** Resolves with the moment the fault was inflicted, in milliseconds of CLOCK_MONOTONIC. */
  fail(verb: FaultVerb, target: string): Promise<number>;
  /** Runs the topology's checks. Resolves with what does not hold. */
  check(): Promise<readonly string[]>;
  /** Begins to end the lab. */
  down(): void;
}

/** A server for `controls`, not yet listening. Every answer is `{...}` or `{error}`. */
export function createControlServer(controls: Controls): Server {
  return createServer((request, response) => {
    answer(controls, request).then(
      (result) => reply(response, 200, result),
      (error: unknown) => {
        const mine = error instanceof LabError;
        const text = error instanceof Error ? error.message : String(error);
        reply(response, mine ? 400 : 500, { error: text });
      },
    );
  });
}

async function answer(controls: Controls, request: IncomingMessage): Promise<object> {
  switch (`${request.method} ${request.url}`) {
    case 'GET /status':
      return controls.status();
    case 'POST /check':
      return { problems: await controls.check() };
    case 'POST /down':
      controls.down();
      return {};
    case 'POST /fail': {
      const { verb, target } = await body(request);
      if (!isFaultVerb(verb) || typeof target !== 'string') {
        throw new LabError(`${String(verb)} is not a fault; there is: ${FAULT_VERBS.join(', ')}`);
      }
      return { at: await controls.fail(verb, target) };
    }
    default:
      throw new LabError(`the lab does not know ${request.method} ${request.url}`);
  }
}

function isFaultVerb(verb: unknown): verb is FaultVerb {
  return FAULT_VERBS.some((known) => known === verb);
}

async function body(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) {
    text += chunk;
    if (text.length > BODY_LIMIT) throw new LabError('the request is too long');
  }
  return JSON.parse(text) as Record<string, unknown>;
}

function reply(response: ServerResponse, status: number, result: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(result));
}
