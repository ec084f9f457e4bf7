// Whom each user has blocked (XEP-0191). One record a user in the bucket `blocking`; every worker follows it, so that
// looking it up costs nothing. A block holds at the worker that took it when it is answered, and at the others as soon as
// they have heard of it.

import type { Bus, Follower } from '../../bus/bus.js'
import { Element } from '../../proto/xml/element.js'
import { formatJid, type Jid, jidUser, parseJid, userJid } from '../../proto/xml/jid.js'
import { NATIVE_RESOURCE } from '../../proto/xml/native-presence.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import { type Codec, Records } from '../store.js'

const ITEMS_PER_USER = 1000
const ERRORS_NS = 'urn:xmpp:blocking:errors'

type List = readonly string[]

/** JSON: an array of JIDs. */
const codec: Codec<List> = {
  encode: (list) => Buffer.from(JSON.stringify(list)),
  decode: (data) => JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()) as List,
}

export class BlockLists {
  readonly #records: Records<List>
  readonly #domain: string
  readonly #blocked = new Map<string, ReadonlySet<string>>()
  #follower: Follower | undefined

  private constructor(records: Records<List>, domain: string) {
    this.#records = records
    this.#domain = domain
  }

  /** Resolves when all lists there are have been read. Throws BusError. */
  static async open(bus: Bus, domain: string): Promise<BlockLists> {
    const bucket = await bus.bucket('blocking')
    const lists = new BlockLists(new Records(bucket, codec), domain)
    lists.#follower = await bucket.follow((user, value) => lists.#follow(user, value === undefined ? [] : codec.decode(value)))
    return lists
  }

  stop(): void {
    this.#follower?.stop()
  }

  /** In the order they were blocked. Throws BusError. */
  async get(user: string): Promise<List> {
    return (await this.#records.get(user)) ?? []
  }

  /** Throws StanzaError `policy-violation`, Refusal and BusError. */
  async block(user: string, jids: List): Promise<void> {
    await this.#change(user, (list) => {
      const changed = [...new Set([...list, ...jids])]
      if (changed.length > ITEMS_PER_USER) throw new StanzaError('policy-violation', `at most ${ITEMS_PER_USER} addresses can be blocked`)
      return changed
    })
  }

  /** `jids` undefined: all. Throws Refusal and BusError. */
  async unblock(user: string, jids: List | undefined): Promise<void> {
    await this.#change(user, (list) => (jids === undefined ? [] : list.filter((jid) => !jids.includes(jid))))
  }

  /** Whether `user` wants nothing from and for `other` (XEP-0191 §5). Users never block themselves. */
  blocks(user: string, other: Jid): boolean {
    const list = this.#blocked.get(user)
    if (list === undefined || jidUser(other, this.#domain) === user) return false
    const { local, domain, resource } = other
    return (
      list.has(domain) ||
      (local !== '' && list.has(formatJid({ local, domain, resource: '' }))) ||
      (resource !== '' && (list.has(formatJid(other)) || list.has(formatJid({ local: '', domain, resource }))))
    )
  }

  /** Whether `user` has blocked single resources, and `other` may have one of them. */
  blocksResources(user: string, other: string): boolean {
    const start = `${userJid(other, this.#domain)}/`
    for (const item of this.#blocked.get(user) ?? []) if (item.startsWith(start) || item.startsWith(`${this.#domain}/`)) return true
    return false
  }

  /** Whether one of two users has blocked the other; `fromJid` and `toJid`: the addresses they use. */
  isBetween(from: string, fromJid: string, to: string, toJid: Jid): boolean {
    return this.blocks(from, toJid) || this.#isBlockedBy(to, fromJid)
  }

  /** The same for users of the native protocol. */
  isBetweenNative(from: string, to: string): boolean {
    const address = parseJid(userJid(to, this.#domain))
    return address !== undefined && this.isBetween(from, userJid(from, this.#domain, NATIVE_RESOURCE), to, address)
  }

  /** Throws what a user is told who sends something to somebody they have blocked themselves. */
  checkOwn(from: string, toJid: Jid): void {
    if (this.blocks(from, toJid)) throw new StanzaError('not-acceptable', '', new Element(ERRORS_NS, 'blocked'))
  }

  /** Throws what the sender of a stanza is told when one of the two has blocked the other (XEP-0191 §3.3). */
  check(from: string, fromJid: string, to: string, toJid: Jid): void {
    this.checkOwn(from, toJid)
    if (this.#isBlockedBy(to, fromJid)) throw new StanzaError('service-unavailable')
  }

  #isBlockedBy(user: string, jidText: string): boolean {
    if (!this.#blocked.has(user)) return false
    const jid = parseJid(jidText)
    return jid !== undefined && this.blocks(user, jid)
  }

  async #change(user: string, change: (list: List) => List): Promise<void> {
    await this.#records.change(user, (list = []) => {
      const next = change(list)
      return next.length === list.length ? list : next
    })
    await this.#follower?.caughtUp()
  }

  #follow(user: string, list: List): void {
    if (list.length === 0) this.#blocked.delete(user)
    else this.#blocked.set(user, new Set(list))
  }
}
