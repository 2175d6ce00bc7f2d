// What a person would write first: Node's sockets, one piped into the other.
//
//   node bench/contestants/node-pipe.ts SERVER PORT...
import { connect, createServer } from 'node:net';

const [server, ...ports] = process.argv.slice(2);
for (const port of ports.map(Number)) {
  createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const backend = connect({ host: server, port, noDelay: true, allowHalfOpen: true });
    client.on('error', () => backend.destroy());
    backend.on('error', () => client.destroy());
    client.pipe(backend);
    backend.pipe(client);
  }).listen({ port, backlog: 4_096 });
}
