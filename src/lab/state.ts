/**
 * What other commands need to find a lab: a folder per lab with a description of its process and the
 * control socket. What a killed lab leaves there is recognised by its process and swept.
 */
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { LabError } from './lab-error.ts';

const PREFIX = 'lab-';
const STATE = 'state.json';
/** Longest path of a unix socket (sun_path, unix(7)). */
const SOCKET_PATH_LIMIT = 107;

/** A process, told from a later one with the same number by its start time in clock ticks. */
export interface ProcessId {
  readonly pid: number;
  readonly started: string;
}

/** The description of a lab that other commands read. */
export interface LabState {
  readonly name: string;
  /** Absolute path of the topology file, if it came from one. */
  readonly file?: string;
  /** The process that called for the lab. */
  readonly owner: ProcessId;
  /** `unshare`, through whose namespaces commands enter. Absent while the lab is being made. */
  readonly lab?: ProcessId;
}

/** Absolute path of the folder for this user's labs, made as needed. @throws LabError */
export function stateRoot(): string {
  const runtime = process.env.XDG_RUNTIME_DIR;
  const base = runtime !== undefined && existsSync(runtime) ? runtime : '/tmp';
  const uid = process.getuid?.() ?? 0;
  const root = join(base, `suture-${uid}`);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const stats = lstatSync(root);
  if (!stats.isDirectory() || stats.uid !== uid || (stats.mode & 0o077) !== 0) {
    throw new LabError(`${root} is not a private folder of yours; remove it and start again`);
  }
  return root;
}

/** Absolute path of the control socket in a lab's folder. */
export function socketPath(folder: string): string {
  return join(folder, 'control.sock');
}

/**
 * Makes the folder of a lab that is about to start, and takes its name.
 * @throws LabError when a lab of that name is up.
 */
export function claim(name: string, file: string | undefined): string {
  const root = stateRoot();
  sweep(root);
  const folder = join(root, `${PREFIX}${name}`);
  if (socketPath(folder).length > SOCKET_PATH_LIMIT) {
    throw new LabError(
      `${socketPath(folder)} is too long for a socket; set XDG_RUNTIME_DIR shorter`,
    );
  }
  const draft = mkdtempSync(join(root, '.draft-'));
  const state: LabState = {
    name,
    owner: identify(process.pid) ?? { pid: process.pid, started: '' },
    ...(file === undefined ? {} : { file }),
  };
  writeFileSync(join(draft, STATE), JSON.stringify(state));
  try {
    // Fails when the name is taken: the folder there is not empty.
    renameSync(draft, folder);
  } catch {
    rmSync(draft, { recursive: true, force: true });
    throw new LabError(`the lab ${name} is already up; end it with: suture lab down --lab ${name}`);
  }
  return folder;
}

/** Completes the description once the lab's process runs. */
export function record(folder: string, pid: number): void {
  const lab = identify(pid);
  const state = read(folder);
  if (lab === undefined || state === undefined) return;
  const draft = join(folder, `${STATE}.${randomBytes(4).toString('hex')}`);
  writeFileSync(draft, JSON.stringify({ ...state, lab }));
  renameSync(draft, join(folder, STATE));
}

/** Removes a lab's folder. */
export function release(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** A lab that is up, and its folder. */
export interface KnownLab {
  readonly folder: string;
  readonly state: LabState;
}

/** The labs of this user that are up. What dead ones left is removed. */
export function knownLabs(): KnownLab[] {
  const root = stateRoot();
  sweep(root);
  return folders(root).flatMap((folder) => {
    const state = read(folder);
    return state === undefined ? [] : [{ folder, state }];
  });
}

/**
 * The lab called `name`, or the only one that is up when no name is given.
 * @throws LabError that says which there are.
 */
export function findLab(name?: string): KnownLab {
  const labs = knownLabs();
  const names = labs.map(({ state }) => state.name).join(', ');
  if (name !== undefined) {
    const lab = labs.find(({ state }) => state.name === name);
    if (lab !== undefined) return lab;
    throw new LabError(`no lab ${name} is up (up: ${names || 'none'})`);
  }
  if (labs.length === 1) return labs[0];
  throw new LabError(
    labs.length === 0
      ? 'no lab is up; start one with: suture lab up FILE'
      : `several labs are up (${names}); name one with --lab NAME`,
  );
}

/** Whether that very process still runs. */
export function isRunning(id: ProcessId): boolean {
  return identify(id.pid)?.started === id.started;
}

/** Removes what labs that ended by force have left. */
function sweep(root: string): void {
  for (const folder of folders(root)) {
    if (isAlive(read(folder))) continue;
    // Set aside first: should a new lab take the name meanwhile, its folder is not the one removed.
    const aside = join(
      dirname(folder),
      `.dead-${basename(folder)}-${randomBytes(4).toString('hex')}`,
    );
    try {
      renameSync(folder, aside);
    } catch {
      continue;
    }
    if (isAlive(read(aside))) renameSync(aside, folder);
    else release(aside);
  }
}

/** A lab lives as long as its process; while it is being made, as long as its owner. */
function isAlive(state: LabState | undefined): boolean {
  return state !== undefined && isRunning(state.lab ?? state.owner);
}

function folders(root: string): string[] {
  return readdirSync(root)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => join(root, name));
}

function read(folder: string): LabState | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, STATE), 'utf8')) as LabState;
  } catch {
    return undefined;
  }
}

/** Field 22 of /proc/PID/stat (proc(5)), counted after the name, which may hold anything. */
function identify(pid: number): ProcessId | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended already.
    return fields[0] === 'Z' ? undefined : { pid, started: fields[19] };
  } catch {
    return undefined;
  }
}
