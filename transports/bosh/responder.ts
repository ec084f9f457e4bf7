// The answering side of a BOSH session: the requests it holds, what goes into their responses, and those it has given. Streams
// have nowhere else to write: as long as no request is held they are told so, and frames wait in their sessions' outboxes.

import type { Asker } from './asker.js'
import type { BoshTerms, Notice } from './bosh-record.js'
import type { BoshStream } from './bosh-stream.js'
import type { PollPace } from './poll-pace.js'
import { attributeText, bodyBytes, RECOVERABLE_BODY } from './response.js'
import type { Response, ResponseCache } from './response-cache.js'
import type { RidWindow } from './rid-window.js'
import type { StreamSet } from './stream-set.js'
import { type Waiting, WaitingRequests } from './waiting-requests.js'

export interface ResponderOptions {
  readonly terms: BoshTerms
  readonly window: RidWindow
  readonly streams: StreamSet
  readonly cache: ResponseCache
  readonly pace: PollPace
  now(): number
  sentBytes(bytes: number): void
}

/** `time` is a short in the schema. */
const TIME_LIMIT_MS = 65_535

export class Responder {
  readonly waiting = new WaitingRequests()
  readonly #options: ResponderOptions
  /** Responses of their own, which say that a stream has ended. */
  #notices: Notice[] = []
  /** A request is being taken: what streams answer at once goes out together, afterwards. */
  #corked = false
  /** A response that the client says it is missing (§9.2): the next one tells. */
  #report: Response | undefined = undefined
  /** Since when nothing is held; meaningless while something is. */
  quietSinceMs: number

  constructor(options: ResponderOptions, notices: readonly Notice[]) {
    this.#options = options
    this.#notices.push(...notices)
    this.quietSinceMs = options.now()
  }

  get notices(): readonly Notice[] {
    return this.#notices
  }

  cork(): void {
    this.#corked = true
  }

  uncork(): void {
    this.#corked = false
  }

  notify(notice: Notice): void {
    this.#notices.push(notice)
    if (!this.#corked) this.#sendNotices()
  }

  report(response: Response): void {
    this.#report = response
  }

  /** Answers requests with what the stream has. True: more would find a request too. */
  offer(stream: BoshStream): boolean {
    if (this.#corked) return false
    this.#sendNotices()
    while (stream.hasPayload) {
      const waiting = this.waiting.oldestLive
      if (waiting === undefined) return false
      // What a response says of one stream is not to be read as said of another one's payloads.
      if (waiting.attributes !== '' && waiting.announces !== stream) {
        this.respondUpTo(waiting)
        continue
      }
      this.#skipGone(waiting)
      const { text, frame } = stream.take()
      this.#respond(waiting, text, stream, frame)
    }
    return this.waiting.oldestLive !== undefined
  }

  /** Whoever has something gets the requests there are, in turn. */
  offerAll(): void {
    this.#sendNotices()
    const { streams } = this.#options
    for (const stream of streams.open) {
      if (this.waiting.oldestLive === undefined) return
      if (stream.hasPayload) this.offer(stream)
      if (this.waiting.oldestLive === undefined) return
      stream.drain()
      streams.moveToEnd(stream)
    }
  }

  /** `waiting` has come: what waits goes out, and no more requests are held than may be. */
  answer(waiting: Waiting): void {
    const { hold, requests } = this.#options.terms
    // Late, after an adoption: the client reads its response before those that were given already.
    if (waiting.rid < this.#options.cache.newest) this.respondUpTo(waiting)
    this.offerAll()
    const most = waiting.patient && this.waiting.has(waiting) ? Math.max(1, hold) : hold
    while (this.waiting.live > most || this.waiting.size > requests) this.#respondOldest()
    const reporting = this.#report === undefined ? undefined : this.waiting.oldestLive
    if (reporting !== undefined) this.respondUpTo(reporting)
    if (waiting.untilMs <= this.#options.now()) this.respondUpTo(waiting)
  }

  /** Empty, or with what it announces; those before it too. */
  respondUpTo(waiting: Waiting): void {
    while (this.waiting.has(waiting)) this.#respondOldest()
  }

  /** `close`: their clients should come back to another node. */
  respondAll(close = false): void {
    while (this.waiting.size > 0) this.#respondOldest(close)
  }

  /** The same request over another connection: the old one is told to repeat, the new one will get the answer. */
  replace(waiting: Waiting, asker: Asker, untilMs: number): void {
    const { asker: before } = waiting
    waiting.asker = asker
    waiting.untilMs = untilMs
    this.settle(before, RECOVERABLE_BODY)
    this.answer(waiting)
  }

  settle(asker: Asker | undefined, body: Uint8Array, status = 200, close = false): void {
    if (asker === undefined) return
    asker.holder = undefined
    if (asker.gone) return
    const { terms } = this.#options
    this.#options.sentBytes(body.length)
    asker.settle({ status, contentType: terms.contentType, body, close })
  }

  /** The client of one of these has gone. False: of none. */
  lose(asker: Asker): boolean {
    if (!this.waiting.lose(asker)) return false
    this.#congestIfQuiet()
    return true
  }

  /** The session has ended: nothing is kept of these any more. They are given to `each`, in order. */
  dismiss(each: (asker: Asker) => void): void {
    for (let oldest = this.waiting.oldest; oldest !== undefined; oldest = this.waiting.oldest) {
      this.waiting.remove(oldest)
      if (oldest.asker !== undefined && !oldest.asker.gone) each(oldest.asker)
    }
  }

  #sendNotices(): void {
    while (this.#notices.length > 0) {
      const waiting = this.waiting.oldestLive
      if (waiting === undefined) return
      if (waiting.attributes !== '') this.respondUpTo(waiting)
      else {
        this.#skipGone(waiting)
        const notice = this.#notices.shift()
        if (notice !== undefined) this.#respond({ ...waiting, attributes: notice.attributes, announces: undefined }, notice.payload)
      }
    }
  }

  #respondOldest(close = false): void {
    const { oldest } = this.waiting
    if (oldest !== undefined) this.#respond(oldest, '', undefined, 0, close)
  }

  /** Those before it whose clients have gone: were they to come back, they would find an empty answer. */
  #skipGone(waiting: Waiting): void {
    while (this.waiting.oldest !== undefined && this.waiting.oldest.rid < waiting.rid) this.#respondOldest()
  }

  /** `frame`: the last one that `text` has of `stream`. */
  #respond(waiting: Waiting, text: string, stream?: BoshStream, frame = 0, close = false): void {
    const { window, streams, cache, pace, now } = this.#options
    const { rid, key, asker } = waiting
    this.waiting.remove(waiting)
    const atMs = now()
    let { attributes } = waiting
    if (text !== '' && stream !== undefined && waiting.announces === undefined && streams.opened > 1)
      attributes += attributeText({ stream: stream.name })
    // §9.1
    if (window.last !== undefined && window.last > rid) attributes += ` ack='${window.last}'`
    if (this.#report !== undefined) {
      attributes += attributeText({ report: this.#report.rid, time: Math.min(atMs - this.#report.atMs, TIME_LIMIT_MS) })
      this.#report = undefined
    }
    const body = bodyBytes(attributes, text)
    cache.add({ rid, key, body, atMs, stream, frame })
    this.quietSinceMs = atMs
    if (text !== '') pace.carried(rid)
    this.settle(asker, body, 200, close)
    this.#congestIfQuiet()
  }

  #congestIfQuiet(): void {
    if (this.waiting.oldestLive === undefined) for (const stream of this.#options.streams.open) stream.congest()
  }
}
