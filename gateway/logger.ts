// Structured logs: JSON lines on standard output, with everything secret taken out.

import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from './config.js'
import { redactor } from './redaction.js'

export type { Logger }

const SECRET_KEYS = [
  'token',
  'authorization',
  'bearer',
  'queryToken',
  'apiKey',
  'x-api-key',
  'apiKeys',
  'password',
  'secret',
  'jwtSecret',
  'session',
  'sessionId',
  'cookie',
  'cursor',
  'query',
  'url',
]

/** `destination`: standard output unless given. */
export function createLogger(
  config: Pick<Config, 'logLevel' | 'nodeId'> & Partial<Pick<Config, 'jwtSecret' | 'apiKeys' | 'natsUrl'>>,
  destination?: DestinationStream,
): Logger {
  const options = {
    level: config.logLevel,
    base: { node: config.nodeId },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (level: string) => ({ level }) },
    // A key may stand at the top, or in an object of the log line, such as `headers`.
    redact: { paths: SECRET_KEYS.flatMap((key) => [`["${key}"]`, `*["${key}"]`, `*.*["${key}"]`]), censor: '***' },
    hooks: { streamWrite: redactor(config) },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
