// System calls: what each returns, and that a wrong expectation is told.
import { describe, test } from 'vitest';
import { ACCEPTED, CONNECTED, fails, isUnsupported, passes, tells } from './check.ts';

const DATA = `${ACCEPTED}+0 < P. 1:11(10) ack 1 win 32792\n+0 > . 1:1(0) ack 11\n`;

describe('descriptors', () => {
  test('are the lowest that are free', () => {
    tells(
      '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(3) = 0\n+0 socket(..., SOCK_STREAM, 0) = 3\n+0 socket(..., SOCK_STREAM, 0) = 4\n',
      '0) = 4',
      '0) = 5',
      /socket returned 4, expected 5/,
    );
  });

  test('that are closed', () => {
    tells('0 close(3) = -1 EBADF (Bad file descriptor)\n', 'EBADF', 'EINVAL', /expected -1 EINVAL/);
    passes('0 read(7, ..., 10) = -1 EBADF (Bad file descriptor)\n');
  });
});

describe('reading', () => {
  test('what has come', () =>
    tells(`${DATA}+0 read(4, ..., 100) = 10\n`, '= 10', '= 11', /returned 10, expected 11/));
  test('in parts', () => passes(`${DATA}+0 read(4, ..., 4) = 4\n+0 recv(4, ..., 100, 0) = 6\n`));
  test('without taking it', () => {
    const text = `${DATA}+0 recv(4, ..., 100, MSG_PEEK) = 10\n+0 read(4, ..., 99) = 10\n`;
    passes(text);
    fails(text.replace('MSG_PEEK', '0'), '+0 read', /read would block/);
  });
  test('nothing, without waiting', () => {
    passes(
      `${DATA}+0 read(4, ..., 10) = 10\n+0 recv(4, ..., 10, MSG_DONTWAIT) = -1 EAGAIN (Try again)\n`,
    );
    passes(
      `${ACCEPTED}+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 read(4, ..., 10) = -1 EWOULDBLOCK (Would block)\n`,
    );
    fails(`${ACCEPTED}+0 read(4, ..., 10) = 0\n`, '+0 read', /read would block/);
  });
  test('by several pieces', () =>
    passes(
      `${DATA}+0 readv(4, [{..., 3}, {..., 4}], 2) = 7\n+0 recvmsg(4, {msg_iov(1)=[{..., 100}], msg_flags=0}, 0) = 3\n`,
    ));
  test('the end', () =>
    passes(
      `${ACCEPTED}+0 < F. 1:1(0) ack 1 win 32792\n* > . 1:1(0) ack 2\n+0 read(4, ..., 10) = 0\n`,
    ));
  test('a reset', () =>
    tells(
      `${ACCEPTED}+0 < R. 1:1(0) ack 1 win 32792\n+0 read(4, ..., 10) = -1 ECONNRESET (Reset)\n+0 read(4, ..., 10) = 0\n`,
      'ECONNRESET',
      'EPIPE',
      /returned -1 ECONNRESET/,
    ));
  test('all that is asked for', () => {
    const text = `${ACCEPTED}+0...0.3 recv(4, ..., 20, MSG_WAITALL) = 20
+.1 < P. 1:11(10) ack 1 win 32792
+0 > . 1:1(0) ack 11
+.1 < P. 11:21(10) ack 1 win 32792
`.replace('+0...0.3', '+0...0.2');
    tells(text, '+0...0.2', '+0...0.1', /the call ended at 300\.0 ms, expected at 200\.0 ms/);
  });
});

describe('writing', () => {
  test('sends', () =>
    tells(
      `${ACCEPTED}+0 send(4, ..., 10, 0) = 10\n+0 > P. 1:11(10) ack 1\n`,
      '= 10',
      '= 9',
      /returned 10/,
    ));
  test('by several pieces', () =>
    passes(`${ACCEPTED}+0 writev(4, [{..., 3}, {..., 4}], 2) = 7\n+0 > P. 1:8(7) ack 1\n`));
  test('more to come', () => {
    const text = `${ACCEPTED}+0 send(4, ..., 10, MSG_MORE) = 10\n+.1 send(4, ..., 10, 0) = 10\n+0 > P. 1:21(20) ack 1\n`;
    passes(text);
    fails(text.replace('MSG_MORE', '0'), '+0 > P.', /length 20 expected, not 10/);
  });
  test('into a side that is shut', () =>
    passes(
      `${ACCEPTED}+0 shutdown(4, SHUT_WR) = 0\n+0 > F. 1:1(0) ack 1\n+0 write(4, ..., 10) = -1 EPIPE (Broken pipe)\n`,
    ));
  test('what finds room', () =>
    passes(
      `${ACCEPTED}+0 setsockopt(4, SOL_SOCKET, SO_SNDBUF, [5000], 4) = 0\n+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 write(4, ..., 20000) = 10000\n+0 write(4, ..., 1) = -1 EAGAIN (Try again)\n`,
    ));
  test.each(['MSG_OOB', 'MSG_ZEROCOPY', 'MSG_FASTOPEN'])('%s is not supported', (flag) => {
    isUnsupported(`${ACCEPTED}+0 send(4, ..., 10, ${flag}) = 10\n`, /MSG_OOB|flags/);
  });
});

describe('calls that wait', () => {
  test('end when the script says', () => {
    const text = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
0...0.1 connect(3, ..., ...) = 0
+0 > S 0:0(0) <...>
+.1 < S. 0:0(0) ack 1 win 32792 <mss 1000>
+0 > . 1:1(0) ack 1
`;
    tells(text, '0...0.1', '0...0.2', /the call ended at 100\.0 ms, expected at 200\.0 ms/);
    fails(text.replace('0...0.1 ', '0 '), '0 connect', /connect would block/);
  });

  test('end with an error', () => {
    const text = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
0...0.1 connect(3, ..., ...) = -1 ECONNREFUSED (Connection refused)
+0 > S 0:0(0) <...>
+.1 < R. 0:0(0) ack 1 win 0
`;
    tells(text, 'ECONNREFUSED', 'ETIMEDOUT', /connect returned -1 ECONNREFUSED/);
  });

  test('accept', () => {
    const text = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0...0.2 accept(3, ..., ...) = 4
+.1 < S 0:0(0) win 32792 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 32792
+0 read(4, ..., 10) = -1 EAGAIN (Try again)
`;
    fails(text, '+0 read', /read would block/);
    passes(text.replace('+0 read(4, ..., 10)', '+0 recv(4, ..., 10, MSG_DONTWAIT)'));
  });

  test('for ever: the script fails and ends', () => {
    fails(`${ACCEPTED}+0...5 read(4, ..., 10) = 10\n`, '+0...5', /does not end/);
  });
});

describe('poll and epoll', () => {
  test('poll tells what is ready', () => {
    tells(
      `${DATA}+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLIN|POLLOUT}], 1, 0) = 1\n`,
      'revents=POLLIN|POLLOUT',
      'revents=POLLIN',
      /revents: 1 expected, not 5/,
    );
    passes(`${ACCEPTED}+0 poll([{fd=4, events=POLLIN, revents=0}], 1, 0) = 0\n`);
    passes(`${ACCEPTED}+0...0.5 poll([{fd=4, events=POLLIN, revents=0}], 1, 500) = 0\n`);
  });

  test('epoll, by level and by edge', () => {
    const text = `${DATA}+0 epoll_create(1) = 5
+0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, fd=4}) = 0
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1
`;
    passes(text);
    fails(
      text
        .replace('events=EPOLLIN, fd=4})', 'events=EPOLLIN|EPOLLET, fd=4})')
        .replace(/1, 0\) = 1\n$/, '1, 0) = 7\n'),
      '1, 0) = 7',
      /returned 0, expected 7/,
    );
    fails(
      text.replace('wait(5, {events=EPOLLIN', 'wait(5, {events=EPOLLOUT'),
      'wait(5, {events=EPOLLOUT',
      /events: 4/,
    );
  });
});

describe('options', () => {
  test.each([
    ['SOL_TCP', 'TCP_NODELAY', 1],
    ['SOL_TCP', 'TCP_CORK', 1],
    ['SOL_TCP', 'TCP_KEEPIDLE', 5],
    ['SOL_TCP', 'TCP_USER_TIMEOUT', 3000],
    ['SOL_SOCKET', 'SO_KEEPALIVE', 1],
    ['SOL_SOCKET', 'SO_REUSEADDR', 1],
  ])('%s %s is kept', (level, name, value) => {
    tells(
      `${ACCEPTED}+0 setsockopt(4, ${level}, ${name}, [${value}], 4) = 0\n+0 getsockopt(4, ${level}, ${name}, [${value}], [4]) = 0\n`,
      `[${value}], [4]`,
      '[77], [4]',
      new RegExp(`${name}: 77 expected, not ${value}`),
    );
  });

  test('Linux tells twice the size of a buffer', () => {
    passes(
      `${ACCEPTED}+0 setsockopt(4, SOL_SOCKET, SO_RCVBUF, [5000], 4) = 0\n+0 getsockopt(4, SOL_SOCKET, SO_RCVBUF, [10000], [4]) = 0\n`,
    );
  });

  test('lingering for no time resets', () => {
    const text = `${ACCEPTED}+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0\n+0 close(4) = 0\n+0 > R. 1:1(0) ack 1\n`;
    passes(text);
    fails(text.replace('onoff=1', 'onoff=0'), '+0 > R.', /flags R\. expected, not F\./);
  });

  test.each(['SO_TIMESTAMPING', 'TCP_MD5SIG', 'TCP_FASTOPEN'])('%s is not supported', (name) => {
    isUnsupported(`${ACCEPTED}+0 setsockopt(4, SOL_TCP, ${name}, [1], 4) = 0\n`, new RegExp(name));
  });
});

describe('other calls', () => {
  test('fcntl', () => {
    tells(
      `${CONNECTED}+0 fcntl(3, F_GETFL) = 0x802 (flags)\n`,
      '0x802',
      '0x2',
      /returned 2050, expected 2/,
    );
  });

  test('ioctl', () => {
    tells(`${DATA}+0 ioctl(4, SIOCINQ, [10]) = 0\n`, '[10]', '[9]', /ioctl: 9 expected, not 10/);
    passes(`${ACCEPTED}+0 write(4, ..., 10) = 10\n+0 ioctl(4, SIOCOUTQ, [10]) = 0\n`);
  });

  test('names', () => {
    tells(
      `${ACCEPTED}+0 getsockname(4, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("192.168.0.1")}, [16]) = 0\n`,
      'htons(8080)',
      'htons(8081)',
      /port: 8081 expected, not 8080/,
    );
    passes(
      '0 socket(..., SOCK_STREAM, 0) = 3\n+0 getpeername(3, ..., ...) = -1 ENOTCONN (Not connected)\n',
    );
  });

  test('connecting again', () => {
    passes(`${CONNECTED}+0 connect(3, ..., ...) = -1 EISCONN (Connected)\n`);
  });

  test.each([
    ['socket(..., SOCK_DGRAM, 0) = 3', /SOCK_STREAM/],
    ['pipe([3, 4]) = 0', /system call pipe/],
    ['socket(..., SOCK_STREAM, IPPROTO_NEVER) = 3', /IPPROTO_NEVER/],
  ])('%s is not supported', (event, name) => {
    isUnsupported(`0 ${event}\n`, name);
  });
});

describe('code and commands', () => {
  test('code asks the connection', () => {
    tells(
      `${ACCEPTED}+0 %{ assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd }%\n`,
      '== 10',
      '== 11',
      /== 11: 10/,
    );
    isUnsupported(`${ACCEPTED}+0 %{ assert tcpi_never == 1 }%\n`, /tcpi_never/);
  });

  test('a command changes what the stack offers', () => {
    const text = `0 \`sysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0 net.ipv4.tcp_window_scaling=0\`
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <mss 1460>
`;
    passes(text);
    fails(text.replace('tcp_sack=0', 'tcp_sack=1'), '+0 > S', /other options/);
  });

  test('a command that is not known', () => {
    isUnsupported('0 `iptables -F`\n+0 close(3) = 0\n', /command iptables -F/);
  });

  test('sleeping takes time', () => {
    const text = `${ACCEPTED}+0 \`sleep 1\`\n+0 close(4) = 0\n1.1 > F. 1:1(0) ack 1\n`;
    passes(text);
    fails(text.replace('sleep 1', 'sleep 2'), '1.1 > F.', /sent at 2100\.0 ms/);
  });
});
