// Centrifugo 5: its memory engine with messages from the server API, the same with history and recovery, and with NATS as its broker
// in raw mode, where messages come from NATS itself.

import { execFileSync } from 'node:child_process'
import { NotInstalled } from '../../contestant.js'
import { freePorts } from '../../processes.js'
import type { Contender, Recipe, SinkTarget } from '../contender.js'
import { goProgram, goVersion } from './go-program.js'
import { inPremises, type Premises } from './premises.js'

const SECRET = 'bench-secret'
const API_KEY = 'bench-key'
const INSTALL = 'go install github.com/centrifugal/centrifugo/v5@latest'

type Variant = 'memory' | 'history' | 'nats'

export const centrifugo: Recipe = recipe('centrifugo', 'memory')
export const centrifugoHistory: Recipe = recipe('centrifugo-history', 'history')
export const centrifugoNats: Recipe = recipe('centrifugo-nats', 'nats')

const HISTORY = { history_size: 1000, history_ttl: '1h', force_recovery: true }
/** Channels `user:name` are subjects `user.name`. */
const RAW = { enabled: true, prefix: '', channel_replacements: { ':': '.' } }
const WORDS: Readonly<Record<Variant, string>> = {
  memory: 'memory engine, no history, messages by the server API (batch)',
  history: 'memory engine, history_size 1000, history_ttl 1h, force_recovery, messages by the server API (batch)',
  nats: 'broker nats in raw mode (at most once, no history), nats-server without JetStream, messages from NATS',
}

function recipe(name: string, variant: Variant): Recipe {
  return {
    name,
    start: ({ onStarted }) => {
      const program = goProgram('centrifugo', INSTALL)
      requireFlat(program)
      return inPremises(name, onStarted, async (premises): Promise<Contender> => {
        const [port = 0, natsPort = 0] = await freePorts(2)
        const sink = await source(premises, variant, port, natsPort)
        const config = premises.write('config.json', JSON.stringify(configuration(variant, port, sink.url)))
        await premises.run('centrifugo', program, ['-c', config], port)
        return {
          name,
          version: goVersion(program),
          recipe: `centrifugo: ${WORDS[variant]}; JSON protocol, connection tokens (HMAC) with the user's channel in them, compression off, log_level error, other settings default`,
          wires: { websocket: { kind: 'centrifugo', port, settings: { secret: SECRET } } },
          sink,
          topicSink: sink,
          processes: premises.processes,
          // Its debug endpoint collects garbage before it shows the heap.
          collectGarbage: async () => {
            const answer = await fetch(`http://127.0.0.1:${port}/debug/pprof/heap?gc=1`)
            await answer.arrayBuffer()
          },
          stop: () => premises.stop(),
        }
      })
    },
  }
}

async function source(premises: Premises, variant: Variant, port: number, natsPort: number): Promise<SinkTarget> {
  if (variant === 'nats') return { kind: 'plain-nats', url: await premises.runNats(natsPort), settings: {} }
  return { kind: 'centrifugo', url: `http://127.0.0.1:${port}`, settings: { key: API_KEY } }
}

function configuration(variant: Variant, port: number, natsUrl: string) {
  const namespace = variant === 'history' ? HISTORY : {}
  return {
    address: '127.0.0.1',
    port,
    token_hmac_secret_key: SECRET,
    api_key: API_KEY,
    log_level: 'error',
    usage_stats_disable: true,
    debug: true,
    namespaces: [
      { name: 'user', ...namespace },
      { name: 'topic', ...namespace },
    ],
    ...(variant === 'nats' ? { broker: 'nats', nats_url: natsUrl, nats_raw_mode: RAW } : {}),
  }
}

/** Version 6 has its settings nested; this recipe was tried with version 5, which can be told by a flag that went away. */
function requireFlat(program: string): void {
  const help = execFileSync(program, ['--help'], { encoding: 'utf8', timeout: 10_000 })
  if (!help.includes('--client_insecure')) throw new NotInstalled(`this centrifugo is not version 5, which the recipe is for; ${INSTALL}`)
}
