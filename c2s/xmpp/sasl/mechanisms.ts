// Which mechanisms there are, and one exchange of SASL from `<auth/>` to success or failure (RFC 6120 §6.4).

import type { Bucket } from '../../../bus/bus.js'
import { type Bus, BusError } from '../../../bus/bus.js'
import type { Clock } from '../../../bus/clock.js'
import { SCRAM_MECHANISMS } from '../../../proto/scram.js'
import { Element } from '../../../proto/xml/element.js'
import { SASL_NS } from '../../../proto/xml/namespaces.js'
import { Anonymous } from './anonymous.js'
import { decodeBase64 } from './base64.js'
import { Directory } from './directory.js'
import { type FailureLimits, Failures } from './failures.js'
import { type Identity, type Mechanism, type SaslCondition, SaslFailure, type Step } from './mechanism.js'
import { OauthBearer } from './oauthbearer.js'
import { Plain } from './plain.js'
import { Scram } from './scram.js'
import type { VerifyToken } from './tokens.js'

export interface SaslLimits extends FailureLimits {
  /** Passwords hashed at the same time. */
  readonly hashes: number
}

export interface MechanismsOptions {
  readonly bus: Bus
  readonly accounts: Bucket
  readonly domain: string
  readonly dev: boolean
  readonly anonymous: boolean
  readonly verifyToken: VerifyToken | undefined
  readonly clock: Clock
  readonly limits: SaslLimits
  random(bytes: number): Uint8Array
  /** Bugs. */
  onError(error: unknown): void
}

/** An exchange that waits for a `<response/>`. */
export interface Exchange {
  readonly mechanism: string
  /** Of the mechanism. */
  readonly state: string
}

export type Outcome =
  | { readonly kind: 'challenge'; readonly answer: Element; readonly exchange: Exchange }
  | { readonly kind: 'success'; readonly answer: Element; readonly identity: Identity }
  | { readonly kind: 'failure'; readonly answer: Element; readonly condition: SaslCondition }

const MESSAGE_LIMIT_CHARACTERS = 65_536

export class Mechanisms {
  readonly #mechanisms: ReadonlyMap<string, Mechanism>
  readonly #onError: (error: unknown) => void

  constructor({ bus, accounts, domain, dev, anonymous, verifyToken, clock, limits, random, onError }: MechanismsOptions) {
    const directory = new Directory(bus, accounts, domain)
    const failures = new Failures(limits, clock)
    const mechanisms: Mechanism[] = SCRAM_MECHANISMS.map((mechanism) => new Scram(mechanism, { directory, failures, domain, random }))
    mechanisms.push(new Plain({ directory, failures, domain, dev, verifyToken, hashes: limits.hashes }))
    if (verifyToken !== undefined) mechanisms.push(new OauthBearer({ failures, domain, verifyToken }))
    if (anonymous) mechanisms.push(new Anonymous(random))
    this.#mechanisms = new Map(mechanisms.map((mechanism) => [mechanism.name, mechanism]))
    this.#onError = onError
  }

  /** `<mechanisms/>`, the strongest first. */
  get feature(): Element {
    const names = [...this.#mechanisms.keys()].map((name) => new Element(SASL_NS, 'mechanism', {}, [name]))
    return new Element(SASL_NS, 'mechanisms', {}, names)
  }

  /** What an element of the SASL namespace is answered. `exchange`: the one that waits; undefined: none does. */
  async run(element: Element, exchange: Exchange | undefined, ip: string): Promise<Outcome> {
    try {
      return await this.#run(element, exchange, ip)
    } catch (error) {
      if (error instanceof SaslFailure) return failureOf(error)
      // Damaged records and bugs are no news to the client either.
      if (!(error instanceof BusError)) this.#onError(error)
      return failureOf(new SaslFailure('temporary-auth-failure', 'it can not be checked now; try again'))
    }
  }

  async #run(element: Element, exchange: Exchange | undefined, ip: string): Promise<Outcome> {
    switch (element.name) {
      case 'auth': {
        const mechanism = this.#mechanisms.get(element.attribute('mechanism'))
        if (mechanism === undefined) throw new SaslFailure('invalid-mechanism', 'there is no such mechanism here')
        const initial = initialResponse(element)
        if (initial === undefined && !mechanism.isSilent) {
          return { kind: 'challenge', answer: new Element(SASL_NS, 'challenge'), exchange: { mechanism: mechanism.name, state: '' } }
        }
        return outcomeOf(await mechanism.step('', initial ?? Buffer.alloc(0), ip), mechanism)
      }
      case 'response': {
        const mechanism = exchange === undefined ? undefined : this.#mechanisms.get(exchange.mechanism)
        if (exchange === undefined || mechanism === undefined) throw new SaslFailure('malformed-request', 'nothing was asked')
        return outcomeOf(await mechanism.step(exchange.state, bytesOf(element), ip), mechanism)
      }
      case 'abort':
        throw new SaslFailure('aborted')
      default:
        throw new SaslFailure('malformed-request', 'only auth, response and abort come from a client')
    }
  }
}

/** Undefined: there is none, while `=` is an empty one (RFC 6120 §6.4.2). Throws SaslFailure. */
function initialResponse(auth: Element): Buffer | undefined {
  if (auth.children.length === 0 || auth.text === '=') return auth.text === '=' ? Buffer.alloc(0) : undefined
  return bytesOf(auth)
}

function bytesOf(element: Element): Buffer {
  const { text } = element
  if (element.elements.length > 0) throw new SaslFailure('malformed-request', 'only text is expected')
  if (text.length > MESSAGE_LIMIT_CHARACTERS) throw new SaslFailure('malformed-request', 'too long')
  const bytes = decodeBase64(text)
  if (bytes === undefined) throw new SaslFailure('incorrect-encoding', 'not Base64')
  return bytes
}

function outcomeOf(step: Step, { name }: Mechanism): Outcome {
  const text = step.data === undefined ? '' : Buffer.from(step.data).toString('base64') || '='
  const answer = new Element(SASL_NS, step.kind, {}, text === '' ? [] : [text])
  if (step.kind === 'success') return { kind: 'success', answer, identity: step.identity }
  return { kind: 'challenge', answer, exchange: { mechanism: name, state: step.state } }
}

function failureOf({ condition, message }: SaslFailure): Outcome {
  const text = message === '' ? [] : [new Element(SASL_NS, 'text', { 'xml:lang': 'en' }, [message])]
  return { kind: 'failure', condition, answer: new Element(SASL_NS, 'failure', {}, [new Element(SASL_NS, condition), ...text]) }
}
