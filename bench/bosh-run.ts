// One measurement over BOSH sessions: starts cycles, at their times or as fast as they come back, and counts exactly what does.

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { markOf, scanMarks } from './bosh-mark.js'
import type { BoshRunOrder } from './bosh-orders.js'
import type { Tally } from './tally.js'

export interface CycleSession {
  readonly index: number
  /** False: not at the moment. */
  cycle(payload: string): boolean
}

/** What outlives a run: the numbers of the stanzas, and what came of them. All by session. */
export interface Ledger {
  /** The last number that was sent to each. */
  readonly numbers: Uint32Array
  readonly tally: Tally
}

const ERROR = Buffer.from('<error')

export class BoshRun {
  readonly #order: BoshRunOrder
  readonly #sessions: readonly CycleSession[]
  readonly #ledger: Ledger
  readonly #addresses: readonly string[]
  readonly #filler: string
  readonly #startUs: number
  readonly #endUs: number
  /** When the cycle of each session that has one under way was meant to start; 0: it has none. For empty ones, which carry nothing. */
  readonly #pending: Float64Array
  readonly #late: RecordableHistogram = createHistogram({ lowest: 1, highest: 600_000_000, figures: 3 })
  #turn = 0
  #started = 0
  #completed = 0
  #strayed = 0
  #answers = 0
  #lastUs: number

  /** `addresses`: the full JIDs of the sessions. */
  constructor(order: BoshRunOrder, sessions: readonly CycleSession[], addresses: readonly string[], ledger: Ledger, nowUs: number) {
    this.#order = order
    this.#sessions = sessions
    this.#ledger = ledger
    this.#addresses = addresses
    this.#filler = 'x'.repeat(order.sizeBytes)
    this.#startUs = nowUs
    this.#endUs = nowUs + order.seconds * 1_000_000
    this.#lastUs = nowUs
    this.#pending = new Float64Array(sessions.length)
  }

  /** Nothing more will be started. */
  isSpent(nowUs: number): boolean {
    const { rate, seconds } = this.#order
    return rate === undefined ? nowUs >= this.#endUs : this.#started >= Math.round(rate * seconds)
  }

  get underWay(): number {
    return this.#started - this.#completed
  }

  /** When the next one is due; only with a rate. */
  get nextDueUs(): number {
    return this.#startUs + Math.round((this.#started * 1_000_000) / (this.#order.rate ?? 1))
  }

  /** Starts what is due. A late one counts from when it was due; one that finds no session free waits for its turn. */
  pump(nowUs: number): void {
    if (this.#order.rate === undefined) {
      while (!this.isSpent(nowUs) && this.underWay < this.#order.window && this.#startOne(nowUs)) {}
      return
    }
    while (!this.isSpent(nowUs) && this.nextDueUs <= nowUs) {
      const dueUs = this.nextDueUs
      if (!this.#startOne(dueUs)) return
      this.#late.record(Math.max(1, nowUs - dueUs))
    }
  }

  answered(index: number, body: Buffer, released: boolean, nowUs: number): void {
    this.#answers++
    if (this.#order.cycle !== 'empty') {
      const isError = body.includes(ERROR)
      scanMarks(body, (from, k, intendedUs) => this.#take(index, isError ? -1 : from, k, intendedUs, nowUs))
      return
    }
    const intendedUs = this.#pending[index] ?? 0
    if (!released || intendedUs === 0) return
    this.#pending[index] = 0
    this.#complete(index, this.#ledger.numbers[index] ?? 0, intendedUs, nowUs)
  }

  get figures() {
    return {
      started: this.#started,
      completed: this.#completed,
      strayed: this.#strayed,
      answers: this.#answers,
      seconds: (this.#lastUs - this.#startUs) / 1_000_000,
      lateP99Us: this.#late.count === 0 ? 0 : this.#late.percentile(99),
    }
  }

  /** In turns, so that all sessions are used alike. */
  #startOne(intendedUs: number): boolean {
    const count = this.#sessions.length
    for (let tries = 0; tries < count; tries++) {
      const session = this.#sessions[this.#turn]
      this.#turn = (this.#turn + 1) % count
      if (session !== undefined && this.#startOn(session, intendedUs)) return true
    }
    return false
  }

  #startOn(session: CycleSession, intendedUs: number): boolean {
    const { cycle, ephemeral } = this.#order
    const { index } = session
    const to = this.#peerOf(index)
    const k = (this.#ledger.numbers[to] ?? 0) + 1
    const payload =
      cycle === 'empty' ? '' : payloadOf(cycle, markOf(index, k, intendedUs), this.#addresses[to] ?? '', this.#filler, ephemeral)
    if (!session.cycle(payload)) return false
    this.#ledger.numbers[to] = k
    this.#started++
    if (cycle === 'empty') this.#pending[index] = intendedUs
    return true
  }

  #peerOf(index: number): number {
    return this.#order.cycle === 'message' ? partnerOf(index, this.#sessions.length) : index
  }

  #take(index: number, from: number, k: number, intendedUs: number, nowUs: number): void {
    if (from === this.#peerOf(index)) this.#complete(index, k, intendedUs, nowUs)
    else this.#strayed++
  }

  #complete(index: number, k: number, intendedUs: number, nowUs: number): void {
    this.#completed++
    this.#lastUs = nowUs
    this.#ledger.tally.take(index, k, nowUs - intendedUs)
  }
}

/**
 * Who gets the messages of whom: half the sessions away, so that nobody who sends has just polled for a message that came. Two
 * requests right after each other, on two connections, come in any order; ejabberd 23.01 then may forget the second.
 */
export function partnerOf(index: number, sessions: number): number {
  return (index + sessions / 2) % sessions
}

function payloadOf(cycle: 'message' | 'ping', mark: string, to: string, filler: string, ephemeral: boolean): string {
  if (cycle === 'ping') {
    const domain = to.slice(to.indexOf('@') + 1, to.indexOf('/'))
    return `<iq xmlns='jabber:client' type='get' to='${domain}' id='${mark}'><ping xmlns='urn:xmpp:ping'/></iq>`
  }
  const hint = ephemeral ? "<no-store xmlns='urn:xmpp:hints'/>" : ''
  return `<message xmlns='jabber:client' type='chat' to='${to}' id='${mark}'><body>${filler}</body>${hint}</message>`
}
