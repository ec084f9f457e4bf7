// The address of a port as a URL.

import type { Config } from './config.js'

/** `port`: the number it really has. */
export function portUrl(config: Config, which: 'client' | 'internal', port: number, host = hostOf(config, which)): string {
  const secure = (which === 'client' ? config.clientTlsCert : config.internalTlsCert) !== undefined
  const name = host.includes(':') ? `[${host.replace(/^\[|\]$/g, '')}]` : host
  return `${secure ? 'https' : 'http'}://${name}:${port}`
}

export function hostOf({ host, internalHost }: Config, which: 'client' | 'internal'): string {
  return which === 'client' ? host : internalHost
}
