// The servers that are the floor: `ws` and uWebSockets.js with nothing on top but NATS; and Socket.IO, which is used with a bus in the
// same way. Scripts of ours in `servers/`, each with a nats-server of its own.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { NotInstalled } from '../../contestant.js'
import { freePorts } from '../../processes.js'
import type { Contender, Recipe, WireTarget } from '../contender.js'
import type { LabTransport } from '../result.js'
import { collectGarbageOf, inPremises } from './premises.js'

interface Script {
  readonly name: string
  readonly module: string
  readonly script: string
  readonly settings: string
  wires(port: number): Partial<Record<LabTransport, WireTarget>>
}

function bareWires(port: number): Partial<Record<LabTransport, WireTarget>> {
  return { websocket: { kind: 'plain-websocket', port, settings: { target: '/?channel={channel}', greeting: 'on' } } }
}

export const bareWs: Recipe = recipe({
  name: 'bare-ws',
  module: 'ws',
  script: 'bare-ws.js',
  settings: 'perMessageDeflate off, clientTracking off; no authentication, no store, no resumption',
  wires: bareWires,
})

export const bareUws: Recipe = recipe({
  name: 'bare-uws',
  module: 'uWebSockets.js',
  script: 'bare-uws.js',
  settings: 'compression off, idleTimeout 120, topics by app.publish; no authentication, no store, no resumption',
  wires: bareWires,
})

export const socketio: Recipe = recipe({
  name: 'socketio',
  module: 'socket.io',
  script: 'socketio.js',
  settings:
    'serveClient, httpCompression and perMessageDeflate off, its own ws, no connectionStateRecovery, first requests not kept; topics are rooms; a message is parsed and emitted',
  wires: (port) => ({
    websocket: { kind: 'socketio', port, settings: {} },
    keepalive: { kind: 'socketio-poll', port, settings: {} },
  }),
})

function recipe({ name, module, script, settings, wires }: Script): Recipe {
  return {
    name,
    start: ({ root, onStarted }) => {
      const version = versionOf(module)
      return inPremises(name, onStarted, async (premises): Promise<Contender> => {
        const [port = 0, natsPort = 0] = await freePorts(2)
        const natsUrl = await premises.runNats(natsPort)
        const child = await premises.runScript(name, root, script, { port, natsUrl }, port)
        const sink = { kind: 'plain-nats', url: natsUrl, settings: {} }
        return {
          name,
          version,
          recipe: `node bench/lab/peers/servers/${script}, nats-server without JetStream: a subscription for each user; ${settings}`,
          wires: wires(port),
          sink,
          topicSink: sink,
          processes: premises.processes,
          collectGarbage: () => collectGarbageOf(child),
          stop: () => premises.stop(),
        }
      })
    },
  }
}

/** Of what is installed here; throws `NotInstalled`. */
function versionOf(module: string): string {
  try {
    const main = createRequire(import.meta.url).resolve(module)
    for (let folder = dirname(main); folder !== dirname(folder); folder = dirname(folder)) {
      const version = versionIn(folder)
      if (version !== undefined) return version
    }
    return 'unknown'
  } catch {
    throw new NotInstalled(`there is no ${module}; npm install ${module}`)
  }
}

function versionIn(folder: string): string | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    // Folders of a build have one of their own, with nothing but a type in it.
    return name === undefined ? undefined : String(version)
  } catch {
    return undefined
  }
}
