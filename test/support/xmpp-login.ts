// The client's side of XMPP stream negotiation, spoken to c2s workers without a gateway between.

import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import type { Bucket, Bus } from '../../bus/bus.js'
import { DEFAULT_STREAM_LIMITS, Streams, type StreamsOptions } from '../../c2s/xmpp/streams.js'
import { v1 } from '../../proto/messages.js'
import { deriveKeys, SCRAM_MECHANISMS, type ScramMechanism } from '../../proto/scram.js'
import { Element } from '../../proto/xml/element.js'
import { SASL_NS } from '../../proto/xml/namespaces.js'
import { parseXml } from '../../proto/xml/parse.js'
import { ManualClock } from './manual-clock.js'

export const DOMAIN = 'example.org'

export function mechanismNamed(name: string): ScramMechanism {
  const found = SCRAM_MECHANISMS.find((mechanism) => mechanism.name === name)
  if (found === undefined) throw new Error(`no mechanism ${name}`)
  return found
}

/** An account as the API makes it, with few iterations so that tests are fast. */
export async function addAccount(
  accounts: Bucket,
  user: string,
  password: string,
  names = ['SCRAM-SHA-256', 'SCRAM-SHA-1'],
  iterations = 16,
): Promise<void> {
  const keys = await Promise.all(
    names.map(mechanismNamed).map(async (mechanism) => {
      const salt = createHash('sha256').update(`${mechanism.name} ${user}`).digest().subarray(0, 16)
      return { mechanism: mechanism.name, salt, iterations, ...(await deriveKeys(password, mechanism, salt, iterations)) }
    }),
  )
  await accounts.put(user, v1.AccountRecord.encode({ keys }).finish())
}

export async function makeStreams(bus: Bus, options: Partial<StreamsOptions> = {}): Promise<Streams> {
  return new Streams({
    bus,
    accounts: await bus.bucket('accounts'),
    domain: DOMAIN,
    dev: false,
    anonymous: false,
    verifyToken: undefined,
    clock: new ManualClock(),
    limits: DEFAULT_STREAM_LIMITS,
    observe: () => undefined,
    onError: (error) => {
      throw error
    },
    ...options,
  })
}

export function sasl(name: string, text = '', attributes: Record<string, string> = {}): Element {
  return new Element(SASL_NS, name, attributes, text === '' ? [] : [text])
}

export function base64(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64')
}

/** `initial` undefined: no initial response. */
export function auth(mechanism: string, initial?: string | Uint8Array): Element {
  return sasl('auth', initial === undefined ? '' : base64(initial) || '=', { mechanism })
}

export function response(data: string | Uint8Array): Element {
  return sasl('response', base64(data))
}

export function plain(name: string, password: string, authzid = ''): Element {
  return auth('PLAIN', `${authzid}\0${name}\0${password}`)
}

export interface Heard {
  readonly elements: readonly Element[]
  readonly reply: v1.StreamReply
}

/** One stream, whose requests go to the workers in turn. */
export class StreamClient {
  readonly #workers: readonly Streams[]
  #context: Uint8Array = new Uint8Array()
  #asked = 0
  ip = '192.0.2.1'

  constructor(...workers: readonly Streams[]) {
    this.#workers = workers
  }

  /** To be set back to, for another try from there. */
  get context(): Uint8Array {
    return this.#context
  }

  set context(context: Uint8Array) {
    this.#context = context
  }

  open(open: v1.StreamOpen.$Properties = { to: DOMAIN, transport: 'bosh' }): Promise<Heard> {
    return this.#ask({ open })
  }

  send(element: Element): Promise<Heard> {
    return this.#ask({ element: Buffer.from(element.toString()) })
  }

  async #ask(request: v1.StreamRequest.$Properties): Promise<Heard> {
    const worker = this.#workers[this.#asked++ % this.#workers.length]
    if (worker === undefined) throw new Error('no worker')
    const answer = await worker.answer(v1.StreamRequest.encode({ ...request, context: this.#context, ip: this.ip }).finish())
    const reply = v1.StreamReply.decode(answer)
    this.#context = Uint8Array.from(reply.context)
    return { reply, elements: reply.elements.map((element) => parseXml(element)) }
  }
}

/** The client of SCRAM. */
export class ScramClient {
  readonly mechanism: ScramMechanism
  readonly #password: string
  readonly #gs2: string
  readonly #bare: string
  #serverSignature = ''

  constructor(
    mechanism: string,
    name: string,
    password: string,
    { gs2 = 'n,,', nonce = 'fyko+d2lbbFgONRv9qkxdawL' }: { gs2?: string; nonce?: string } = {},
  ) {
    this.mechanism = mechanismNamed(mechanism)
    this.#password = password
    this.#gs2 = gs2
    this.#bare = `n=${name.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  }

  get first(): string {
    return this.#gs2 + this.#bare
  }

  /** `change`: of the message without its proof, which then is over the changed one. */
  final(serverFirst: string, change: (withoutProof: string) => string = (text) => text): string {
    const { hash, bytes } = this.mechanism
    const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? []
    if (nonce === undefined || salt === undefined) throw new Error(`no first message of a server: ${serverFirst}`)
    const withoutProof = change(`c=${base64(this.#gs2)},r=${nonce}`)
    const salted = pbkdf2Sync(this.#password, Buffer.from(salt, 'base64'), Number(iterations), bytes, hash)
    const hmac = (key: Uint8Array, text: string): Buffer => createHmac(hash, key).update(text).digest()
    const clientKey = hmac(salted, 'Client Key')
    const message = `${this.#bare},${serverFirst},${withoutProof}`
    const signature = hmac(createHash(hash).update(clientKey).digest(), message)
    this.#serverSignature = `v=${base64(hmac(hmac(salted, 'Server Key'), message))}`
    return `${withoutProof},p=${base64(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0)))}`
  }

  /** Whether the server has shown that it knows the password too. */
  accepts(serverFinal: string): boolean {
    return serverFinal === this.#serverSignature
  }
}

export function textOf(element: Element | undefined): string {
  return Buffer.from(element?.text ?? '', 'base64').toString()
}

/** Name of the failure's condition. */
export function conditionOf({ elements }: Heard): string {
  const failure = elements.find((element) => element.is('failure', SASL_NS))
  return failure?.elements.find(({ name }) => name !== 'text')?.name ?? ''
}
