// A Mercure hub, the program without Caddy (`cmd/mercure`, up to version 0.17), which Go can install.

import { freePorts } from '../../processes.js'
import type { Contender, Recipe } from '../contender.js'
import { goProgram, goVersion } from './go-program.js'
import { hs256 } from './hs256.js'
import { inPremises } from './premises.js'

const KEY = 'bench-secret-of-the-hub-with-enough-bytes'
const INSTALL = 'go install github.com/dunglas/mercure/cmd/mercure@v0.17.1'

export const mercure: Recipe = {
  name: 'mercure',
  start: ({ onStarted }) => {
    const program = goProgram('mercure', INSTALL)
    return inPremises('mercure', onStarted, async (premises): Promise<Contender> => {
      const [port = 0] = await freePorts(1)
      const env = {
        ...process.env,
        ADDR: `127.0.0.1:${port}`,
        JWT_KEY: KEY,
        ALLOW_ANONYMOUS: '1',
        TRANSPORT_URL: 'local://local',
        // Streams are for good.
        WRITE_TIMEOUT: '0s',
      }
      await premises.run('mercure', program, [], port, { env })
      const sink = { kind: 'mercure', url: `http://127.0.0.1:${port}`, settings: { token: hs256({ mercure: { publish: ['*'] } }, KEY) } }
      return {
        name: 'mercure',
        version: goVersion(program),
        recipe:
          'mercure: transport local (no history), anonymous subscribers, heartbeat 40 s (default), no write timeout, an update a request',
        wires: { sse: { kind: 'event-stream', port, settings: { target: '/.well-known/mercure?topic={channel}' } } },
        sink,
        topicSink: sink,
        processes: premises.processes,
        stop: () => premises.stop(),
      }
    })
  },
}
