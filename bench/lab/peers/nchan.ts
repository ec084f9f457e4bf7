// nginx with the Nchan module: one worker, messages in shared memory.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { NotInstalled } from '../../contestant.js'
import { findProgram, freePorts } from '../../processes.js'
import type { Contender, Recipe } from '../contender.js'
import { inPremises } from './premises.js'

const INSTALL = 'apt-get install nginx libnginx-mod-nchan'
/** Where distributions put modules that are loaded; a build may have it inside, too. */
const MODULES = ['/usr/lib/nginx/modules/ngx_nchan_module.so', '/usr/lib64/nginx/modules/ngx_nchan_module.so']
/** A channel with one message in it, for polls that are answered at once. */
const CYCLE_CHANNEL = 'cycle'

export const nchan: Recipe = {
  name: 'nchan',
  start: ({ onStarted }) => {
    const nginx = findProgram('nginx')
    if (nginx === undefined) throw new NotInstalled(`there is no nginx; ${INSTALL}`)
    const module = MODULES.find((path) => existsSync(path))
    const built = versionOf(nginx)
    if (module === undefined && !built.includes('nchan')) throw new NotInstalled(`nginx has no module nchan; ${INSTALL}`)
    return inPremises('nchan', onStarted, async (premises): Promise<Contender> => {
      const [port = 0] = await freePorts(1)
      const config = premises.write('nginx.conf', configuration(premises.folder, module, port))
      await premises.run('nginx', nginx, ['-p', premises.folder, '-c', config, '-e', 'stderr'], port)
      const answer = await fetch(`http://127.0.0.1:${port}/pub?id=${CYCLE_CHANNEL}`, { method: 'POST', body: '{}' })
      if (!answer.ok) throw new Error(`nchan did not take a message: HTTP ${answer.status}`)
      await answer.arrayBuffer()
      const poll = { target: '/poll?id={channel}' }
      const sink = { kind: 'nchan', url: `http://127.0.0.1:${port}`, settings: {} }
      return {
        name: 'nchan',
        version: `nginx ${/nginx\/(\S+)/.exec(built)?.[1] ?? 'unknown'}, nchan ${packageVersion()}`,
        recipe:
          'nginx, 1 worker, 20000 connections, no logs; nchan in memory (1 GB), buffer of 1000 messages for 1 h, a message a request; long polls start at the oldest message and go on by Last-Modified and Etag',
        wires: {
          websocket: { kind: 'plain-websocket', port, settings: { target: '/ws?id={channel}' } },
          sse: { kind: 'event-stream', port, settings: { target: '/sse?id={channel}' } },
          keepalive: { kind: 'nchan-poll', port, settings: poll },
          longpoll: { kind: 'nchan-poll', port, settings: { ...poll, connection: 'close' } },
        },
        cycleSettings: { target: `/poll?id=${CYCLE_CHANNEL}`, wait: '0' },
        sink,
        topicSink: sink,
        processes: premises.processes,
        stop: () => premises.stop(),
      }
    })
  },
}

function configuration(folder: string, module: string | undefined, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `  ${name}_temp_path ${folder}/${name};`)
  return `
${module === undefined ? '' : `load_module ${module};`}
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 20000; }
http {
${temporary.join('\n')}
  access_log off;
  keepalive_timeout 1h;
  keepalive_requests 100000000;
  nchan_shared_memory_size 1G;
  nchan_message_buffer_length 1000;
  nchan_message_timeout 1h;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /pub { nchan_publisher; nchan_channel_id $arg_id; }
    location = /ws { nchan_subscriber websocket; nchan_channel_id $arg_id; }
    location = /sse { nchan_subscriber eventsource; nchan_channel_id $arg_id; }
    location = /poll { nchan_subscriber longpoll; nchan_channel_id $arg_id; nchan_subscriber_first_message oldest; }
  }
}
`
}

/** nginx says it, and how it was built, on standard error. */
function versionOf(nginx: string): string {
  return execFileSync('/bin/sh', ['-c', '"$0" -V 2>&1', nginx], { encoding: 'utf8' })
}

/** The module itself does not tell. */
function packageVersion(): string {
  try {
    return execFileSync('dpkg-query', ['-W', '-f', '$' + '{Version}', 'libnginx-mod-nchan'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  } catch {
    // Not a Debian package.
    return 'of an unknown version'
  }
}
