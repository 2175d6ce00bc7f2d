/** Responses that the proxy gives itself: complete, and the last of their connection. */

/** The reason phrase of each status there is a response for (RFC 9110, 15; RFC 6585). */
const REASONS = {
  400: 'Bad Request',
  408: 'Request Timeout',
  414: 'URI Too Long',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  505: 'HTTP Version Not Supported',
} as const;

export type ErrorStatus = keyof typeof REASONS;

const ready = new Map<ErrorStatus, Uint8Array>();
for (const [status, reason] of Object.entries(REASONS)) {
  ready.set(Number(status) as ErrorStatus, compose(status, reason));
}

/**
 * The bytes of a complete HTTP/1.1 response. Made once: they are shared and must not be changed.
 * What was wrong with the request is for the log, not for who sent it.
 */
export function errorResponse(status: ErrorStatus): Uint8Array {
  return ready.get(status) ?? compose(String(status), REASONS[status]);
}

function compose(status: string, reason: string): Uint8Array {
  const body = `${status} ${reason}\n`;
  return Buffer.from(
    `HTTP/1.1 ${status} ${reason}\r\n` +
      'Content-Type: text/plain\r\n' +
      `Content-Length: ${body.length}\r\n` +
      'Connection: close\r\n' +
      `\r\n${body}`,
    'latin1',
  );
}
