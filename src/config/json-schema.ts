import { z } from 'zod';

/**
 * The JSON Schema (draft 2020-12) of what a person may write for `schema`, as the text of a file.
 * Fields with a default are optional in it; checks across fields are not part of it.
 */
export function jsonSchemaText(schema: z.ZodType, title: string): string {
  return `${JSON.stringify({ title, ...z.toJSONSchema(schema, { io: 'input' }) }, null, 2)}\n`;
}
