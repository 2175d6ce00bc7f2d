/**
 * YAML files that people write: read, checked against a zod schema, and refused with the file, the
 * line, the field and what is allowed.
 */
import { readFileSync } from 'node:fs';
import { isAlias, isMap, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { ConfigError } from './config-error.ts';
import { describeIssue } from './describe.ts';

export { ConfigError } from './config-error.ts';

/** Where a field is in a document: names of keys and indexes of list entries, from the root. */
export type FieldPath = readonly PropertyKey[];

/** A value read from YAML that still knows its source, for checks that come after the schema. */
export interface YamlSource<T> {
  readonly value: T;
  /** The one line `file:line: field: text`, for a field of this document. */
  problem(path: FieldPath, text: string): string;
}

/**
 * Reads and checks the YAML file at `path`, which is named in errors as it is given here.
 * @throws ConfigError if it cannot be read, is not YAML, or does not fit `schema`.
 */
export function loadYamlFile<T>(path: string, schema: z.ZodType<T>): T {
  return loadYamlSource(path, schema).value;
}

/**
 * Checks YAML that is already in memory; `file` is the name used in errors.
 * @throws ConfigError if it is not YAML or does not fit `schema`.
 */
export function parseYaml<T>(text: string, file: string, schema: z.ZodType<T>): T {
  return parseYamlSource(text, file, schema).value;
}

/** `loadYamlFile` for callers that go on checking, with line numbers, after the schema. */
export function loadYamlSource<T>(path: string, schema: z.ZodType<T>): YamlSource<T> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${path}: ${readFailure(error)}`, { cause: error });
  }
  return parseYamlSource(text, path, schema);
}

/** `parseYaml` for callers that go on checking, with line numbers, after the schema. */
export function parseYamlSource<T>(
  text: string,
  file: string,
  schema: z.ZodType<T>,
): YamlSource<T> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    throw new ConfigError(
      faults.map((fault) => `${file}:${lines.linePos(fault.pos[0]).line}: ${fault.message}`),
    );
  }
  if (document.contents === null) throw new ConfigError(`${file}: the file is empty`);

  let raw: unknown;
  try {
    raw = document.toJS();
  } catch (error) {
    // What remains after parsing are aliases: unresolved, or expanding without bound.
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`${file}: ${reason}`, { cause: error });
  }
  const root: Node = document.contents;
  const resolve: Resolve = (node) => (isAlias(node) ? node.resolve(document) : node);
  const line = (at: FieldPath): number => lines.linePos(offsetOf(root, at, resolve)).line;
  const message = (at: FieldPath, path: FieldPath, text: string): string =>
    [`${file}:${line(at)}`, ...(path.length > 0 ? [fieldName(path)] : []), text].join(': ');

  const result = schema.safeParse(raw, { error: describeIssue });
  if (result.success) {
    return { value: result.data, problem: (path, what) => message(path, path, what) };
  }
  const found = result.error.issues.map((issue) => specific(issue, []));
  found.sort((a, b) => offsetOf(root, a.at, resolve) - offsetOf(root, b.at, resolve));
  throw new ConfigError(found.map(({ at, path, text }) => message(at, path, text)));
}

/** A field's path as it is written in messages: `services[0].port`. */
export function fieldName(path: FieldPath): string {
  let name = '';
  for (const part of path) {
    if (typeof part === 'number') name += `[${part}]`;
    else if (/^[\w-]+$/.test(String(part))) name += name === '' ? String(part) : `.${String(part)}`;
    else name += `[${JSON.stringify(String(part))}]`;
  }
  return name;
}

interface Found {
  /** The field named in the message. */
  readonly path: FieldPath;
  /** The place whose line is shown: the unknown key itself rather than the mapping around it. */
  readonly at: FieldPath;
  readonly text: string;
}

/** The node that an alias stands for; any other node is itself. */
type Resolve = (node: unknown) => unknown;

/** The issue that says most: of a union the branch that got furthest, of a key its own fault. */
function specific(issue: z.core.$ZodIssue, base: FieldPath): Found {
  const path = [...base, ...issue.path];
  if (issue.code === 'invalid_key' && issue.issues.length > 0) {
    return { path, at: path, text: issue.issues[0].message };
  }
  if (issue.code === 'invalid_union') {
    const firsts = issue.errors.flatMap((branch) => branch.slice(0, 1));
    const deepest = firsts.sort((a, b) => b.path.length - a.path.length).at(0);
    if (deepest !== undefined && deepest.path.length > 0) return specific(deepest, path);
  }
  const at = issue.code === 'unrecognized_keys' ? [...path, ...issue.keys.slice(0, 1)] : path;
  return { path, at, text: issue.message };
}

/** Offset in the source of a field, or of the nearest mapping or list around one that is absent. */
function offsetOf(root: Node, path: FieldPath, resolve: Resolve): number {
  let node: unknown = root;
  let offset = root.range?.[0] ?? 0;
  for (const part of path) {
    const parent = resolve(node);
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => keyText(key) === String(part));
      if (pair === undefined) return offset;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(parent) && typeof part === 'number') {
      node = parent.items[part];
      offset = startOf(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

function keyText(key: unknown): string {
  return String((key as { readonly value?: unknown } | null)?.value ?? '');
}

function readFailure(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'no such file';
    case 'EACCES':
      return 'the file may not be read by this user';
    case 'EISDIR':
      return 'is a directory, not a file';
    default:
      return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}
