// Listening on every address, and on chosen ports.
import { expect, test } from 'vitest';
import { TcpServer } from '../../src/tcp/server.ts';
import { address } from '../sim/hosts.ts';
import { ACK, Harness, OURS, SYN } from './harness.ts';

test('a listener without an address takes connections to each of ours', () => {
  const t = new Harness();
  const other = address('10.0.0.9');
  t.host.ip.addAddress(other);
  const locals: unknown[] = [];
  t.host.tcp.listen({
    local: { port: OURS.port },
    accept: ({ local }) => {
      locals.push(local.address);
      return {};
    },
  });
  t.host.tcp.isn = () => t.iss;
  t.arrive(SYN, { ...ACK, seq: 0, ack: 0 });
  expect(locals).toEqual([OURS.address]);
  t.arrive({ ...SYN, toPort: OURS.port + 1 });
  expect(t.sent().at(-1)).toMatchObject({ flags: 'RA' });
});

test('the listener that names the address comes first', () => {
  const t = new Harness();
  const taken: string[] = [];
  const listen = (name: string, local: { port: number } & Partial<typeof OURS>) =>
    t.host.tcp.listen({
      local,
      accept: () => {
        taken.push(name);
        return {};
      },
    });
  t.host.tcp.isn = () => t.iss;
  listen('all', { port: OURS.port });
  const named = listen('one', OURS);
  t.arrive({ ...SYN, fromPort: 1 }, { ...ACK, seq: 0, ack: 0, fromPort: 1 });
  named.close();
  t.arrive({ ...SYN, fromPort: 2 }, { ...ACK, seq: 0, ack: 0, fromPort: 2 });
  expect(taken).toEqual(['one', 'all']);
});

test('two cannot listen at the same place', () => {
  const { tcp } = new Harness().host;
  const accept = () => ({});
  tcp.listen({ local: { port: 80 }, accept });
  expect(() => tcp.listen({ local: { port: 80 }, accept })).toThrow('EADDRINUSE');
  tcp.listen({ local: { ...OURS, port: 80 }, accept });
  expect(() => tcp.listen({ local: { ...OURS, port: 80 }, accept })).toThrow('EADDRINUSE');
});

test('port 0 chooses one that is free', () => {
  const { tcp } = new Harness().host;
  const accept = () => ({});
  const ports = Array.from(
    { length: 50 },
    () => tcp.listen({ local: { port: 0 }, accept }).options.local.port,
  );
  expect(new Set(ports).size).toBe(50);
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(10_000);
});

test('a server tells where it listens', () => {
  const { tcp } = new Harness().host;
  const server = new TcpServer(tcp).listen({ port: 8_080 });
  expect(server.address()).toEqual({ address: '::', port: 8_080, family: 'IPv6' });
  server.close();
  expect(server.address()).toBeUndefined();
  expect(new TcpServer(tcp).listen(OURS).address()).toEqual({
    address: '10.0.0.1',
    port: OURS.port,
    family: 'IPv4',
  });
});

test('what another member left goes on only at an address', () => {
  const { tcp } = new Harness().host;
  const listener = tcp.listen({ local: { port: 80 }, accept: () => ({}) });
  expect(() => listener.resume({ address: OURS.address, port: 1 }, {} as never, 0)).toThrow(
    'EINVAL',
  );
});
