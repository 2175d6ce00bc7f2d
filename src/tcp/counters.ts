// What a stack counts.

export const tcpCounters = () => ({
  segmentsIn: 0,
  segmentsOut: 0,
  malformed: 0,
  badChecksum: 0,
  resetsSent: 0,
  resetsWithheld: 0,
  connectsOut: 0,
  accepted: 0,
  refusedFull: 0,
  /** SYNs that came while there were too many half-open connections, and were answered by cookies. */
  backlogOverflows: 0,
  cookiesSent: 0,
  cookiesTaken: 0,
  cookiesFailed: 0,
  /** Segments that came before the one that proves their handshake. */
  cookiesEarly: 0,
  resumed: 0,
  synAckRepeats: 0,
  retransmits: 0,
  fastRetransmits: 0,
  timeouts: 0,
  /** Timeouts that were needless, and reductions of the window that were taken back. */
  spuriousTimeouts: 0,
  undos: 0,
  tailProbes: 0,
  windowProbes: 0,
  unacceptable: 0,
  challenges: 0,
  /** Answers to unacceptable segments that came too often. */
  challengesWithheld: 0,
  pawsDrops: 0,
  timestampsMissing: 0,
  /** Segments out of order that were not kept: too many gaps, or no memory. */
  reassemblyDrops: 0,
  /** Segments in order that were not kept for want of memory. */
  memoryDrops: 0,
  timeWaitOverflows: 0,
  /** Connections reset because nobody used them and there were too many, or too little memory. */
  orphansReset: 0,
  /** ICMP errors that quote nothing that is under way. */
  pathErrorsIgnored: 0,
  pathMtuReductions: 0,
});
