/** Asks a lab's supervisor over its control socket. */
import { request } from 'node:http';
import { LabError } from './lab-error.ts';

/** Longest wait for an answer: a restarted process has this long to become ready. */
const TIMEOUT_MS = 120_000;

/** Sends one request and resolves with the answer. @throws LabError */
export function ask(
  socketPath: string,
  method: string,
  path: string,
  body?: object,
): Promise<object> {
  const { promise, resolve, reject } = Promise.withResolvers<object>();
  const asked = request({ socketPath, method, path, timeout: TIMEOUT_MS }, (response) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      text += chunk;
    });
    response.on('error', reject);
    response.on('end', () => {
      const answer = JSON.parse(text) as { readonly error?: string };
      if (answer.error === undefined) resolve(answer);
      else reject(new LabError(answer.error));
    });
  });
  asked.on('timeout', () => asked.destroy(new LabError('the lab does not answer')));
  asked.on('error', (error) => {
    const late =
      error instanceof LabError ? error.message : `the lab does not answer (${error.message})`;
    reject(new LabError(late, { cause: error }));
  });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}
