// The embedded bus: the contract, in memory and on disk, and what is its own.

import { EmbeddedBroker, type EmbeddedBusOptions } from '../../bus/embedded-bus.js'
import { type BusEnvironment, busContract } from './bus-contract.js'

const LIMITS = { inboxMaxMessages: 10, maxMessageBytes: 65536, maxInFlight: 256 }

function options(more: Partial<EmbeddedBusOptions> = {}): EmbeddedBusOptions {
  return {
    ...LIMITS,
    inboxMaxAgeSeconds: 3600,
    duplicateWindowSeconds: 60,
    requestTimeoutMs: 2000,
    dataDir: undefined,
    onError: (error, what) => {
      if (!(error instanceof Error && error.message.endsWith('on purpose'))) throw new Error(`${what} failed`, { cause: error })
    },
    ...more,
  }
}

async function environment(more: Partial<EmbeddedBusOptions> = {}): Promise<BusEnvironment> {
  const broker = await EmbeddedBroker.open(options(more))
  return { bus: async () => broker.bus(), stop: () => broker.close(1000), options: LIMITS }
}

busContract('embedded, in memory', () => environment())
