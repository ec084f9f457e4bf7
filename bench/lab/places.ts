// Where the processes of a run have their place: servers on some cores, those that load them on the others, so that neither takes the
// other's time; and the servers in a group of their own whose memory the kernel counts, sockets included.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { findProgram } from '../processes.js'

type Side = 'server' | 'load'

interface Group {
  readonly folders: readonly string[]
  readonly bytes: () => number
  /** CPU time of those in it, finer than the ticks of /proc. */
  readonly cpuUs: () => number
}

const V2 = '/sys/fs/cgroup'
const V1_MEMORY = '/sys/fs/cgroup/memory'
const V1_CPU = '/sys/fs/cgroup/cpuacct'

export class Places {
  /** Sentences for the reader. */
  readonly notes: readonly string[]
  /** That generator, publisher and proxy may use. */
  readonly loadCores: number
  readonly #taskset: string | undefined
  readonly #cores: Readonly<Record<Side, string>> | undefined
  readonly #group: Group | undefined

  constructor() {
    const count = cpus().length
    this.#taskset = findProgram('taskset')
    const half = Math.floor(count / 2)
    this.loadCores = this.#taskset === undefined || count < 2 ? count : count - half
    this.#cores =
      this.#taskset === undefined || count < 2 ? undefined : { server: coreRange(0, half - 1), load: coreRange(half, count - 1) }
    const pinning =
      this.#cores === undefined
        ? 'Server and generator share all cores: there is no taskset, or only one core.'
        : `The processes of the server, nats-server among them, ran on core ${this.#cores.server}, generator, publisher and proxy on core ${this.#cores.load}.`
    const group = makeGroup()
    this.#group = typeof group === 'string' ? undefined : group
    this.notes = typeof group === 'string' ? [pinning, `No memory by cgroup: ${group}.`] : [pinning, MEMORY_NOTE]
  }

  /** Puts a process with all its threads in its place. One that has gone is none's concern. */
  put(side: Side, pid: number): void {
    try {
      if (this.#taskset !== undefined && this.#cores !== undefined) {
        execFileSync(this.#taskset, ['-acp', this.#cores[side], String(pid)], { stdio: 'ignore' })
      }
      if (side === 'server') for (const folder of this.#group?.folders ?? []) writeFileSync(`${folder}/cgroup.procs`, String(pid))
    } catch {
      // It has ended, which whoever waits for it will see.
    }
  }

  /** Memory of the servers with the kernel's share of it, without cached files; undefined: the system does not tell. */
  groupBytes(): number | undefined {
    return this.#group?.bytes()
  }

  /** CPU time of the servers, exact; undefined: the system does not tell. */
  groupCpuUs(): number | undefined {
    return this.#group?.cpuUs()
  }

  /** The servers have ended. */
  close(): void {
    for (const folder of this.#group?.folders ?? []) {
      try {
        rmdirSync(folder)
      } catch {
        // One is still ending: an empty group costs nothing.
      }
    }
  }
}

const MEMORY_NOTE =
  'Memory by cgroup is that of the processes of the server and what the kernel holds for them (sockets too), without cached files.'

function coreRange(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`
}

/** Or why there is none. */
function makeGroup(): Group | string {
  const name = `holdwire-lab-${process.pid}`
  const read = (file: string) => readFileSync(file, 'utf8')
  const field = (text: string, key: string) => Number(new RegExp(`^${key} (\\d+)`, 'm').exec(text)?.[1] ?? 0)
  try {
    if (hasFile(V2, 'cgroup.controllers')) {
      if (!read(`${V2}/cgroup.controllers`).includes('memory')) return 'the memory controller is not there'
      const folder = `${V2}/${name}`
      mkdirSync(folder)
      if (!hasFile(folder, 'memory.current')) {
        rmdirSync(folder)
        return 'the memory controller is not on'
      }
      return {
        folders: [folder],
        bytes: () => Number(read(`${folder}/memory.current`)) - field(read(`${folder}/memory.stat`), 'file'),
        cpuUs: () => field(read(`${folder}/cpu.stat`), 'usage_usec'),
      }
    }
    if (!hasFile(V1_MEMORY, 'memory.usage_in_bytes') || !hasFile(V1_CPU, 'cpuacct.usage')) return 'there is none'
    const folder = `${V1_MEMORY}/${name}`
    const cpuFolder = `${V1_CPU}/${name}`
    mkdirSync(folder)
    mkdirSync(cpuFolder)
    // Socket memory is counted apart, and only from the moment on at which it has a limit.
    writeFileSync(`${folder}/memory.kmem.tcp.limit_in_bytes`, String(2 ** 40))
    const bytes = () =>
      Number(read(`${folder}/memory.usage_in_bytes`)) +
      Number(read(`${folder}/memory.kmem.tcp.usage_in_bytes`)) -
      field(read(`${folder}/memory.stat`), 'cache')
    return { folders: [folder, cpuFolder], bytes, cpuUs: () => Number(read(`${cpuFolder}/cpuacct.usage`)) / 1000 }
  } catch (error) {
    return error instanceof Error ? (error.message.split(',')[0] ?? '') : String(error)
  }
}

function hasFile(folder: string, name: string): boolean {
  try {
    return readdirSync(folder).includes(name)
  } catch {
    return false
  }
}
