// One process at a time in a data directory: a lock file that names its owner, void when the owner is dead. Whether a
// process of another host (another container) lives can only be told from the lock being touched now and then.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Unsubscribe } from './bus.js'
import type { Clock } from './clock.js'

interface Owner {
  readonly pid: number
  readonly host: string
  /** Tells a process from a later one with the same id; empty where the system does not say. */
  readonly started: string
}

const TOUCH_MS = 3000
/** How long a lock of another host is watched. */
const WATCH_MS = 10_000

/** Directories this very process holds: after a restart in a container its own id may be in an old lock. */
const held = new Set<string>()

export class DirectoryLock {
  readonly #path: string
  readonly #stopTouching: Unsubscribe

  private constructor(path: string, clock: Clock, onError: (error: unknown, what: string) => void) {
    this.#path = path
    this.#stopTouching = clock.every(TOUCH_MS, () => {
      const now = new Date()
      utimes(path, now, now).catch((error: unknown) => onError(error, 'lock of the data directory'))
    })
  }

  /** Throws if a living process has the directory. Takes ten seconds if the last owner was on another host and is dead. */
  static async take(directory: string, clock: Clock, onError: (error: unknown, what: string) => void): Promise<DirectoryLock> {
    const path = join(directory, 'bus.lock')
    const self: Owner = { pid: process.pid, host: hostname(), started: startOf(process.pid) }
    for (let tries = 0; tries < 10; tries++) {
      if (await createdNew(path, JSON.stringify(self))) {
        held.add(path)
        return new DirectoryLock(path, clock, onError)
      }
      const text = await readFile(path, 'utf8').catch(absent)
      if (text === undefined) continue
      const owner = parseOwner(text)
      if (held.has(path) || (owner !== undefined && (await lives(owner, self, path, clock)))) {
        throw new Error(`${directory} is in use by process ${owner?.pid} on ${owner?.host} (${path})`)
      }
      await removeStale(path, text)
    }
    throw new Error(`${path} cannot be taken`)
  }

  async release(): Promise<void> {
    this.#stopTouching()
    if (held.delete(this.#path)) await rm(this.#path, { force: true })
  }
}

async function createdNew(path: string, text: string): Promise<boolean> {
  // Written beside and linked: nobody ever sees half a lock.
  const beside = `${path}.${randomBytes(6).toString('hex')}`
  await writeFile(beside, text, { mode: 0o600 })
  try {
    await link(beside, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await rm(beside, { force: true })
  }
}

/** Moves the lock away before removing it: two who found it stale must not remove each other's new one. */
async function removeStale(path: string, text: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  const moved = await rename(path, aside).then(() => true, absent)
  if (moved === undefined) return
  const grabbed = await readFile(aside, 'utf8')
  if (grabbed !== text) await createdNew(path, grabbed)
  await rm(aside, { force: true })
}

async function lives(owner: Owner, self: Owner, path: string, clock: Clock): Promise<boolean> {
  if (owner.host !== self.host) {
    const before = await stat(path).catch(absent)
    await new Promise<void>((resolve) => clock.after(WATCH_MS, resolve))
    const after = await stat(path).catch(absent)
    return after !== undefined && after.mtimeMs !== before?.mtimeMs
  }
  if (owner.pid === self.pid) return owner.started === self.started && self.started !== ''
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
  }
  return owner.started === startOf(owner.pid)
}

/** Boot and start time of a process, where /proc tells; empty elsewhere and for a dead one. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch (error) {
    if (codeOf(error) === undefined) throw error
    return ''
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    const { pid, host, started } = JSON.parse(text) as Partial<Owner>
    return typeof pid === 'number' && typeof host === 'string' && typeof started === 'string' ? { pid, host, started } : undefined
  } catch {
    return undefined
  }
}

function absent(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT') return undefined
  throw error
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
