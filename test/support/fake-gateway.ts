// A gateway without clients: attaches users, answers probes, opens sessions on workers and sends frames for them.

import { type Attachment, type Bus, BusError } from '../../bus/bus.js'
import { v1 } from '../../proto/messages.js'
import { Element } from '../../proto/xml/element.js'
import { userJid } from '../../proto/xml/jid.js'
import { CLIENT_NS, ROSTER_NS } from '../../proto/xml/namespaces.js'
import { nativePresence } from '../../proto/xml/native-presence.js'
import { parseStored } from '../../proto/xml/parse.js'

/** What a session got, in order; `cursor`-less frames as plain values. */
export type Got =
  | {
      readonly kind: 'message'
      readonly id: string
      readonly from: string
      readonly topic: string
      readonly data: unknown
      readonly seq: number
    }
  | { readonly kind: 'presence'; readonly user: string; readonly status: string; readonly note: string }
  | { readonly kind: 'roster'; readonly op: string; readonly user: string; readonly subscription: string; readonly ask: string }

export interface Answer {
  readonly ref: string
  readonly ok: boolean
  readonly code: string
  readonly result: unknown
}

type Frame = v1.ClientFrame.$Properties

interface Member {
  readonly attachment: Attachment
  readonly sessions: Map<string, FakeSession>
}

export interface OpenOptions {
  readonly topics?: string[]
  readonly anyTopic?: boolean
  readonly device?: string
  /** The client is one of XMPP, with this resource. */
  readonly resource?: string
  /** Of its stream; `en` if it says nothing. */
  readonly language?: string
  /** The session was open before, elsewhere. */
  readonly context?: Uint8Array
}

const DOMAIN = 'localhost'

export class FakeGateway<B extends Bus = Bus> {
  readonly bus: B
  readonly address: string
  readonly #members = new Map<string, Member>()
  readonly #attaching = new Map<string, Promise<Member>>()
  #sessions = 0
  /** Switched off: probes are not answered, as by a gateway that hangs. */
  answering = true

  constructor(bus: B, address: string) {
    this.bus = bus
    this.address = address
  }

  async open(user: string, options: OpenOptions = {}): Promise<FakeSession> {
    const session = new FakeSession(this, user, `${this.address}-${++this.#sessions}`, options)
    const member = this.#members.get(user) ?? (await this.#attachOnce(user))
    member.sessions.set(session.ref, session)
    await session.reopen()
    return session
  }

  /** The session is not there any more; its worker learns nothing. */
  drop(session: FakeSession): void {
    const member = this.#members.get(session.user)
    if (member === undefined) return
    member.sessions.delete(session.ref)
    if (member.sessions.size > 0) return
    member.attachment.detach()
    this.#members.delete(session.user)
  }

  async #attachOnce(user: string): Promise<Member> {
    const attaching = this.#attaching.get(user) ?? this.#attach(user)
    this.#attaching.set(user, attaching)
    try {
      return await attaching
    } finally {
      this.#attaching.delete(user)
    }
  }

  async #attach(user: string): Promise<Member> {
    const sessions = new Map<string, FakeSession>()
    const deliver = (data: Uint8Array, seq: number): void => {
      const envelope = v1.Envelope.decode(data)
      for (const session of sessions.values()) {
        if (envelope.onlySession !== '' && envelope.onlySession !== session.ref) continue
        if (session.options.resource !== undefined) session.takeStanza(envelope)
        // Without a body it is for XMPP clients alone.
        else if (envelope.body !== undefined) session.got.push(gotOf(envelope, seq))
      }
    }
    const attachment = await this.bus.attach(user, {
      durable: (seq, data) => deliver(data, seq),
      ephemeral: (data) => deliver(data, 0),
      asked: () =>
        this.answering ? v1.SessionList.encode({ node: this.address, sessions: [...sessions.values()].map(infoOf) }).finish() : undefined,
      lost: () => {},
    })
    const member = { attachment, sessions }
    this.#members.set(user, member)
    return member
  }
}

export class FakeSession {
  readonly gateway: FakeGateway
  readonly user: string
  readonly ref: string
  readonly since = Date.now()
  readonly got: Got[] = []
  readonly options: OpenOptions
  worker = ''
  context: Uint8Array
  /** As the worker said last; empty before the session is open. */
  status = ''
  note = ''
  /** Number of the next frame. */
  next = 1
  /** Of an XMPP client: as the worker said last. */
  shown: v1.XmppShown.$Properties = {}
  /** What its client got, answers included, in order. */
  readonly stanzas: Element[] = []
  /** Given with the last answer. */
  streamError = ''
  /** Bytes of contexts that came with answers. */
  contextBytes = 0
  #stanzas = 0

  constructor(gateway: FakeGateway, user: string, ref: string, options: OpenOptions) {
    this.gateway = gateway
    this.user = user
    this.ref = ref
    this.options = options
    this.context = options.context ?? new Uint8Array()
  }

  async reopen(): Promise<void> {
    const request = v1.OpenSession.encode({
      user: this.user,
      session: this.ref,
      device: this.options.resource ?? this.options.device ?? '',
      gateway: this.gateway.address,
      topics: this.options.topics ?? [],
      anyTopic: this.options.anyTopic ?? false,
      context: this.context,
      since: this.since,
      xmpp: this.options.resource === undefined ? null : { resource: this.options.resource, language: this.options.language ?? 'en' },
    }).finish()
    const opened = v1.OpenedSession.decode(await this.gateway.bus.request('c2s.open', request))
    this.worker = opened.worker
    this.context = opened.context
    this.status = opened.status
    this.note = opened.note
    this.shown = opened.xmpp ?? {}
  }

  /** Sends a stanza; what it was answered. */
  async say(xml: string): Promise<Element[]> {
    const answer = await this.ask({ stanza: { xml: Buffer.from(xml), id: `${this.ref}:${++this.#stanzas}` } })
    if (!answer.ok && answer.code !== 'malformed') throw new Error(answer.code)
    return [...this.answers]
  }

  /** Stanzas of the last answer. */
  answers: readonly Element[] = []

  /** An envelope for the user, as the stanza that an XMPP client is sent for it, if it takes it. */
  takeStanza(envelope: v1.Envelope): void {
    const { resource, xml, roster, native } = envelope
    if (resource !== '' && resource !== this.options.resource) return
    if (xml.length > 0) {
      const stanza = parseStored(xml)
      const isPresence = stanza.name === 'presence' && ['', 'unavailable'].includes(stanza.attribute('type'))
      if (isPresence && resource === '' && !this.shown.available) return
      this.stanzas.push(stanza)
    } else if (roster != null && this.shown.interested) this.stanzas.push(push(roster))
    if (native?.user && this.shown.available) {
      const shown = { status: native.status ?? '', note: native.note ?? '' }
      this.stanzas.push(parseStored(nativePresence(native.user, shown, DOMAIN).toString()))
    }
  }

  /** Sends frames as one request; goes on with another worker when this one is gone. */
  async send(...frames: Frame[]): Promise<Answer[]> {
    const sequence = this.next
    this.next += frames.length
    return this.repeat(sequence, frames)
  }

  /** One frame and its answer. */
  async ask(frame: Frame): Promise<Answer> {
    const [answer] = await this.send({ ref: 'r', ...frame })
    if (answer === undefined) throw new Error('no reply')
    return answer
  }

  /** Sends a request with the numbers it had. */
  async repeat(sequence: number, frames: Frame[]): Promise<Answer[]> {
    for (;;) {
      const reply = await this.#try({ session: this.ref, sequence, frames: frames })
      if (reply !== undefined && !reply.unknown) return this.#take(reply)
      await this.reopen()
    }
  }

  async claims(topics: string[], anyTopic = false): Promise<void> {
    this.#take(v1.UplinkReply.decode(await this.request({ session: this.ref, claims: true, topics, anyTopic })))
  }

  async bye(): Promise<void> {
    this.gateway.drop(this)
    await this.request({ session: this.ref, bye: true })
  }

  request(uplink: v1.Uplink.$Properties): Promise<Uint8Array> {
    return this.gateway.bus.request(this.worker, v1.Uplink.encode(uplink).finish())
  }

  /** What it got of one kind so far, and forgets it. */
  take<K extends Got['kind']>(kind: K): Extract<Got, { kind: K }>[] {
    const taken = this.got.filter((got): got is Extract<Got, { kind: K }> => got.kind === kind)
    const rest = this.got.filter((got) => got.kind !== kind)
    this.got.splice(0, this.got.length, ...rest)
    return taken
  }

  async #try(uplink: v1.Uplink.$Properties): Promise<v1.UplinkReply | undefined> {
    try {
      return v1.UplinkReply.decode(await this.request(uplink))
    } catch (error) {
      if (error instanceof BusError && (error.code === 'no_responders' || error.code === 'timeout')) return undefined
      throw error
    }
  }

  #take(reply: v1.UplinkReply): Answer[] {
    if (reply.context.length > 0) this.context = reply.context
    this.contextBytes += reply.context.length
    if (reply.xmpp) this.shown = reply.xmpp
    this.streamError = reply.streamError
    this.answers = reply.stanzas.map((xml) => parseStored(xml))
    this.stanzas.push(...this.answers)
    this.status = reply.status
    this.note = reply.note
    return (reply.replies ?? []).map(answerOf)
  }
}

function infoOf(session: FakeSession): v1.SessionInfo.$Properties {
  const { ref, since, status, note, options, shown } = session
  const own = { session: ref, transport: 'fake', since, status, note }
  return options.resource === undefined ? own : { ...own, device: options.resource, xmpp: shown }
}

/** RFC 6121 §2.1.6 */
function push({ op, user, name, groups, subscription, ask }: v1.Roster.$Properties): Element {
  const attributes = {
    jid: userJid(user ?? '', DOMAIN),
    name: name || undefined,
    subscription: op === 'remove' ? 'remove' : subscription || 'none',
    ask: ask || undefined,
  }
  const inGroups = (groups ?? []).map((group) => new Element(ROSTER_NS, 'group', {}, [group]))
  const query = new Element(ROSTER_NS, 'query', {}, [new Element(ROSTER_NS, 'item', attributes, inGroups)])
  return new Element(CLIENT_NS, 'iq', { type: 'set', id: 'push' }, [query])
}

function answerOf({ ref, ok, error, result }: v1.Reply.$Properties): Answer {
  return { ref: ref ?? '', ok: ok ?? false, code: error?.code ?? '', result: result?.length ? JSON.parse(text(result)) : undefined }
}

function gotOf(envelope: v1.Envelope, seq: number): Got {
  const { presence, roster, data } = envelope
  if (presence) return { kind: 'presence', user: presence.user ?? '', status: presence.status ?? '', note: presence.note ?? '' }
  if (roster) {
    const { op, user, subscription, ask } = roster
    return { kind: 'roster', op: op ?? '', user: user ?? '', subscription: subscription ?? '', ask: ask ?? '' }
  }
  const { id, from, topic } = envelope
  return { kind: 'message', id, from, topic, data: data ? JSON.parse(text(data)) : undefined, seq }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}
