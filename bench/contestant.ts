// A server that BOSH is measured on: Holdwire in one of its forms, or another XMPP server.

import { Topology, type TopologyOptions } from './topology.js'

export interface Contestant {
  readonly name: string
  readonly version: string
  /** How it was started and with what settings. */
  readonly recipe: string
  /** Where BOSH is. */
  readonly ports: readonly number[]
  readonly path: string
  readonly domain: string
  /** All that work for it. */
  readonly processes: readonly { readonly name: string; readonly pid: number }[]
  stop(): Promise<void>
}

/** Why one does not take part: it is not installed. */
export class NotInstalled extends Error {
  override readonly name = 'NotInstalled'
}

/** Of all sessions; accounts are made for them where the server needs them. */
export const PASSWORD = 'bench'

/** Rejects when it can't be started. */
export async function startHoldwire(name: string, version: string, options: TopologyOptions): Promise<Contestant> {
  if (options.engine === 'uws') await requireUws()
  const topology = await Topology.start(options)
  const processes = topology.measured
  return {
    name,
    version,
    recipe: `${processes.map((one) => one.name).join(' + ')}, engine ${options.engine}, auth: dev, default settings`,
    ports: topology.clientPorts,
    path: '/http-bind',
    domain: 'localhost',
    processes,
    stop: () => topology.stop(),
  }
}

async function requireUws(): Promise<void> {
  try {
    await import('uWebSockets.js')
  } catch (error) {
    throw new NotInstalled(`uWebSockets.js: ${error instanceof Error ? error.message : String(error)}`)
  }
}
