// The XMPP handlers of a c2s worker on an embedded bus, with clients whose gateway is only a list of what reached it.

import type { Bus } from '../../bus/bus.js'
import { DEFAULT_LIMITS, type WorkerLimits } from '../../c2s/limits.js'
import { Session } from '../../c2s/session.js'
import { BlockLists } from '../../c2s/xmpp/block-lists.js'
import { type Messaging, openMessaging } from '../../c2s/xmpp/messaging.js'
import { XmppState } from '../../c2s/xmpp/state.js'
import { v1 } from '../../proto/messages.js'
import type { Element } from '../../proto/xml/element.js'
import { type Jid, userJid } from '../../proto/xml/jid.js'
import { parseXml } from '../../proto/xml/parse.js'
import { errorStanza, StanzaError } from '../../proto/xml/stanza-error.js'
import { World } from './c2s-world.js'

export const DOMAIN = 'localhost'

/** An envelope that reached a user. `seq` 0: ephemeral. */
export interface Reached {
  readonly seq: number
  readonly envelope: v1.Envelope
  readonly xml: string
  readonly data: unknown
}

export interface PresenceHook {
  readonly what: 'blocked' | 'unblocked'
  readonly user: string
  readonly jids: readonly Jid[]
}

export class Desk {
  readonly world: World
  readonly bus: Bus
  readonly blockLists: BlockLists
  readonly messaging: Messaging
  readonly hooks: PresenceHook[]
  /** `user/resource` of sessions of this worker. */
  #clients = 0

  private constructor(world: World, bus: Bus, blockLists: BlockLists, messaging: Messaging, hooks: PresenceHook[]) {
    this.world = world
    this.bus = bus
    this.blockLists = blockLists
    this.messaging = messaging
    this.hooks = hooks
  }

  /** `world`: of another desk, whose broker this one shares. */
  static async open(
    t: { teardown(end: () => unknown): unknown },
    { world: shared, limits = {}, wrap = (bus) => bus }: { world?: World; limits?: Partial<WorkerLimits>; wrap?: (bus: Bus) => Bus } = {},
  ): Promise<Desk> {
    const world = shared ?? (await World.open(t))
    const bus = wrap(world.bus())
    const blockLists = await BlockLists.open(bus, DOMAIN)
    t.teardown(() => blockLists.stop())
    const hooks: PresenceHook[] = []
    const messaging = await openMessaging({
      bus,
      clock: world.clock,
      limits: { ...DEFAULT_LIMITS, ...limits },
      domain: DOMAIN,
      version: '1.2.3',
      blockLists,
      presence: {
        blocked: async (user, jids) => void hooks.push({ what: 'blocked', user, jids }),
        unblocked: async (user, jids) => void hooks.push({ what: 'unblocked', user, jids }),
      },
      account: new Map(),
    })
    return new Desk(world, bus, blockLists, messaging, hooks)
  }

  /** A client whose session is at this desk. */
  client(user: string, resource: string): Client {
    return new Client(this, user, resource, ++this.#clients)
  }
}

export class Client {
  readonly state: XmppState
  readonly jid: string
  readonly #desk: Desk
  readonly #session: Session
  #sent = 0

  constructor(desk: Desk, user: string, resource: string, number: number) {
    this.#desk = desk
    this.jid = userJid(user, DOMAIN, resource)
    this.state = XmppState.newcomer(resource, 'en')
    const claims = { patterns: [], any: false }
    const identity = { user, ref: `ref-${number}`, gateway: 'gate', since: 0, claims, heardAt: 0 }
    this.#session = new Session(identity, new Uint8Array())
  }

  /** What the stanza is answered, as XML; an error as the error stanza it is made into. `id`: the same for a repetition. */
  async send(xml: string, id = `${this.#session.ref}:${++this.#sent}`): Promise<Element[]> {
    const stanza = parseXml(xml.replace(/^<(\w+)/, "<$1 xmlns='jabber:client'")).with({ from: this.jid })
    const { message, iq } = this.#desk.messaging
    const handler = stanza.name === 'message' ? message : iq
    try {
      return [...(await handler({ session: this.#session, state: this.state, stanza, id }))]
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error
      const answer = errorStanza(stanza, error)
      return answer === undefined ? [] : [answer]
    }
  }

  /** The condition of the error that the stanza is answered with; '': none. */
  async fail(xml: string): Promise<string> {
    const [answer] = await this.send(xml)
    return conditionOf(answer)
  }
}

export function conditionOf(answer: Element | undefined): string {
  if (answer?.attribute('type') !== 'error') return ''
  return answer.elements.find(({ name }) => name === 'error')?.elements[0]?.name ?? 'no condition'
}

/** A gateway that has sessions of one user: these resources, or none but native ones. */
export class Listener {
  readonly #got: Reached[] = []

  private constructor() {}

  static async at(world: World, user: string, resources: readonly string[] = []): Promise<Listener> {
    const listener = new Listener()
    await world.bus().attach(user, {
      durable: (seq, data) => listener.#got.push(reached(seq, data)),
      ephemeral: (data) => listener.#got.push(reached(0, data)),
      asked(data) {
        const resource = v1.Envelope.decode(data).control?.find?.resource ?? ''
        if (!resources.includes(resource)) return undefined
        return v1.SessionList.encode({ node: 'gate', sessions: [{ session: 's', device: resource }] }).finish()
      },
      lost: () => {},
    })
    return listener
  }

  /** What came since the last call. */
  take(): Reached[] {
    return this.#got.splice(0)
  }
}

function reached(seq: number, data: Uint8Array): Reached {
  const envelope = v1.Envelope.decode(data)
  const text = Buffer.from(envelope.data ?? []).toString()
  return { seq, envelope, xml: Buffer.from(envelope.xml).toString(), data: text === '' ? undefined : JSON.parse(text) }
}
