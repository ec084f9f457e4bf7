// Where a server of a recipe lives: a folder that goes with it, and its processes, which all end with it.

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NotInstalled } from '../../contestant.js'
import type { LiveMemory } from '../../memory-probe.js'
import { connects, findProgram, stopped, untilReady } from '../../processes.js'

interface ServerProcess {
  readonly name: string
  readonly child: ChildProcess
}

const COLLECT_TIMEOUT_MS = 30_000

export class Premises {
  readonly folder: string
  readonly #onStarted: (pid: number) => void
  readonly #processes: ServerProcess[] = []

  constructor(name: string, onStarted: (pid: number) => void) {
    this.folder = mkdtempSync(join(tmpdir(), `holdwire-bench-${name}-`))
    this.#onStarted = onStarted
  }

  /** The whole path of it. */
  write(name: string, text: string): string {
    const path = join(this.folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }

  makeFolder(name: string): string {
    const path = join(this.folder, name)
    mkdirSync(path, { recursive: true })
    return path
  }

  /** Until the port is listened on. Its output goes nowhere. */
  async run(name: string, command: string, args: readonly string[], port: number, options: SpawnOptions = {}): Promise<ChildProcess> {
    const child = spawn(command, [...args], { cwd: this.folder, stdio: 'ignore', ...options })
    this.#processes.push({ name, child })
    if (child.pid !== undefined) this.#onStarted(child.pid)
    await untilReady(child, name, async () => (await connects(port)) || undefined)
    return child
  }

  /** With core NATS alone: no JetStream, no store. */
  async runNats(port: number): Promise<string> {
    await this.run('nats-server', programOf('nats-server', 'apt-get install nats-server'), ['-a', '127.0.0.1', '-p', String(port)], port)
    return `nats://127.0.0.1:${port}`
  }

  /** A script of `servers/`, with the flags that Holdwire's own processes have; collects garbage when it is asked to. */
  runScript(name: string, root: string, script: string, setup: unknown, port: number): Promise<ChildProcess> {
    const flags = ['--max-semi-space-size=8', '--expose-gc', '--import', join(root, 'bench', 'memory-probe.js')]
    const path = join(root, 'bench', 'lab', 'peers', 'servers', script)
    const options: SpawnOptions = { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }
    return this.run(name, process.execPath, [...flags, path, JSON.stringify(setup)], port, options)
  }

  /** Of all, with the processes that they have started themselves. */
  get processes(): readonly { readonly name: string; readonly pid: number }[] {
    return this.#processes.flatMap(({ name, child }) =>
      child.pid === undefined ? [] : [{ name, pid: child.pid }, ...descendants(child.pid)],
    )
  }

  /** Ends them in the reverse order, and whatever they have left behind. */
  async stop(): Promise<void> {
    const all = this.processes
    for (const { child } of [...this.#processes].reverse()) await stopped(child)
    for (const { name, pid } of all) {
      // The same process, not one that has its number since.
      if (commandOf(pid) === name) kill(pid)
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Starts a server in premises of its own, which are given up when that fails. */
export async function inPremises<T>(name: string, onStarted: (pid: number) => void, use: (premises: Premises) => Promise<T>): Promise<T> {
  const premises = new Premises(name, onStarted)
  try {
    return await use(premises)
  } catch (error) {
    await premises.stop()
    throw error
  }
}

/** Throws `NotInstalled`, which says how it would be installed: the bench itself installs nothing. */
export function programOf(name: string, install: string): string {
  const path = findProgram(name)
  if (path === undefined) throw new NotInstalled(`there is no ${name}; ${install}`)
  return path
}

/** Asks a process with the memory probe. */
export function collectGarbageOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer from the memory probe')), COLLECT_TIMEOUT_MS)
    child.once('message', (_: LiveMemory) => {
      clearTimeout(timer)
      resolve()
    })
    child.send('collect')
  })
}

function descendants(pid: number): { readonly name: string; readonly pid: number }[] {
  let children: string
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  } catch {
    // It has ended.
    return []
  }
  const pids = children
    .trim()
    .split(' ')
    .filter((one) => one !== '')
  return pids.flatMap((one) => [{ name: commandOf(Number(one)), pid: Number(one) }, ...descendants(Number(one))])
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has just ended.
  }
}

/** '': there is none. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}
