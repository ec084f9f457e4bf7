// `holdwire serve | gateway | c2s`: starts, says where, and stops when told to.

import { type Config, ConfigError, configWarnings } from '../config.js'
import { createLogger, type Logger } from '../logger.js'
import { redactor } from '../redaction.js'
import type { Role, Running } from '../running.js'
import { VERSION } from '../version.js'

export type Start = (config: Config, role: Role, log: Logger) => Promise<Running>

/** What a stop may take beyond the drain before it is cut short. */
const STOP_MARGIN_MS = 10_000
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const
/** One Ctrl-C may come twice: from the terminal, and passed on by npm. */
const SAME_SIGNAL_MS = 500

/** Resolves when the server runs; the process then ends by a signal. Exit codes: 0 stopped, 1 failed, 2 set up wrongly, 128 + n cut short by signal n. */
export async function runServer(config: Config, role: Role, start: Start): Promise<void> {
  const log = createLogger(config)
  // Whatever is left undone after a bug is worse than a restart: sessions come back by cursor.
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'a bug: this process ends')
    process.exit(1)
  })
  let running: Running | undefined
  let stoppingSince: number | undefined
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      const now = performance.now()
      if (stoppingSince !== undefined && now - stoppingSince < SAME_SIGNAL_MS) return
      if (stoppingSince !== undefined || running === undefined) process.exit(code)
      stoppingSince = now
      stop(running, config, log).then(
        () => process.exit(0),
        (error: unknown) => {
          log.fatal({ err: error }, 'failed: stopping')
          process.exit(1)
        },
      )
    })
  }
  log.info({ version: VERSION, role, auth: config.auth, pid: process.pid }, 'holdwire starts')
  for (const warning of configWarnings(config)) log.warn(warning)
  try {
    running = await start(config, role, log)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const isConfig = error instanceof ConfigError
    log.fatal(isConfig ? {} : { err: error }, `cannot start: ${message}`)
    // For people too, who may not find it in the line above.
    process.stderr.write(`holdwire: cannot start: ${redactor(config)(message)}\n`)
    process.exit(isConfig ? 2 : 1)
  }
  const { stop: _stop, ...where } = running
  const client = where.clientUrl === undefined ? '' : `clients: ${where.clientUrl}, `
  log.info(where, `holdwire is ready: ${client}backends: ${where.internalUrl}`)
}

async function stop(running: Running, config: Config, log: Logger): Promise<void> {
  log.info({ drainSeconds: config.drainSeconds }, 'stopping; a second signal ends it at once')
  const limit = setTimeout(
    () => {
      log.error('stopping took too long; cut short')
      process.exit(1)
    },
    config.drainSeconds * 1000 + STOP_MARGIN_MS,
  )
  await running.stop()
  clearTimeout(limit)
  log.info('stopped')
}
