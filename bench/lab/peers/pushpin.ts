// Pushpin with its parts (condure, zurl, proxy, handler) and the backend that it needs. Long polls are left out: between two of them it
// keeps nothing, so that the backend would have to, and would be what is measured.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { freePorts } from '../../processes.js'
import type { Contender, Recipe } from '../contender.js'
import { inPremises, programOf } from './premises.js'

const INSTALL = 'apt-get install pushpin condure zurl'
const LIBRARY = ['/usr/lib/pushpin', '/usr/local/lib/pushpin']
/** It limits what it sends a second to 2,500 messages by default. */
const MESSAGE_RATE = 1_000_000

export const pushpin: Recipe = {
  name: 'pushpin',
  start: ({ root, onStarted }) => {
    const program = programOf('pushpin', INSTALL)
    for (const part of ['condure', 'zurl']) programOf(part, INSTALL)
    return inPremises('pushpin', onStarted, async (premises): Promise<Contender> => {
      const [port = 0, backendPort = 0, controlPort = 0, pushPort = 0, subPort = 0, commandPort = 0] = await freePorts(6)
      await premises.runScript('backend', root, 'grip-backend.js', { port: backendPort }, backendPort)
      premises.write('routes', `* 127.0.0.1:${backendPort},over_http\n`)
      const library = LIBRARY.find((path) => existsSync(path)) ?? ''
      const ports = { port, controlPort, pushPort, subPort, commandPort }
      const config = premises.write('pushpin.conf', configuration(premises.folder, library, ports))
      await premises.run('pushpin', program, [`--config=${config}`, '--loglevel=0'], port)
      const target = '/?channel={channel}'
      const sink = { kind: 'pushpin', url: `tcp://127.0.0.1:${pushPort}`, settings: {} }
      return {
        name: 'pushpin',
        version: execFileSync(program, ['--version'], { encoding: 'utf8' })
          .trim()
          .replace(/^pushpin /, ''),
        recipe: `pushpin: condure, zurl, proxy and handler; message_rate ${MESSAGE_RATE}, client_maxconn 20000, updates_check off, no logs; over_http to a backend in Node (servers/grip-backend.js) that says what is subscribed to; items by ZeroMQ PUSH`,
        wires: {
          websocket: { kind: 'plain-websocket', port, settings: { target, greeting: 'on' } },
          sse: { kind: 'event-stream', port, settings: { target } },
        },
        sink,
        topicSink: sink,
        processes: premises.processes,
        stop: () => premises.stop(),
      }
    })
  },
}

function configuration(
  folder: string,
  library: string,
  {
    port,
    controlPort,
    pushPort,
    subPort,
    commandPort,
  }: Readonly<Record<'port' | 'controlPort' | 'pushPort' | 'subPort' | 'commandPort', number>>,
): string {
  return `
[global]
include=${library}/internal.conf
libdir=${library}
rundir=${folder}
ipc_prefix=bench-
port_offset=0

[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:${port}
logdir=${folder}
log_level=0
client_buffer_size=8192
client_maxconn=20000

[proxy]
routesfile=routes
updates_check=off
sig_key=bench
zurl_out_specs=ipc://${folder}/bench-zurl-in
zurl_out_stream_specs=ipc://${folder}/bench-zurl-in-stream
zurl_in_specs=ipc://${folder}/bench-zurl-out

[handler]
push_in_spec=tcp://127.0.0.1:${pushPort}
push_in_sub_specs=tcp://127.0.0.1:${subPort}
push_in_http_addr=127.0.0.1
push_in_http_port=${controlPort}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
command_spec=tcp://127.0.0.1:${commandPort}
message_rate=${MESSAGE_RATE}
message_hwm=${MESSAGE_RATE}
message_wait=5000
id_cache_ttl=60
subscription_linger=60
`
}
