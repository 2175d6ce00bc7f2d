// The kernel's side of a conversation, a process in its own namespace: listens on the port in argv, connects to the
// address and port behind it, says a stream both times and tells on stdout what it heard.
import { createHash } from 'node:crypto';
import net from 'node:net';
import { type Heard, streamBytes } from './stream.ts';

const [listenPort, remote, remotePort, length] = process.argv.slice(2);
const HANDSHAKE_LIMIT = 60_000;

function converse(socket: net.Socket, role: Heard['role']): void {
  const hash = createHash('sha256');
  let bytes = 0;
  let told = false;
  const tell = (error?: string): void => {
    if (told) return;
    told = true;
    const heard: Heard = { role, bytes, digest: hash.digest('hex'), ...(error ? { error } : {}) };
    process.stdout.write(`${JSON.stringify(heard)}\n`);
  };
  socket.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  socket.on('error', (error) => tell(error.message));
  socket.on('close', () => tell());
  const say = (): void => {
    socket.end(streamBytes(`kernel ${role}`, Number(length)));
  };
  if (role === 'server') say();
  else socket.on('connect', say);
}

const server = net.createServer({ allowHalfOpen: true }, (socket) => converse(socket, 'server'));
server.listen(Number(listenPort), '::', () => {
  process.stdout.write('ready\n');
});
// The other end says when it listens.
process.stdin.once('data', () => {
  const socket = net.connect({ host: remote, port: Number(remotePort), allowHalfOpen: true });
  socket.setTimeout(HANDSHAKE_LIMIT);
  converse(socket, 'client');
});
