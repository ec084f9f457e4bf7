// A process that has started.

export type Role = 'serve' | 'gateway' | 'c2s'

export interface Running {
  /** Where clients connect, and the port; absent in a c2s worker. */
  readonly clientUrl?: string
  readonly clientPort?: number
  readonly internalUrl: string
  readonly internalPort: number
  /** Names of the HTTP engine and the bus in use. */
  readonly engine: string
  readonly bus: string
  /** Hands sessions over, finishes what was accepted, closes everything. Call it once. */
  stop(): Promise<void>
}
