import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostName, RouteTable } from '../../src/proxy/route.ts';

const table = new RouteTable([
  { pool: 'rest' },
  { path: '/static/', pool: 'static' },
  { host: 'Example.org', path: '/api', pool: 'api' },
  { host: 'example.org', path: '/api/v2', pool: 'api2' },
  { host: '*.example.org', pool: 'sub' },
  { host: '*.deep.example.org', path: '/d', pool: 'deep' },
]);

test.each([
  ['example.org', '/api', 'api'],
  ['EXAMPLE.ORG:8080', '/api/', 'api'],
  ['example.org.', '/api/users', 'api'],
  ['example.org', '/apis', 'rest'],
  ['example.org', '/api/v2', 'api2'],
  ['example.org', '/api/v2/x', 'api2'],
  ['example.org', '/api/v20', 'api'],
  ['example.org', '/API', 'rest'],
  ['example.org', '/', 'rest'],
  ['example.org', '/static', 'static'],
  ['a.example.org', '/', 'sub'],
  ['a.b.example.org', '/static/x', 'sub'],
  ['a.deep.example.org', '/d', 'deep'],
  ['a.deep.example.org', '/e', 'sub'],
  ['deep.example.org', '/d', 'sub'],
  ['.example.org', '/', 'rest'],
  ['notexample.org', '/', 'rest'],
  ['[::1]:80', '/static/x', 'static'],
  ['', '/', 'rest'],
  ['example.org', '*', 'rest'],
])('%s %s goes to %s', (host, path, pool) => {
  expect(table.poolFor(host, path)).toBe(pool);
});

test('what no route is for goes nowhere', () => {
  const only = new RouteTable([{ host: 'a', path: '/x', pool: 'p' }]);
  expect(only.poolFor('a', '/x')).toBe('p');
  expect(only.poolFor('a', '/y')).toBeUndefined();
  expect(only.poolFor('b', '/x')).toBeUndefined();
});

test('a host is compared without its port', () => {
  expect(hostName('A.b:80')).toBe('a.b');
  expect(hostName('[FD00::1]:80')).toBe('[fd00::1]');
  expect(hostName('[fd00::1]')).toBe('[fd00::1]');
  expect(hostName('a:')).toBe('a');
});

test('the order of the routes does not matter, and the longest path wins', () => {
  const path = fc
    .array(fc.constantFrom('a', 'b', 'ab'), { maxLength: 3 })
    .map((s) => `/${s.join('/')}`);
  fc.assert(
    fc.property(
      fc.uniqueArray(path, { minLength: 1 }),
      path,
      fc.integer(),
      (paths, asked, turn) => {
        const routes = paths.map((p) => ({ path: p, pool: p }));
        const at = Math.abs(turn) % routes.length;
        const turned = new RouteTable([...routes.slice(at), ...routes.slice(0, at)]);
        const expected = paths
          .filter((p) => p === '/' || `${asked}/`.startsWith(`${p}/`))
          .sort((a, b) => b.length - a.length)
          .at(0);
        expect(turned.poolFor('any', asked)).toBe(expected);
      },
    ),
  );
});
