/** The HTTP server of a host that serves files: nginx where it is installed, else our own. */
import { join, resolve } from 'node:path';
import { findProgram } from './find-program.ts';
import { CODE, NODE, type ProcessPlan, WORK_FOLDER } from './plan.ts';
import { type FilesTopology, filesSchema } from './topology.ts';

/** What hosts serve whose topology names no folder: one folder for all, so that backends agree. */
export const SERVED_FOLDER = `${WORK_FOLDER}/www`;

/**
 * The process `HOST/files`. `null` asks for the defaults.
 * @param ipv6 whether the host speaks it
 */
export function fileServer(
  host: string,
  files: FilesTopology | null,
  folder: string,
  ipv6: boolean,
): ProcessPlan {
  const { root, port, server } = files ?? filesSchema.parse({});
  const served = root === undefined ? SERVED_FOLDER : resolve(folder, root);
  const nginx = server === 'node' ? undefined : findProgram('nginx');
  const own = join(WORK_FOLDER, host);
  const common = {
    name: `${host}/files`,
    namespace: host,
    env: {},
    folder,
    ready: { tcp: port },
    readyTimeoutMs: 10_000,
  };
  if (nginx === undefined && server !== 'nginx') {
    const script = join(import.meta.dirname, `file-server${CODE}`);
    return {
      ...common,
      argv: [...NODE, script, '--root', served, '--port', String(port)],
      files: {},
      folders: root === undefined ? [SERVED_FOLDER] : [],
    };
  }
  const configuration = join(own, 'nginx.conf');
  return {
    ...common,
    argv: [nginx ?? 'nginx', '-p', own, '-e', 'stderr', '-c', configuration],
    files: { [configuration]: nginxConfiguration(own, served, port, ipv6) },
    folders: [own, ...(root === undefined ? [SERVED_FOLDER] : [])],
  };
}

/**
 * One process without a master: an ordinary user's namespace has the one user, so that nginx could
 * not change to another. It and its temporary files live within the lab.
 */
function nginxConfiguration(own: string, root: string, port: number, ipv6: boolean): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
master_process off;
user root;
pid ${own}/nginx.pid;
error_log stderr warn;
events { worker_connections 16384; }
http {
${temporary.map((kind) => `  ${kind}_temp_path ${own}/${kind};`).join('\n')}
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  server {
    listen ${port} backlog=4096;${ipv6 ? `\n    listen [::]:${port} backlog=4096;` : ''}
    root "${root.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}";
  }
}
`;
}
