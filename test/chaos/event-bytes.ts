/** Bytes of the stream in one server-sent event, which has them in hexadecimal. */
export const EVENT_BYTES = 200;
