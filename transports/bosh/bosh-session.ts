// A BOSH session: requests in the order of their rids, each answered once and the same again when it is repeated, and the
// streams that go over them (XEP-0124). Knows no socket, no timer and no bus.
//
//   open → ended{what its client is told when it asks} → gone

import type { Delivery } from '../../gateway/carrier.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import type { Session } from '../../gateway/session.js'
import type { Timed } from '../../gateway/wheel.js'
import type { Element } from '../../proto/xml/element.js'
import { parseStored } from '../../proto/xml/parse.js'
import type { Asker, AskerHolder, Origin } from './asker.js'
import { type Creation, type Request, readBody } from './attributes.js'
import type { BoshHost, OpenStream } from './bosh-host.js'
import type { BoshRecord, BoshSnapshot, BoshTerms, Notice } from './bosh-record.js'
import { BoshStream, type StreamOwner } from './bosh-stream.js'
import { additionAttributes, creationAttributes } from './creation.js'
import { KeySequence } from './key-sequence.js'
import { ParkedRequests } from './parked-requests.js'
import { PollPace } from './poll-pace.js'
import { Responder } from './responder.js'
import { attributeText, EMPTY_BODY, RECOVERABLE_BODY } from './response.js'
import { ResponseCache } from './response-cache.js'
import { RidWindow } from './rid-window.js'
import { deliver, StreamSet } from './stream-set.js'
import { type Condition, type Ending, endingWith, noticeOf, statusOf, terminateBytes } from './terminate.js'
import type { Waiting } from './waiting-requests.js'

type State =
  | { readonly kind: 'open' }
  | { readonly kind: 'ended'; readonly body: Uint8Array; readonly status: number; readonly untilMs: number }
  | { readonly kind: 'gone' }

/** Where a session begins that another node had before. */
interface Start {
  readonly last: number | undefined
  readonly keys: KeySequence
  readonly opened: number
  readonly notices: readonly Notice[]
}

/** An answer goes out a little before `wait` is over, because deadlines are looked at now and then only: by this part of it, and so much at the most. */
const WAIT_MARGIN = { part: 0.08, mostMs: 250 }
/** How long a polling client's request, and one that opens a stream, may wait for the answers to what came with it. */
const PATIENCE_MS = { poll: 300, opening: 2000 }
/**
 * A client may have no more than two connections although it asked for two requests to be held (stanza does): once it has spoken over
 * the second one it can't speak again until one of them is answered. So the first one is, after this long, unless the client has had
 * a third one open.
 */
const SPOKEN_MS = 200
/** How long a session that does not know the next rid waits for the lower ones: clients repeat what failed within some 100 ms. */
const GATHER_MS = 400
/** A client that had nothing open for this long was not there: the others ask again at once. */
const ABSENCE_MS = 300
/** Of requests that were had before, in a row. */
const REPEATS_LIMIT = 50
/** Responses kept beyond what may be open, while a client that acknowledges has not. */
const UNACKNOWLEDGED_LIMIT = 16

export class BoshSession implements StreamOwner, AskerHolder, Timed {
  readonly terms: BoshTerms
  scheduledAtMs = Number.POSITIVE_INFINITY
  readonly #host: BoshHost
  readonly #openStream: OpenStream
  #state: State = { kind: 'open' }
  #deadlineMs = Number.POSITIVE_INFINITY
  readonly #window: RidWindow
  readonly #keys: KeySequence
  readonly #pace: PollPace
  readonly #cache: ResponseCache
  readonly #streams: StreamSet
  readonly #responder: Responder
  readonly #parked = new ParkedRequests()
  /** After an adoption, until its requests are taken in the order of their rids. */
  #gatheringUntilMs: number | undefined
  /** Instead of `inactivity`, until the next request (§10). */
  #pauseMs: number | undefined = undefined
  /** The last pause: its response is not kept, but known. */
  #paused: { readonly rid: number; readonly key: string } | undefined = undefined
  #repeats = 0
  /** The most requests that were open at the same time. */
  #mostOpen = 0

  private constructor(host: BoshHost, terms: BoshTerms, openStream: OpenStream, { last, keys, opened, notices }: Start) {
    this.#host = host
    this.terms = terms
    this.#openStream = openStream
    this.#keys = keys
    const unacknowledged = terms.acks ? UNACKNOWLEDGED_LIMIT : 0
    this.#window = new RidWindow(terms.requests, last)
    this.#gatheringUntilMs = last === undefined ? host.now() + GATHER_MS : undefined
    this.#cache = new ResponseCache({ responses: terms.requests, unacknowledged, bytes: host.limits.cachedBytes })
    this.#pace = new PollPace(terms.pollingMs)
    this.#streams = new StreamSet(opened)
    const parts = { terms, window: this.#window, streams: this.#streams, cache: this.#cache, pace: this.#pace }
    this.#responder = new Responder({ ...parts, now: () => host.now(), sentBytes: (bytes) => host.sentBytes(bytes) }, notices)
  }

  /** A new one. The answer to `creation` tells its sid. */
  static create(host: BoshHost, terms: BoshTerms, openStream: OpenStream, creation: Creation, asker: Asker): BoshSession {
    const start = { last: creation.rid, keys: KeySequence.startingWith(creation.newKey), opened: 0, notices: [] }
    const session = new BoshSession(host, terms, openStream, start)
    session.#begin(creation, asker)
    return session
  }

  /** Goes on with one whose node has died: its rids and keys are taken from the next request. */
  static adopt(host: BoshHost, record: BoshRecord, openStream: OpenStream): BoshSession {
    const { terms, keyed, opened } = record
    const keys = new KeySequence(keyed ? { kind: 'unknown' } : { kind: 'none' })
    const session = new BoshSession(host, terms, openStream, { last: undefined, keys, opened, notices: [] })
    session.#reopen(record, {})
    return session
  }

  /** Goes on with one that another node gave up. */
  static restore(host: BoshHost, snapshot: BoshSnapshot, openStream: OpenStream): BoshSession {
    const { record, last, keys, responses, parked, elements, notices } = snapshot
    const { terms, opened } = record
    const start = { last: last === 0 ? undefined : last, keys: new KeySequence(keys), opened, notices }
    const session = new BoshSession(host, terms, openStream, start)
    for (const { body, ...response } of responses) session.#cache.add({ ...response, body: Buffer.from(body), stream: undefined, frame: 0 })
    for (const { body } of parked) {
      const source = parseStored(body)
      const request = readBody(source)
      const untilMs = Number.POSITIVE_INFINITY
      const sinceMs = host.now()
      const sizeBytes = body.length
      if (request.kind === 'request')
        session.#parked.add({ request, source, sizeBytes, asker: undefined, untilMs, sinceMs, afterAbsence: false })
    }
    session.#reopen(record, elements)
    return session
  }

  get deadlineMs(): number {
    return this.#deadlineMs
  }

  get sid(): string {
    return this.terms.sid
  }

  /** Its sid means something yet. */
  get isKnown(): boolean {
    return this.#state.kind !== 'gone'
  }

  get ip(): string {
    return this.terms.ip
  }

  get secure(): boolean {
    return this.terms.secure
  }

  /** The open streams. */
  get streams(): readonly BoshStream[] {
    return this.#streams.open
  }

  get record(): BoshRecord {
    const streams = this.streams.map(({ name, ordinal }) => ({ name, ordinal }))
    return { version: 1, terms: this.terms, keyed: this.#keys.state.kind !== 'none', opened: this.#streams.opened, streams }
  }

  // ---- from clients -----------------------------------------------------------------------------------------------

  /** `source`: the request as it came, of `sizeBytes` bytes. */
  receive(request: Request, source: Element, sizeBytes: number, origin: Origin, asker: Asker): void {
    if (this.#state.kind !== 'open') {
      this.#tellEnd(asker)
      return
    }
    // §19.1: ending the session would let anybody end it.
    if (this.terms.secure && !origin.secure) {
      asker.settle('drop')
      return
    }
    this.#pauseMs = undefined
    if (this.#gatheringUntilMs === undefined) this.#take(request, source, sizeBytes, asker)
    else {
      this.#park(request, source, sizeBytes, asker)
      if (this.#parked.size >= this.terms.requests) this.#gathered()
    }
    this.#responder.quietSinceMs = this.#host.now()
    this.#reschedule()
  }

  #take(request: Request, source: Element, sizeBytes: number, asker: Asker | undefined): void {
    switch (this.#window.place(request.rid, extraOf(request))) {
      case 'next':
        this.#process(request, asker)
        this.#goOn()
        break
      case 'earlier':
        this.#process(request, asker)
        break
      case 'seen':
        if (asker !== undefined) this.#repeat(request, asker)
        break
      case 'ahead':
        this.#park(request, source, sizeBytes, asker)
        break
      case 'beyond':
        if (this.#provesGap(request)) {
          this.#skipGap()
          // What was skipped to may have ended the session.
          if (this.#state.kind === 'open') this.#take(request, source, sizeBytes, asker)
          else if (asker !== undefined) this.#tellEnd(asker)
        } else this.#fail(asker, 'item-not-found', 'the rid is outside of the window')
        break
    }
  }

  /**
   * After the death of its node, the session does not know which rid is next: the requests that its client repeats were waited
   * for a little, and begin with the lowest.
   */
  #gathered(): void {
    this.#gatheringUntilMs = undefined
    for (const { request, source, sizeBytes, asker } of [...this.#parked.all].sort((a, b) => a.request.rid - b.request.rid)) {
      // Not there any more: one before it ended the session, or it came in its turn.
      if (this.#parked.take(request.rid) !== undefined) this.#take(request, source, sizeBytes, asker)
    }
  }

  /** What came for this session can't be read. */
  refuse(why: string, asker: Asker): void {
    if (this.#state.kind === 'open') this.#fail(asker, 'bad-request', why)
    else this.#tellEnd(asker)
  }

  askerGone(asker: Asker): void {
    if (this.#state.kind !== 'open') return
    this.#responder.quietSinceMs = this.#host.now()
    if (!this.#responder.lose(asker)) this.#parked.lose(asker)
    this.#reschedule()
  }

  // ---- from the wheel ---------------------------------------------------------------------------------------------

  tick(nowMs: number): void {
    const state = this.#state
    if (state.kind === 'ended' && nowMs >= state.untilMs) this.#vanish()
    if (state.kind !== 'open') return
    if (this.#gatheringUntilMs !== undefined && nowMs >= this.#gatheringUntilMs) this.#gathered()
    if (nowMs >= this.#gapUntilMs()) this.#skipGap()
    if (this.#state.kind !== 'open') return
    const due = this.#responder.waiting.due(nowMs)
    if (due !== undefined) this.#responder.respondUpTo(due)
    for (const parked of this.#parked.all) {
      const { asker, untilMs } = parked
      if (asker === undefined || untilMs > nowMs) continue
      // What was missing has not come: the client repeats it (§17.3). What is here is kept, in case it repeats only that.
      parked.asker = undefined
      this.#responder.quietSinceMs = nowMs
      this.#responder.settle(asker, RECOVERABLE_BODY)
    }
    if (this.#heldUntilMs() === Number.POSITIVE_INFINITY && nowMs >= this.#expiresAtMs()) this.#expire()
    else this.#reschedule()
  }

  // ---- between nodes ----------------------------------------------------------------------------------------------

  /**
   * Gives the session up for another node: held requests are answered, so that their clients come back there. What is in a
   * response counts as acknowledged: the responses go along. Undefined: there is nothing to go on with.
   */
  moveAway(): BoshSnapshot | undefined {
    if (this.#state.kind !== 'open') return undefined
    const { record } = this
    this.#responder.respondAll(true)
    const parked = this.#parked.all.map(({ request, source, asker }) => {
      this.#responder.settle(asker, RECOVERABLE_BODY, 200, true)
      return { rid: request.rid, body: source.toString() }
    })
    const elements: Record<string, readonly string[]> = {}
    for (const stream of this.streams) {
      elements[stream.name] = stream.elements
      stream.acknowledgeSent()
      stream.forsake()
    }
    this.#streams.clear()
    const responses = this.#cache.all.map(({ rid, key, body, atMs }) => ({ rid, key, body: Buffer.from(body).toString(), atMs }))
    this.#vanish()
    const { notices } = this.#responder
    return { record, last: this.#window.last ?? 0, keys: this.#keys.state, responses, parked, elements, notices }
  }

  /** Another node has it, having taken this one for dead: who waits here asks again, there. */
  lose(): void {
    if (this.#state.kind === 'gone') return
    const { streams } = this
    this.#streams.clear()
    this.#responder.dismiss((asker) => asker.settle('drop'))
    for (const { asker } of this.#parked.all) asker?.settle('drop')
    this.#vanish()
    for (const stream of streams) stream.abandon({ code: 'replaced', reason: 'the session goes on at another node' })
  }

  // ---- StreamOwner ------------------------------------------------------------------------------------------------

  offer(stream: BoshStream): boolean {
    if (this.#state.kind !== 'open') return false
    const more = this.#responder.offer(stream)
    this.#reschedule()
    return more
  }

  streamEnded(stream: BoshStream, ending: Ending, payload: string): void {
    if (this.#state.kind !== 'open' || !this.#streams.remove(stream)) return
    if (this.streams.length === 0) {
      this.#over(ending, payload)
      return
    }
    this.#host.changed(this)
    this.#responder.notify(noticeOf(ending, payload, stream.name))
    this.#reschedule()
  }

  streamBound(): void {
    if (this.#state.kind === 'open') this.#host.changed(this)
  }

  render(delivery: Delivery, session: Session): string {
    return this.#host.render(delivery, session)
  }

  // ---- taking requests --------------------------------------------------------------------------------------------

  #begin(creation: Creation, asker: Asker): void {
    const stream = this.#newStream()
    const { rid, to, from, language, payloads } = creation
    const untilMs = this.#host.now() + PATIENCE_MS.opening
    const attributes = creationAttributes(this.terms, creation, stream.name)
    const waiting = this.#hold({ rid, key: '', asker, untilMs, attributes, announces: stream, patient: true })
    this.#responder.cork()
    stream.begin(this.#openStream(stream, stream.name))
    stream.open({ to, from, language })
    deliver([stream], payloads, this.sid, rid)
    this.#responder.uncork()
    if (this.#state.kind !== 'open') return
    this.#host.changed(this)
    this.#answer(waiting, [stream])
    this.#reschedule()
  }

  #reopen({ streams }: BoshRecord, elements: Readonly<Record<string, readonly string[]>>): void {
    for (const { name, ordinal } of streams) {
      const stream = new BoshStream(this, name, ordinal, elements[name] ?? [])
      this.#streams.add(stream)
      stream.begin(this.#openStream(stream, name))
    }
    this.#reschedule()
  }

  /** The next in order, or one that came late. */
  #process(request: Request, asker: Asker | undefined): void {
    const { rid, key, restarts, language, from, to, payloads } = request
    // Before anything else is made of it (§15.4).
    const steps = rid - (this.#window.last ?? rid)
    const keys = this.#keys
    if (!(steps < 0 ? keys.acceptsEarlier(rid, key, request.newKey) : keys.accepts(rid, steps, key, request.newKey))) {
      this.#fail(asker, 'item-not-found', 'the key does not follow from the one before')
      return
    }
    this.#window.take(rid)
    this.#repeats = 0
    this.#acknowledge(request)
    if (request.terminates) {
      this.#terminate(request, asker)
      return
    }
    const isPlain = payloads.length === 0 && !restarts
    const isPoll = isPlain && to === '' && request.pause === undefined
    const adds = isPlain && to !== '' && request.stream === ''
    const targets = this.#streams.targets(request)
    if (this.terms.hold === 0 && !this.#pace.keeps(rid, isPoll, this.#host.now()))
      this.#fail(asker, 'policy-violation', 'polls more often than it may')
    else if (targets === undefined) this.#fail(asker, 'item-not-found', 'no such stream')
    else if (this.#mayPause(request)) this.#pause(request, targets, asker)
    else if (restarts && to !== '' && !this.#host.serves(to)) this.#fail(asker, 'host-unknown', 'no such domain')
    else {
      const added = adds ? this.#addStream(to) : undefined
      const waiting = this.#hold(this.#waitingOf(request, asker, added))
      this.#responder.cork()
      if (added instanceof BoshStream) added.open({ to, from, language })
      // A stanza in it is ignored (XEP-0206 §5).
      else if (restarts) for (const stream of targets) stream.open({ to: to || this.terms.domain, from, language })
      else deliver(targets, payloads, this.sid, rid)
      this.#responder.uncork()
      if (this.#state.kind !== 'open') return
      this.#answer(waiting, added instanceof BoshStream ? [added] : targets)
      if (!isPlain) this.#giveBack()
    }
  }

  /** See SPOKEN_MS. */
  #giveBack(): void {
    const { waiting } = this.#responder
    const { oldestLive, live } = waiting
    if (oldestLive === undefined || live !== 2 || this.terms.hold !== 2 || this.#mostOpen > 2) return
    oldestLive.untilMs = Math.min(oldestLive.untilMs, this.#host.now() + SPOKEN_MS)
  }

  /** Requests that waited for the one before them. */
  #goOn(): void {
    while (this.#state.kind === 'open') {
      const parked = this.#parked.take((this.#window.last ?? 0) + 1)
      if (parked === undefined) return
      this.#process(parked.request, parked.asker)
    }
  }

  /**
   * What is missing does not come: a page that is left takes with it what its browser has not sent yet, and the next page
   * (strophe's `keepalive`) counts on. Should it come after all, it is taken late, once. A client that acknowledges would be told
   * that it had been taken (§9.1), so there the gap stays.
   */
  #skipGap(): void {
    const { first } = this.#parked
    if (first === undefined) return
    this.#parked.take(first.request.rid)
    this.#process(first.request, first.asker)
    this.#goOn()
  }

  /**
   * After the client was away, this is more than §14.2 has in its window, but with it all requests that may be open are here, and
   * none is the missing one, which therefore is not on its way.
   */
  #provesGap(request: Request): boolean {
    const { first } = this.#parked
    const { requests } = this.terms
    if (first?.afterAbsence !== true || !this.#mayHaveGaps || this.#responder.waiting.live > 0) return false
    return this.#parked.live + 1 >= requests && request.rid < first.request.rid + requests + extraOf(request)
  }

  /** As if its page had been left: a request was cut off and has not been repeated, or there has been none for a while. */
  get #isAway(): boolean {
    const { waiting, quietSinceMs } = this.#responder
    if (waiting.live > 0 || this.#parked.live > 0) return false
    return waiting.size > 0 || this.#host.now() - quietSinceMs >= ABSENCE_MS
  }

  /** Had before: the same answer again, or its answer over the new connection (§14.3). */
  #repeat({ rid, key }: Request, asker: Asker): void {
    const waiting = this.#responder.waiting.get(rid)
    const answered = waiting === undefined ? this.#cache.get(rid) : undefined
    const first = waiting ?? answered ?? (this.#paused?.rid === rid ? this.#paused : undefined)
    if (first === undefined) this.#fail(asker, 'item-not-found', 'what was answered then is not known any more')
    else if (!this.#keys.matches(key, first.key)) this.#fail(asker, 'item-not-found', 'the key is not that of the first time')
    else if (++this.#repeats > REPEATS_LIMIT) this.#fail(asker, 'policy-violation', 'asks for the same again and again')
    else if (waiting === undefined) this.#responder.settle(asker, answered?.body ?? EMPTY_BODY)
    else {
      asker.holder = this
      this.#responder.replace(waiting, asker, this.#untilMs(waiting.patient ? PATIENCE_MS.poll : undefined))
    }
  }

  /** Too early: it waits for those before it. */
  #park(request: Request, source: Element, sizeBytes: number, asker: Asker | undefined): void {
    const untilMs = this.#untilMs(this.terms.hold === 0 ? PATIENCE_MS.opening : undefined)
    const parked = this.#parked.get(request.rid)
    const open = this.#responder.waiting.live + this.#parked.size + 1
    if (parked !== undefined) {
      if (this.#keys.matches(request.key, parked.request.key)) {
        const { asker: before } = parked
        if (asker !== undefined) asker.holder = this
        parked.asker = asker
        parked.untilMs = untilMs
        this.#responder.settle(before, RECOVERABLE_BODY)
      } else this.#fail(asker, 'item-not-found', 'the key is not that of the first time')
    } else if (open > this.terms.requests + extraOf(request)) this.#fail(asker, 'policy-violation', 'more requests at once than agreed')
    else if (this.#parked.bytes + sizeBytes > this.#host.limits.parkedBytes)
      this.#fail(asker, 'policy-violation', 'too much in requests before their turn')
    else {
      if (asker !== undefined) asker.holder = this
      this.#parked.add({ request, source, sizeBytes, asker, untilMs, sinceMs: this.#host.now(), afterAbsence: this.#isAway })
    }
  }

  /** §9.2, or what follows from the number of requests that may be open. */
  #acknowledge(request: Request): void {
    const { acks, requests } = this.terms
    const { newest } = this.#cache
    const ack = acks ? request.ack : undefined
    if (ack !== undefined) {
      this.#cache.acknowledge(Math.min(ack, newest))
      const missing = ack < newest ? this.#cache.get(ack + 1) : undefined
      if (missing !== undefined) this.#responder.report(missing)
      return
    }
    // A client that acknowledges says by not doing so that it has everything; not so if something of its was not even answered.
    const hasAll = acks && this.#responder.waiting.size === 0
    this.#cache.acknowledge(hasAll ? Math.min(newest, request.rid - 1) : request.rid - requests - extraOf(request))
  }

  #waitingOf({ rid, key, payloads }: Request, asker: Asker | undefined, added: BoshStream | string | undefined): Waiting {
    const announces = added instanceof BoshStream ? added : undefined
    const attributes = added === undefined ? '' : typeof added === 'string' ? added : additionAttributes(this.terms, added.name)
    const patient = announces !== undefined || (this.terms.hold === 0 && payloads.length > 0)
    const patienceMs = announces !== undefined ? PATIENCE_MS.opening : patient ? PATIENCE_MS.poll : undefined
    // One that could not be opened: there is nothing to wait for.
    const untilMs = typeof added === 'string' ? this.#host.now() : this.#untilMs(patienceMs)
    return { rid, key, asker, untilMs, attributes, announces, patient }
  }

  #hold(waiting: Waiting): Waiting {
    if (waiting.asker !== undefined) waiting.asker.holder = this
    this.#responder.waiting.add(waiting)
    this.#mostOpen = Math.max(this.#mostOpen, this.#responder.waiting.live)
    return waiting
  }

  #answer(waiting: Waiting, streams: readonly BoshStream[]): void {
    this.#responder.answer(waiting)
    if (!waiting.patient || !this.#responder.waiting.has(waiting)) return
    // When everything that came so far has been answered there is nothing to wait for.
    Promise.all(streams.map((stream) => stream.idle()))
      .catch((error) => this.#host.onError(error, 'waiting for the answers of a stream'))
      .then(() => {
        if (this.#state.kind !== 'open') return
        this.#responder.offerAll()
        this.#responder.respondUpTo(waiting)
        this.#reschedule()
      })
      .catch((error) => this.#host.onError(error, 'answering a BOSH request'))
  }

  // ---- streams ----------------------------------------------------------------------------------------------------

  #newStream(): BoshStream {
    const stream = new BoshStream(this, this.#host.newStreamName(), this.#streams.count())
    this.#streams.add(stream)
    return stream
  }

  /** §16.3. A text: attributes of the response, which say why it can not be. */
  #addStream(to: string): BoshStream | string {
    const full = this.streams.length >= this.#host.limits.streams
    if (full || !this.#host.serves(to)) {
      const condition: Condition = full ? 'policy-violation' : 'host-unknown'
      return attributeText({ type: 'terminate', condition, stream: this.#host.newStreamName() })
    }
    const stream = this.#newStream()
    stream.begin(this.#openStream(stream, stream.name))
    this.#host.changed(this)
    return stream
  }

  // ---- pauses and ends --------------------------------------------------------------------------------------------

  #mayPause({ pause }: Request): boolean {
    const { maxPauseMs } = this.terms
    return pause !== undefined && maxPauseMs > 0 && pause * 1000 <= maxPauseMs
  }

  /** §10: everything is answered at once, without payloads; those of the request are taken. */
  #pause({ rid, key, pause = 0, payloads }: Request, targets: readonly BoshStream[], asker: Asker | undefined): void {
    this.#responder.respondAll()
    this.#paused = { rid, key }
    this.#pauseMs = Math.max(1, pause) * 1000
    this.#responder.settle(asker, EMPTY_BODY)
    this.#responder.quietSinceMs = this.#host.now()
    deliver(targets, payloads, this.sid, rid)
  }

  /** §13, and §16.5 for one stream of several. */
  #terminate({ stream: name, payloads, rid, key }: Request, asker: Asker | undefined): void {
    const targets = this.#streams.named(name)
    if (targets === undefined) {
      this.#fail(asker, 'item-not-found', 'no such stream')
      return
    }
    this.#hold({ rid, key, asker, untilMs: this.#host.now(), attributes: '', announces: undefined, patient: false })
    this.#responder.cork()
    deliver(targets, payloads, this.sid, rid)
    this.#responder.uncork()
    if (this.#state.kind !== 'open') return
    for (const stream of targets) stream.acknowledgeSent()
    const reason: CloseReason = { code: 'done', reason: 'the client ended it' }
    const ending: Ending = { condition: '', child: '', reason }
    if (targets.length === this.streams.length) {
      this.#leave(reason, (stream) => stream.close())
      this.#tellAll(terminateBytes(ending), EMPTY_BODY, 200, false)
      this.#vanish()
      return
    }
    for (const stream of targets) {
      this.#streams.remove(stream)
      stream.close()
      this.#responder.notify(noticeOf(ending, '', stream.name))
    }
    this.#host.changed(this)
    this.#responder.respondAll()
  }

  /** The client has broken the rules. */
  #fail(asker: Asker | undefined, condition: Condition, why: string): void {
    const ending = endingWith(condition, why)
    this.#host.refused(ending.reason)
    this.#leave(ending.reason, (stream) => stream.abandon(ending.reason))
    const other = terminateBytes(endingWith('other-request', 'another request ended the session'))
    this.#tellAll(other, other, 200, false)
    this.#responder.settle(asker, terminateBytes(ending), statusOf(condition, this.terms.legacy))
    this.#vanish()
  }

  /** The last stream has ended, not by the client. */
  #over(ending: Ending, payload: string): void {
    const body = terminateBytes(ending, payload)
    const others = payload === '' ? body : terminateBytes(ending)
    const status = statusOf(ending.condition, this.terms.legacy)
    const untilMs = this.#host.now() + this.terms.inactivityMs
    this.#leave(ending.reason, () => {})
    if (this.#tellAll(body, others, status, ending.condition === 'system-shutdown')) {
      this.#vanish()
      return
    }
    this.#state = { kind: 'ended', body, status, untilMs }
    this.#deadlineMs = untilMs
    this.#host.schedule(this)
  }

  /** The client does not come any more (§10). */
  #expire(): void {
    const reason: CloseReason = { code: 'unknown_session', reason: 'the client did not come back', cause: 'expired' }
    this.#leave(reason, (stream) => stream.abandon(reason))
    this.#vanish()
  }

  /** Nothing is taken from here on; the caller answers what is held. */
  #leave(reason: CloseReason, each: (stream: BoshStream) => void): void {
    this.#state = { kind: 'gone' }
    const { streams } = this
    this.#streams.clear()
    for (const stream of streams) each(stream)
    this.#host.ended(this, reason)
  }

  /** Answers everything that is open: the oldest with `first`. False: there was nobody to tell. */
  #tellAll(first: Uint8Array, others: Uint8Array, status: number, close: boolean): boolean {
    let told = false
    const tell = (asker: Asker): void => {
      this.#responder.settle(asker, told ? others : first, status, close)
      told = true
    }
    this.#responder.dismiss(tell)
    for (const { request, asker } of this.#parked.all) {
      this.#parked.take(request.rid)
      if (asker !== undefined && !asker.gone) tell(asker)
    }
    return told
  }

  /** To who asks after the end: once why, then that there is no such session. */
  #tellEnd(asker: Asker): void {
    const state = this.#state
    if (state.kind === 'ended') this.#responder.settle(asker, state.body, state.status)
    else {
      const status = statusOf('item-not-found', this.terms.legacy)
      this.#responder.settle(asker, terminateBytes(endingWith('item-not-found', 'no such session')), status)
    }
    this.#vanish()
  }

  #vanish(): void {
    this.#state = { kind: 'gone' }
    this.#deadlineMs = Number.POSITIVE_INFINITY
    this.#host.forget(this)
  }

  // ---- time -------------------------------------------------------------------------------------------------------

  #untilMs(patienceMs: number | undefined): number {
    return this.#host.now() + (patienceMs ?? waitWithMargin(this.terms.waitMs))
  }

  /** When something that is held has to be answered; Infinity: nobody waits for an answer. */
  #heldUntilMs(): number {
    return Math.min(this.#responder.waiting.deadlineMs, this.#parked.deadlineMs)
  }

  /** When the client has been silent for too long, unless something is held. */
  #expiresAtMs(): number {
    return this.#responder.quietSinceMs + (this.#pauseMs ?? this.terms.inactivityMs)
  }

  /** When the requests that are missing before a parked one are given up; Infinity: nothing is missing, or it is waited for. */
  #gapUntilMs(): number {
    if (this.#parked.size === 0 || !this.#mayHaveGaps) return Number.POSITIVE_INFINITY
    return (this.#parked.first?.sinceMs ?? 0) + this.#host.limits.gapMs
  }

  /** See #skipGap. */
  get #mayHaveGaps(): boolean {
    return !this.terms.acks && this.#host.limits.gapMs > 0 && this.#gatheringUntilMs === undefined
  }

  #reschedule(): void {
    if (this.#state.kind !== 'open') return
    const heldUntilMs = this.#heldUntilMs()
    const answerAtMs = heldUntilMs === Number.POSITIVE_INFINITY ? this.#expiresAtMs() : heldUntilMs
    this.#deadlineMs = Math.min(answerAtMs, this.#gapUntilMs(), this.#gatheringUntilMs ?? Number.POSITIVE_INFINITY)
    if (this.#deadlineMs < this.scheduledAtMs) this.#host.schedule(this)
  }
}

/** One more request may be open for these (§11). */
function extraOf({ pause, terminates }: Request): 0 | 1 {
  return terminates || pause !== undefined ? 1 : 0
}

function waitWithMargin(waitMs: number): number {
  return waitMs - Math.min(waitMs * WAIT_MARGIN.part, WAIT_MARGIN.mostMs)
}
