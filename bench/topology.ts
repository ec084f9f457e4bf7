// The processes that are measured: one `holdwire serve`, or nats-server, c2s worker and gateway.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { LiveMemory } from './memory-probe.js'

export interface TopologyOptions {
  readonly kind: 'split' | 'serve'
  readonly engine: 'node' | 'uws'
  /** Of the compiled tree. */
  readonly root: string
}

export interface Measured {
  readonly name: 'gateway' | 'c2s' | 'nats-server' | 'serve'
  readonly pid: number
}

interface Started {
  readonly name: Measured['name']
  readonly child: ChildProcess
}

const PARTITIONS = 16
const READY_TIMEOUT_MS = 20_000
const STOP_TIMEOUT_MS = 5_000
const PROBE_TIMEOUT_MS = 30_000

export class Topology {
  readonly partitions = PARTITIONS
  readonly clientPort: number
  readonly natsUrl: string
  readonly #dir: string
  readonly #processes: Started[] = []

  private constructor(clientPort: number, natsUrl: string) {
    this.clientPort = clientPort
    this.natsUrl = natsUrl
    this.#dir = mkdtempSync(join(tmpdir(), 'holdwire-bench-'))
  }

  static async start(options: TopologyOptions): Promise<Topology> {
    const [clientPort = 0, internalPort = 0, c2sPort = 0, natsPort = 0] = await freePorts(4)
    const topology = new Topology(clientPort, `nats://127.0.0.1:${natsPort}`)
    try {
      const listen = ['--client-port', String(clientPort), '--internal-port', String(internalPort), '--engine', options.engine]
      if (options.kind === 'serve') await topology.#holdwire(options, 'serve', listen, internalPort)
      else {
        await topology.#nats(natsPort)
        const bus = ['--nats-url', topology.natsUrl, '--nats-partitions', String(PARTITIONS)]
        await topology.#holdwire(options, 'c2s', [...bus, '--node-id', 'bench-c2s', '--internal-port', String(c2sPort)], c2sPort)
        await topology.#holdwire(options, 'gateway', [...bus, '--node-id', 'bench-gateway', ...listen], internalPort)
      }
      return topology
    } catch (error) {
      await topology.stop()
      throw error
    }
  }

  /** The process that holds the sessions comes last. */
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
    const { child } = this.#last
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

  async #nats(port: number): Promise<void> {
    const path = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/usr/local/sbin`
    const args = ['-js', '-sd', this.#dir, '-a', '127.0.0.1', '-p', String(port)]
    const child = spawn('nats-server', args, { stdio: 'ignore', env: { ...process.env, PATH: path } })
    this.#processes.push({ name: 'nats-server', child })
    await until(child, 'nats-server', async () => (await connects(port)) || undefined)
  }

  async #holdwire(
    options: TopologyOptions,
    name: 'gateway' | 'c2s' | 'serve',
    flags: readonly string[],
    internalPort: number,
  ): Promise<void> {
    // As `npm start` and the command do.
    const probe = ['--max-semi-space-size=8', '--expose-gc', '--import', join(options.root, 'bench', 'memory-probe.js')]
    const common = ['--host', '127.0.0.1', '--auth', 'dev', '--drain-seconds', '0', '--log-level', 'warn']
    const child = spawn(process.execPath, [...probe, join(options.root, 'gateway', 'main.js'), name, ...common, ...flags], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#processes.push({ name, child })
    await until(child, name, async () => {
      const answer = await fetch(`http://127.0.0.1:${internalPort}/readyz`)
      return answer.ok || undefined
    })
  }
}

/** Tries until it answers; a process that ends before is an error. */
async function until(child: ChildProcess, name: string, attempt: () => Promise<true | undefined>): Promise<void> {
  let failure: Error | undefined
  child.once('error', (error) => {
    failure = error
  })
  const untilMs = Date.now() + READY_TIMEOUT_MS
  while (Date.now() < untilMs) {
    if (failure !== undefined) throw new Error(`${name} can't be started: ${failure.message}`)
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`)
    // Not there yet: refused.
    if ((await attempt().catch(() => undefined)) === true) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${name} was not ready in ${READY_TIMEOUT_MS} ms`)
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    child.kill('SIGTERM')
  })
}

async function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Ports that nobody has at the moment, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => {
            const address = server.address()
            resolve(typeof address === 'object' && address !== null ? address.port : 0)
          })
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
