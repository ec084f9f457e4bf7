// Checks of what an engine is asked to listen with: uWebSockets.js truncates a port and ends the process at other values.

import type { ListenOptions } from './engine.js'

const POSITIVE = [
  'maxMessageBytes',
  'maxHeaderBytes',
  'headersTimeoutMs',
  'bodyTimeoutMs',
  'keepAliveMs',
  'stallTimeoutMs',
  'closeTimeoutMs',
  'maxConnections',
] as const

/** Throws RangeError at a number no engine can work with. */
export function checkListenOptions(options: ListenOptions): void {
  const { port } = options
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new RangeError(`not a port: ${port}`)
  for (const name of POSITIVE) {
    const value = options[name]
    if (!Number.isInteger(value) || value < 1 || value > 0x7fff_ffff)
      throw new RangeError(`${name} must be a whole number from 1 to 2147483647`)
  }
}

/** The shortest deadline that a sweeper has to keep. */
export function shortestDeadlineMs(options: ListenOptions): number {
  return Math.min(options.bodyTimeoutMs, options.stallTimeoutMs, options.closeTimeoutMs)
}
