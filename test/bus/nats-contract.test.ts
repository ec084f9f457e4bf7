// The contract of the bus, run on NATS.

import t from 'tap'
import type { Bus } from '../../bus/bus.js'
import { connectNats } from '../../bus/nats-bus.js'
import { getNatsServer, startNats } from '../support/nats-server.js'
import { type BusEnvironment, busContract } from './bus-contract.js'

const LIMITS = { inboxMaxMessages: 10, maxMessageBytes: 65536, maxInFlight: 256 }
const binary = await getNatsServer()

async function environment(): Promise<BusEnvironment> {
  const server = await startNats()
  const buses: Bus[] = []
  const errors: string[] = []
  return {
    options: LIMITS,
    async bus() {
      const bus = await connectNats({
        ...LIMITS,
        servers: [server.url],
        name: `contract-${buses.length}`,
        partitions: 4,
        replicas: 1,
        inboxMaxAgeSeconds: 3600,
        duplicateWindowSeconds: 60,
        requestTimeoutMs: 4000,
        pingIntervalMs: 10_000,
        sweepSeconds: 300,
        onError(error, what) {
          if (!(error instanceof Error && error.message.endsWith('on purpose'))) errors.push(`${what}: ${error}`)
        },
      })
      buses.push(bus)
      return bus
    },
    async stop() {
      await Promise.all(buses.map((bus) => bus.close(1000)))
      await server.stop()
      // Not thrown when it happens: it may be inside the client's reader, which would stop.
      if (errors.length > 0) throw new Error(errors.join(', '))
    },
  }
}

if (binary === undefined) t.test('bus contract: NATS', { skip: 'no nats-server' }, async () => {})
else busContract('NATS', environment)
