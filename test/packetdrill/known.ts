// Scripts of other systems that this TCP fails in lenient mode, and why it is right all the same.

const WITHOUT_ACK =
  'RFC 9293, 3.10.7.4, first: a segment outside the window is answered by an acknowledgment, one without ACK too; FreeBSD drops it before it looks at the number';
const SYN_ACK_TO_LISTENER =
  'RFC 9293, 3.10.7.2, second: an acknowledgment that reaches LISTEN is answered by a reset; the script wants silence';
const SYN_IN_TIME_WAIT =
  'RFC 9293, 3.6.1 (MAY-2), and Linux: a SYN with a higher number may reopen the connection from TIME-WAIT';

export const KNOWN: Readonly<Record<string, string>> = {
  'rcv-icmp/rcv-icmp-hard-error-net-prohibited-ipv4.pkt':
    'Linux: a network that is prohibited is ENETUNREACH or EHOSTUNREACH to the one who connects; nobody has refused the connection',
  'state-event-engine/rcv-fin-time-wait/rcv-fin-time-wait-using-shutdown-outside-left-ipv4.pkt':
    WITHOUT_ACK,
  'state-event-engine/rcv-fin-time-wait/rcv-fin-time-wait-using-shutdown-outside-right-ipv4.pkt':
    WITHOUT_ACK,
  'state-event-engine/rcv-fin-time-wait/rcv-fin-time-wait-using-shutdown-outside-right-ipv6.pkt':
    WITHOUT_ACK,
  'state-event-engine/rcv-rst-closing/rcv-rst-closing-left-edge-secure-ipv6.pkt':
    'RFC 9293, 3.10.7.4, second: in CLOSING a reset deletes the connection without a word to the user, who has closed it',
  'state-event-engine/rcv-syn-ack-listen/rcv-syn-ack-with-data-listen-ipv4.pkt':
    SYN_ACK_TO_LISTENER,
  'state-event-engine/rcv-syn-ack-listen/rcv-syn-ack-without-data-listen-ipv6.pkt':
    SYN_ACK_TO_LISTENER,
  'state-event-engine/rcv-syn-time-wait/rcv-syn-time-wait-using-shutdown-outside-right-secure-ipv6.pkt':
    SYN_IN_TIME_WAIT,
  'state-event-engine/rcv-syn-time-wait/rcv-syn-time-wait-using-shutdown-right-edge-secure-ipv6.pkt':
    SYN_IN_TIME_WAIT,
};
