// `holdwire provision`: makes the streams and buckets in NATS, or finds that those there have other settings.

import { type Config, ConfigError } from '../config.js'
import type { Logger } from '../logger.js'
import type { Start } from './run-server.js'

/**
 * Starts everything once, on free ports of the loopback, and stops it: whatever keeps something in NATS makes it when it starts, so there is no second list
 * of it here. Repeating it changes nothing. Rejects with what is wrong.
 */
export async function provision(config: Config, log: Logger, start: Start): Promise<void> {
  if (config.natsUrl.length === 0) throw new ConfigError('provision: needs natsUrl, the embedded bus needs no preparation')
  const alone = { host: '127.0.0.1', clientPort: 0, internalPort: 0, engine: 'node', drainSeconds: 0 } as const
  const running = await start({ ...config, ...alone }, 'serve', log)
  await running.stop()
}
