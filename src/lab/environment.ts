/** An environment as `spawn` takes it. */
export function environment(
  env: Readonly<Record<string, string | number>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(env).map(([key, value]) => [key, String(value)]));
}
