// The processes that are measured: one `holdwire serve`, or nats-server, c2s worker and gateway.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LiveMemory } from './memory-probe.js'
import { connects, freePorts, stopped, untilReady, WIDER_PATH } from './processes.js'

export interface TopologyOptions {
  readonly kind: 'split' | 'serve'
  readonly engine: 'node' | 'uws'
  /** Of the compiled tree. */
  readonly root: string
  /** Of a split one; undefined: one. */
  readonly gateways?: 1 | 2
  /** Flags for every process of Holdwire beyond those that the topology needs. */
  readonly flags?: readonly string[]
  /** Told of each process as soon as it has been started. */
  readonly onStarted?: (pid: number) => void
  /** CPU profiles of Holdwire's processes go there when they end. */
  readonly profileFolder?: string | undefined
}

export interface Measured {
  readonly name: 'gateway' | 'second gateway' | 'c2s' | 'nats-server' | 'serve'
  readonly pid: number
}

interface Started {
  readonly name: Measured['name']
  readonly child: ChildProcess
}

const PARTITIONS = 16
const PROBE_TIMEOUT_MS = 30_000

export class Topology {
  readonly partitions = PARTITIONS
  /** Of each process that holds sessions. */
  readonly clientPorts: readonly number[]
  readonly natsUrl: string
  /** Of the process that holds the sessions, for backends. */
  readonly internalUrl: string
  readonly #dir: string
  readonly #processes: Started[] = []

  private constructor(clientPorts: readonly number[], natsUrl: string, internalUrl: string) {
    this.clientPorts = clientPorts
    this.natsUrl = natsUrl
    this.internalUrl = internalUrl
    this.#dir = mkdtempSync(join(tmpdir(), 'holdwire-bench-'))
  }

  static async start(options: TopologyOptions): Promise<Topology> {
    const [clientPort = 0, internalPort = 0, secondPort = 0, secondInternalPort = 0, c2sPort = 0, natsPort = 0] = await freePorts(6)
    const clientPorts = options.gateways === 2 ? [clientPort, secondPort] : [clientPort]
    const topology = new Topology(clientPorts, `nats://127.0.0.1:${natsPort}`, `http://127.0.0.1:${internalPort}`)
    const listen = (client: number, internal: number) => [
      ...['--client-port', String(client), '--internal-port', String(internal), '--engine', options.engine],
    ]
    try {
      if (options.kind === 'serve') await topology.#holdwire(options, 'serve', listen(clientPort, internalPort), internalPort)
      else {
        await topology.#nats(options, natsPort)
        const bus = ['--nats-url', topology.natsUrl, '--nats-partitions', String(PARTITIONS)]
        await topology.#holdwire(options, 'c2s', [...bus, '--node-id', 'bench-c2s', '--internal-port', String(c2sPort)], c2sPort)
        if (options.gateways === 2) {
          const second = listen(secondPort, secondInternalPort)
          await topology.#holdwire(options, 'second gateway', [...bus, '--node-id', 'bench-gateway-2', ...second], secondInternalPort)
        }
        const first = listen(clientPort, internalPort)
        await topology.#holdwire(options, 'gateway', [...bus, '--node-id', 'bench-gateway', ...first], internalPort)
      }
      return topology
    } catch (error) {
      await topology.stop()
      throw error
    }
  }

  /** The process that holds the sessions, or the first of them, comes last. */
  get measured(): readonly Measured[] {
    return this.#processes.map(({ name, child }) => ({ name, pid: child.pid ?? 0 }))
  }

  get server(): Measured {
    const { name, child } = this.#last
    return { name, pid: child.pid ?? 0 }
  }

  get #last(): Started {
    const last = this.#processes.at(-1)
    if (last === undefined) throw new Error('nothing was started')
    return last
  }

  /** Collects garbage in the process that holds the sessions, and says what is left. */
  collectGarbage(): Promise<LiveMemory> {
    return this.#collect(this.#last.child)
  }

  /** In all processes of Holdwire. */
  async collectAllGarbage(): Promise<void> {
    await Promise.all(this.#processes.filter(({ child }) => child.connected).map(({ child }) => this.#collect(child)))
  }

  #collect(child: ChildProcess): Promise<LiveMemory> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer from the memory probe in ${PROBE_TIMEOUT_MS} ms`)), PROBE_TIMEOUT_MS)
      child.once('message', (live: LiveMemory) => {
        clearTimeout(timer)
        resolve(live)
      })
      child.send('collect')
    })
  }

  async stop(): Promise<void> {
    for (const { child } of [...this.#processes].reverse()) await stopped(child)
    rmSync(this.#dir, { recursive: true, force: true })
  }

  async #nats(options: TopologyOptions, port: number): Promise<void> {
    const args = ['-js', '-sd', this.#dir, '-a', '127.0.0.1', '-p', String(port)]
    const child = spawn('nats-server', args, { stdio: 'ignore', env: { ...process.env, PATH: WIDER_PATH } })
    this.#processes.push({ name: 'nats-server', child })
    options.onStarted?.(child.pid ?? 0)
    await untilReady(child, 'nats-server', async () => (await connects(port)) || undefined)
  }

  async #holdwire(
    options: TopologyOptions,
    name: 'gateway' | 'second gateway' | 'c2s' | 'serve',
    flags: readonly string[],
    internalPort: number,
  ): Promise<void> {
    // As `npm start` and the command do.
    const probe = ['--max-semi-space-size=8', '--expose-gc', '--import', join(options.root, 'bench', 'memory-probe.js')]
    const common = ['--host', '127.0.0.1', '--auth', 'dev', '--drain-seconds', '0', '--log-level', 'warn']
    const role = name === 'second gateway' ? 'gateway' : name
    const extra = options.flags ?? []
    const file = `${name.replaceAll(' ', '-')}-${options.engine}-${process.pid}.cpuprofile`
    const profile =
      options.profileFolder === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', options.profileFolder, '--cpu-prof-name', file]
    const child = spawn(
      process.execPath,
      [...profile, ...probe, join(options.root, 'gateway', 'main.js'), role, ...common, ...extra, ...flags],
      {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      },
    )
    this.#processes.push({ name, child })
    options.onStarted?.(child.pid ?? 0)
    await untilReady(child, name, async () => {
      const answer = await fetch(`http://127.0.0.1:${internalPort}/readyz`)
      return answer.ok || undefined
    })
  }
}
