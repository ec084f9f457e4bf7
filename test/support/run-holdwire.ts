// A Holdwire process for tests: the role and flags as for the command. Says on standard output where it listens,
// as one line of JSON.

import { loadConfig } from '../../gateway/config.js'
import { createLogger } from '../../gateway/logger.js'
import type { Role } from '../../gateway/running.js'
import { startHoldwire } from '../../gateway/serve.js'

const [role = 'serve', ...argv] = process.argv.slice(2)
const config = loadConfig({ argv: ['--log-level', 'warn', ...argv], env: {} })
const log = createLogger(config)
const running = await startHoldwire(config, role as Role, log)
process.stdout.write(`${JSON.stringify({ msg: 'ready', clientUrl: running.clientUrl, internalUrl: running.internalUrl })}\n`)
process.once('SIGTERM', () => {
  running.stop().then(
    () => process.exit(0),
    (error) => {
      log.error({ err: error }, 'stop failed')
      process.exit(1)
    },
  )
})
