// What a conformance case works with: the server under test, fresh accounts, a transcript for the report, and an end for everything.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

/** Things that an engine or a server is known not to be able to do; cases that need them are skipped with the reason. */
export type Ability = 'pipelining' | 'http10' | 'http-parsing' | 'absolute-form' | 'masking'

/** The server under test, on loopback. */
export interface Target {
  readonly host: string
  readonly httpPort: number
  readonly boshPath: string
  readonly wsPath: string
  readonly domain: string
  createAccount(user: string, password: string): Promise<void>
  /** Why it lacks what. */
  readonly lacks: Partial<Record<Ability, string>>
  /** Larger ones make cases that wait for a session to expire skip. */
  readonly inactivitySeconds: number
}

export interface Account {
  readonly user: string
  readonly password: string
  readonly bare: string
}

interface Destroyable {
  destroy(): void
}

export class Skip extends Error {}

let accounts = 0
const run = randomBytes(3).toString('hex')

export class Context {
  readonly target: Target
  readonly transcript: string[] = []
  readonly #kept: Destroyable[] = []
  readonly #startMs = performance.now()

  constructor(target: Target) {
    this.target = target
  }

  async account(): Promise<Account> {
    const user = `box${run}${accounts++}`
    const password = `pw-${user}`
    await this.target.createAccount(user, password)
    return { user, password, bare: `${user}@${this.target.domain}` }
  }

  /** Destroyed at the end of the case. */
  keep<T extends Destroyable>(thing: T): T {
    this.#kept.push(thing)
    return thing
  }

  note(line: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(2)
    if (this.transcript.length < 200)
      this.transcript.push(`${seconds} ${line.length > 900 ? `${line.slice(0, 900)}… (${line.length})` : line}`)
  }

  skip(reason: string): never {
    throw new Skip(reason)
  }

  /** For what happens without anything to wait for: a request on its way to the server, time limits of the protocol. */
  async pause(ms: number): Promise<void> {
    await sleep(ms)
  }

  end(): void {
    for (const thing of this.#kept) thing.destroy()
  }
}
