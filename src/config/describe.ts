/**
 * What is wrong with a value, in words for the person who wrote the file: what it is and what is
 * allowed instead. Every phrase follows the field's path and a colon.
 */
import { z } from 'zod';
import { nearest } from './nearest.ts';

/** Values longer than this are cut in a message. */
const SHOWN_LENGTH = 60;

/** A value as a message shows it: short, on one line. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a mapping';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length <= SHOWN_LENGTH ? text : `${text.slice(0, SHOWN_LENGTH - 3)}...`;
}

/**
 * The `error` option of a zod schema: says that the value is not `what` (a noun phrase with its
 * article and the allowed range, such as `a port (1 to 65535)`).
 */
export function mustBe(what: string): (issue: { readonly input?: unknown }) => string {
  return ({ input }) => notA(input, what);
}

function notA(input: unknown, what: string): string {
  return input === undefined ? `is missing: it must be ${what}` : `${show(input)} is not ${what}`;
}

/**
 * Words for the issues whose schema brings none of its own. Given to zod as the error map of a
 * parse; `undefined` leaves zod's own words.
 */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'unrecognized_keys':
      return unknownKeys(issue.keys, issue.inst);
    case 'invalid_type':
      return notA(issue.input, typeName(issue.expected));
    case 'invalid_value':
      return notA(issue.input, either(issue.values));
    case 'invalid_union':
      return unionChoice(issue);
    case 'too_small':
      return sizeLimit(issue.input, issue.origin, 'at least', issue.minimum);
    case 'too_big':
      return sizeLimit(issue.input, issue.origin, 'at most', issue.maximum);
    case 'invalid_format':
      return notA(issue.input, `a valid ${issue.format}`);
    default:
      return undefined;
  }
}

/** The names of an unknown key's neighbours, and the one that was probably meant. */
function unknownKeys(keys: readonly string[], schema: unknown): string {
  const allowed = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  const named = keys.map((key) => {
    const meant = nearest(key, allowed);
    return meant === undefined ? show(key) : `${show(key)} (did you mean ${show(meant)}?)`;
  });
  const noun = keys.length === 1 ? 'unknown key' : 'unknown keys';
  return `${noun} ${named.join(', ')}; allowed: ${allowed.join(', ')}`;
}

function unionChoice(issue: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidUnion>): string | undefined {
  const { discriminator, options } = issue as { discriminator?: string; options?: unknown[] };
  if (discriminator === undefined || options === undefined) return undefined;
  const chosen = (issue.input as Readonly<Record<string, unknown>>)[discriminator];
  return notA(chosen, either(options));
}

function either(values: readonly unknown[]): string {
  if (values.length === 1) return show(values[0]);
  const [last, ...others] = values.map(show).reverse();
  return `${others.reverse().join(', ')} or ${last}`;
}

function typeName(expected: string): string {
  switch (expected) {
    case 'object':
    case 'record':
      return 'a mapping';
    case 'array':
      return 'a list';
    case 'int':
      return 'a whole number';
    case 'boolean':
      return 'true or false';
    default:
      return `a ${expected}`;
  }
}

function sizeLimit(input: unknown, origin: string, bound: string, limit: number | bigint): string {
  if (origin === 'array')
    return `has too ${bound === 'at least' ? 'few' : 'many'} entries: ${bound} ${limit}`;
  if (origin === 'string') return notA(input, `${bound} ${limit} characters long`);
  return notA(input, `${bound} ${limit}`);
}
