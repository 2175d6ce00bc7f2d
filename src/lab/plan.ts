/** What the supervisor of a lab does, worked out beforehand: data that travels as JSON. */
import { extname } from 'node:path';
import type { Ready } from './topology.ts';

/** The bridge of every switch, in the switch's own namespace. */
export const BRIDGE = 'br0';
/** The lab's own files, within its mount namespace: a tmpfs that vanishes with it. */
export const WORK_FOLDER = '/run/suture';

/** The extension of this code's files: `.ts` in a checkout, `.js` when compiled. */
export const CODE = extname(import.meta.filename);
/** How scripts of ours are run. Node 22 warns on every start that type stripping is experimental. */
export const NODE: readonly string[] = [process.execPath, '--disable-warning=ExperimentalWarning'];

/** One end of a cable: an interface of a host and the port of the switch it is plugged into. */
export interface Cable {
  readonly host: string;
  readonly device: string;
  readonly switch: string;
  readonly port: string;
  readonly addresses: readonly string[];
}

/** What is set in one namespace once its interfaces exist. */
export interface NamespacePlan {
  readonly namespace: string;
  /** Paths below /proc/sys and what is written there. */
  readonly sysctls: readonly (readonly [path: string, value: string])[];
  /** Lines for `ip -batch`. */
  readonly commands: readonly string[];
  /** Lines for `ip -6 -batch`: rules, which do not show their family. */
  readonly rules6?: readonly string[];
  /** Input of `nft -f`. */
  readonly ruleset?: string;
}

/** Where a proxy's TAP is plugged in. */
export interface TapPlan {
  readonly proxy: string;
  readonly device: string;
  readonly switch: string;
  /** The member's own addresses, for the status. */
  readonly addresses: readonly string[];
}

/** A process of the lab and when it counts as ready. */
export interface ProcessPlan {
  /** As faults and events name it: `a`, `web1/files`. */
  readonly name: string;
  /** Network namespace it runs in. */
  readonly namespace: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Working folder. */
  readonly folder: string;
  /** Files written before its start: path to content. Folders are made as needed. */
  readonly files: Readonly<Record<string, string>>;
  /** Folders made before its start. */
  readonly folders: readonly string[];
  readonly ready?: Ready;
  readonly readyTimeoutMs: number;
}

/** A command that must do what is said of it once all is ready. */
export interface CheckPlan {
  readonly host: string;
  readonly argv: readonly string[];
  readonly exit: number;
  /** Source of a regular expression. */
  readonly output?: string;
}

/** All the supervisor needs to know. */
export interface Plan {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly switches: readonly string[];
  readonly cables: readonly Cable[];
  readonly taps: readonly TapPlan[];
  /** Lines for the first `ip -batch`, which makes namespaces and cables. */
  readonly creation: readonly string[];
  readonly namespaces: readonly NamespacePlan[];
  /** Those of one host are started in this order, hosts and proxies side by side. */
  readonly processes: readonly ProcessPlan[];
  readonly checks: readonly CheckPlan[];
}
