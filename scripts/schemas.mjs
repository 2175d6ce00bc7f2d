// Writes schemas/*.schema.json from the zod schemas. Run it after a change of one; a test fails
// while a file is out of step.
import { mkdirSync, writeFileSync } from 'node:fs';
import { jsonSchemaText } from '../src/config/json-schema.ts';
import { topologySchema } from '../src/lab/topology.ts';
import { proxyFileSchema } from '../src/proxy/config.ts';

const schemas = [
  ['lab.schema.json', topologySchema, 'Suture lab topology'],
  ['proxy.schema.json', proxyFileSchema, 'Suture proxy configuration'],
];

const folder = new URL('../schemas/', import.meta.url);
mkdirSync(folder, { recursive: true });
for (const [file, schema, title] of schemas) {
  writeFileSync(new URL(file, folder), jsonSchemaText(schema, title));
}
