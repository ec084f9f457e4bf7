// XMPP streams before their session: features, SASL and resource binding (RFC 6120 §4.3, §6, §7).
//
// Nothing is kept here: what has to be known of a stream goes to the gateway as its context and comes back with the next
// request, to this worker or to another one. Gateways are trusted; their clients never see a context.

import { randomBytes } from 'node:crypto'
import type { Bucket, Bus } from '../../bus/bus.js'
import type { Clock } from '../../bus/clock.js'
import { v1 } from '../../proto/messages.js'
import { Element } from '../../proto/xml/element.js'
import { parseJid } from '../../proto/xml/jid.js'
import { BIND_NS, CLIENT_NS, CSI_NS, SASL_NS, SESSION_NS, SM_NS, STANZA_ERRORS_NS, STREAMS_NS } from '../../proto/xml/namespaces.js'
import { parseXml } from '../../proto/xml/parse.js'
import { errorStanza, StanzaError } from '../../proto/xml/stanza-error.js'
import type { Observe } from '../frames.js'
import { bind, isBind } from './bind.js'
import type { Identity } from './sasl/mechanism.js'
import { type Exchange, Mechanisms, type SaslLimits } from './sasl/mechanisms.js'
import type { VerifyToken } from './sasl/tokens.js'

export interface StreamLimits extends SaslLimits {
  /** Failed attempts to authenticate, after which a stream ends. */
  readonly failuresPerStream: number
}

export const DEFAULT_STREAM_LIMITS: StreamLimits = {
  failuresPerStream: 5,
  failuresPerUserAndIp: 30,
  failuresPerIp: 3000,
  failureWindowMs: 60_000,
  failureWindows: 50_000,
  hashes: 64,
}

export interface StreamsOptions {
  readonly bus: Bus
  /** The bucket `accounts`. */
  readonly accounts: Bucket
  readonly domain: string
  /** `auth: dev`: users without an account have any password. */
  readonly dev: boolean
  /** ANONYMOUS is offered. */
  readonly anonymous: boolean
  /** Undefined: there are no tokens. */
  readonly verifyToken: VerifyToken | undefined
  readonly clock: Clock
  readonly limits: StreamLimits
  /** So many bytes that can't be foreseen; for tests. */
  random?(bytes: number): Uint8Array
  readonly observe: Observe
  /** Bugs. */
  onError(error: unknown): void
}

/** What the context says: how far the stream is. */
type Phase =
  | { readonly kind: 'unauthenticated'; readonly failures: number; readonly exchange?: Exchange }
  /** The client has to restart the stream. */
  | { readonly kind: 'authenticated'; readonly identity: Identity }
  /** It has, and may bind. */
  | { readonly kind: 'restarted'; readonly identity: Identity }

interface Answer {
  readonly phase: Phase
  readonly elements?: readonly Element[]
  readonly bound?: v1.StreamBound.$Properties
  readonly streamError?: string
  readonly errorText?: string
  /** Condition of a SASL failure. */
  readonly failure?: string
}

const START: Phase = { kind: 'unauthenticated', failures: 0 }
const STANZAS = new Set(['message', 'presence', 'iq'])

export class Streams {
  readonly #options: StreamsOptions
  readonly #domain: string
  readonly #random: (bytes: number) => Uint8Array
  readonly #mechanisms: Mechanisms

  constructor(options: StreamsOptions) {
    this.#options = options
    this.#domain = options.domain.toLowerCase()
    this.#random = options.random ?? randomBytes
    this.#mechanisms = new Mechanisms({ ...options, domain: this.#domain, random: this.#random })
  }

  /** Of an encoded StreamRequest, an encoded StreamReply. Rejects only when it is no request. */
  async answer(data: Uint8Array): Promise<Uint8Array> {
    const startedAt = performance.now()
    const answer = await this.#answer(v1.StreamRequest.decode(data))
    const { failure, streamError = 'done' } = answer
    this.#options.observe('stream', (performance.now() - startedAt) / 1000, failure ?? streamError)
    return encode(answer)
  }

  async #answer({ context, element, open, ip }: v1.StreamRequest): Promise<Answer> {
    let phase = START
    try {
      if (context.length > 0) phase = JSON.parse(Buffer.from(context).toString()) as Phase
      if (open != null) return this.#open(phase, v1.StreamOpen.create(open))
      if (context.length === 0) return streamError(phase, 'bad-format', 'the stream has not been opened')
      return await this.#receive(phase, parseXml(element), ip)
    } catch (error) {
      this.#options.onError(error)
      return streamError(phase, 'internal-server-error', 'something went wrong here')
    }
  }

  #open(phase: Phase, { to, transport }: v1.StreamOpen): Answer {
    const jid = parseJid(to)
    if (to !== '' && (jid?.domain !== this.#domain || jid.local !== '' || jid.resource !== '')) {
      return streamError(phase, 'host-unknown', `there is nothing but ${this.#domain} here`)
    }
    if (phase.kind === 'unauthenticated') {
      const features = new Element(STREAMS_NS, 'features', {}, [this.#mechanisms.feature])
      return { phase: { kind: 'unauthenticated', failures: phase.failures }, elements: [features] }
    }
    const features = [
      new Element(BIND_NS, 'bind'),
      // RFC 3921 asked for it; RFC 6121 §1.4 has it do nothing.
      new Element(SESSION_NS, 'session', {}, [new Element(SESSION_NS, 'optional')]),
      ...(transport === 'xmpp-websocket' ? [new Element(SM_NS, 'sm')] : []),
      new Element(CSI_NS, 'csi'),
    ]
    return { phase: { kind: 'restarted', identity: phase.identity }, elements: [new Element(STREAMS_NS, 'features', {}, features)] }
  }

  async #receive(phase: Phase, element: Element, ip: string): Promise<Answer> {
    switch (phase.kind) {
      case 'unauthenticated':
        if (element.ns !== SASL_NS) return streamError(phase, 'not-authorized', 'authenticate first')
        return this.#authenticate(phase, element, ip)
      case 'authenticated':
        return streamError(phase, 'not-authorized', 'restart the stream after authentication')
      case 'restarted':
        return isBind(element) ? this.#bind(phase, element) : unbound(phase, element)
    }
  }

  async #authenticate(phase: Phase & { readonly kind: 'unauthenticated' }, element: Element, ip: string): Promise<Answer> {
    const outcome = await this.#mechanisms.run(element, phase.exchange, ip)
    const elements = [outcome.answer]
    switch (outcome.kind) {
      case 'challenge':
        return { phase: { ...phase, exchange: outcome.exchange }, elements }
      case 'success':
        return { phase: { kind: 'authenticated', identity: outcome.identity }, elements }
      case 'failure': {
        const isCounted = outcome.condition !== 'aborted' && outcome.condition !== 'temporary-auth-failure'
        const failures = phase.failures + (isCounted ? 1 : 0)
        const next: Phase = { kind: 'unauthenticated', failures }
        const failure = outcome.condition
        if (failures < this.#options.limits.failuresPerStream) return { phase: next, elements, failure }
        return { ...streamError(next, 'policy-violation', 'too many failed attempts to authenticate'), elements, failure }
      }
    }
  }

  #bind(phase: Phase & { readonly kind: 'restarted' }, iq: Element): Answer {
    try {
      return { phase, bound: bind(iq, phase.identity, this.#domain, this.#random) }
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error
      const answer = errorStanza(iq, error)
      return { phase, elements: answer === undefined ? [] : [answer] }
    }
  }
}

/** What came in place of a request to bind. */
function unbound(phase: Phase, element: Element): Answer {
  const { ns, name } = element
  // RFC 6120 §7.1.
  if (ns === CLIENT_NS && STANZAS.has(name)) return streamError(phase, 'not-authorized', 'bind a resource first')
  if (ns === CSI_NS) return { phase }
  // XEP-0198 §3: only after binding.
  if (ns === SM_NS && name === 'enable') {
    const failed = new Element(SM_NS, 'failed', {}, [new Element(STANZA_ERRORS_NS, 'unexpected-request')])
    return { phase, elements: [failed] }
  }
  return streamError(phase, STANZAS.has(name) ? 'invalid-namespace' : 'unsupported-stanza-type', `no stanza: ${name}`)
}

function streamError(phase: Phase, condition: string, text: string): Answer {
  return { phase, streamError: condition, errorText: text }
}

function encode({ phase, elements = [], bound, streamError = '', errorText = '' }: Answer): Uint8Array {
  return v1.StreamReply.encode({
    elements: elements.map((element) => Buffer.from(element.toString())),
    context: Buffer.from(JSON.stringify(phase)),
    user: phase.kind === 'unauthenticated' ? '' : phase.identity.user,
    bound: bound ?? null,
    streamError,
    errorText,
  }).finish()
}
