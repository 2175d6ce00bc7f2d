import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { expect, test } from 'vitest';
import { type ErrorStatus, errorResponse } from '../../src/proxy/error-response.ts';

/** Answers any connection with these bytes, without ending it. */
async function answering(bytes: Uint8Array): Promise<Server> {
  const server = createServer((socket) => socket.once('data', () => socket.write(bytes)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

test.each<[ErrorStatus]>([[400], [408], [414], [431], [501], [503], [505]])(
  'an HTTP client understands the response %i as a whole one',
  async (status) => {
    const server = await answering(errorResponse(status));
    try {
      const { port } = server.address() as AddressInfo;
      const request = get({ host: '127.0.0.1', port, agent: false });
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      const body = (await response.toArray()).join('');
      expect(response.statusCode).toBe(status);
      expect(response.headers).toMatchObject({ connection: 'close', 'content-type': 'text/plain' });
      expect(body).toBe(`${status} ${response.statusMessage}\n`);
      request.destroy();
    } finally {
      server.close();
    }
  },
);

test('a response is made once', () => {
  expect(errorResponse(503)).toBe(errorResponse(503));
});
