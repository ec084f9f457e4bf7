// What the cluster knows of the BOSH sessions with a user: enough for another node to go on when theirs has died. Written when
// a session is bound and when what its worker returned changes, never for a message.

import { createHash, timingSafeEqual } from 'node:crypto'
import { type Bucket, type BucketEntry, BusError } from '../../bus/bus.js'
import { forEachLimited } from '../../bus/for-each-limited.js'
import type { StreamRecord } from '../xmpp/wire.js'
import type { BoshRecord } from './bosh-record.js'
import type { BoshSession } from './bosh-session.js'

/** A stream that another node can go on with. */
export interface StoredStream {
  readonly name: string
  readonly record: StreamRecord
}

export interface StoredSession {
  /** Address of the node that has it. */
  readonly owner: string
  readonly record: BoshRecord
  readonly streams: readonly StoredStream[]
}

export interface Found {
  readonly stored: StoredSession
  readonly revision: number
}

export interface BoshRecordsOptions {
  /** `bosh` */
  readonly bucket: Bucket
  /** Address of this node. */
  readonly node: string
  /** Another node has taken the session for lost, and goes on with it. */
  lost(session: BoshSession): void
  onError(error: unknown, what: string): void
}

const WRITE_AFTER_MS = 100
const RETRY_AFTER_MS = 1000
/** Writes under way at a time. */
const WRITES = 16
/** The bucket forgets what was not written for a day. */
export const RECORDS_TTL_SECONDS = 86_400
const REFRESH_MS = (RECORDS_TTL_SECONDS / 4) * 1000

export class BoshRecords {
  readonly #options: BoshRecordsOptions
  readonly #changed = new Set<BoshSession>()
  /** Sessions that have a record, and its revision. */
  readonly #written = new Map<BoshSession, number>()
  /** They may be waiting to be written all the same. */
  readonly #ended = new WeakSet<BoshSession>()
  #timer: NodeJS.Timeout | undefined = undefined
  #writing: Promise<void> = Promise.resolve()
  readonly #refresh: NodeJS.Timeout
  #stopped = false

  constructor(options: BoshRecordsOptions) {
    this.#options = options
    this.#refresh = setInterval(() => this.renew(), REFRESH_MS)
    this.#refresh.unref()
  }

  /** The session is new or has changed. */
  note(session: BoshSession): void {
    this.#changed.add(session)
    this.#writeAfter(WRITE_AFTER_MS)
  }

  /** Writes all records again, and so finds out which sessions other nodes have taken for lost. */
  renew(): void {
    for (const session of this.#written.keys()) this.note(session)
  }

  /** This node has the record of the session, by `claim`. */
  own(session: BoshSession, revision: number): void {
    this.#written.set(session, revision)
    this.note(session)
  }

  /** The session has ended. */
  forget(session: BoshSession): void {
    this.#ended.add(session)
    this.#changed.delete(session)
    this.#writing = this.#writing
      .then(() => this.#delete(session))
      .catch((error) => this.#options.onError(error, 'forgetting a BOSH session'))
  }

  /** The session is at another node now, which writes of it. */
  leave(session: BoshSession): void {
    this.#ended.add(session)
    this.#changed.delete(session)
    this.#written.delete(session)
  }

  /** Undefined: there is no such session, or it can't be gone on with. Throws BusError. */
  async find(sid: string): Promise<Found | undefined> {
    const entry = await this.#options.bucket.get(refOf(sid))
    return entry === undefined ? undefined : read(entry, sid)
  }

  /** Makes this node the owner: the record's new revision. Undefined: another node was faster. Throws BusError. */
  claim(sid: string, { stored, revision }: Found): Promise<number | undefined> {
    return this.#options.bucket.update(refOf(sid), encode(sid, { ...stored, owner: this.#options.node }), revision)
  }

  /** What is pending is written. */
  async stop(): Promise<void> {
    clearInterval(this.#refresh)
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#writing
    this.#stopped = true
    await this.#write()
  }

  #writeAfter(delayMs: number): void {
    if (this.#stopped) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#writing = this.#writing.then(() => this.#write())
    }, delayMs)
  }

  async #write(): Promise<void> {
    const sessions = [...this.#changed]
    this.#changed.clear()
    await forEachLimited(sessions, WRITES, (session) =>
      this.#writeOne(session).catch((error) => this.#options.onError(error, 'writing the record of a BOSH session')),
    )
  }

  async #writeOne(session: BoshSession): Promise<void> {
    const streams = streamsOf(session)
    // What has ended must not come to life again.
    if (streams.length === 0 || this.#ended.has(session)) return
    const { bucket, node } = this.#options
    const key = refOf(session.sid)
    const value = encode(session.sid, { owner: node, record: session.record, streams })
    try {
      const before = this.#written.get(session)
      let revision = before === undefined ? await bucket.put(key, value) : await bucket.update(key, value, before)
      // The bucket may have lost it too.
      if (revision === undefined) revision = (await this.#isElsewhere(session)) ? undefined : await bucket.put(key, value)
      if (revision !== undefined) this.#written.set(session, revision)
      else this.#lose(session)
      if (this.#ended.has(session)) await this.#delete(session)
    } catch (error) {
      if (!(error instanceof BusError)) throw error
      this.#changed.add(session)
      this.#writeAfter(RETRY_AFTER_MS)
    }
  }

  /** After whatever was being written. */
  async #delete(session: BoshSession): Promise<void> {
    if (!this.#written.has(session)) return
    if (await this.#isElsewhere(session)) this.#lose(session)
    else if (this.#written.delete(session)) await this.#options.bucket.delete(refOf(session.sid))
  }

  async #isElsewhere({ sid }: BoshSession): Promise<boolean> {
    const found = await this.find(sid)
    return found !== undefined && found.stored.owner !== this.#options.node
  }

  #lose(session: BoshSession): void {
    this.leave(session)
    this.#options.lost(session)
  }
}

/** Those with a session: the others begin anew. */
export function streamsOf(session: BoshSession): StoredStream[] {
  return session.streams.flatMap(({ name, stream }) => {
    const record = stream?.record
    return record === undefined ? [] : [{ name, record }]
  })
}

/** `<node>.<number>`: the part of a sid that is no secret. */
function refOf(sid: string): string {
  const [node = '', number = ''] = sid.split('.')
  return `${node}.${number}`
}

function digest(sid: string): Buffer {
  return createHash('sha256').update(sid).digest()
}

/** The sid itself is a secret, and only its client has to know it. */
function encode(sid: string, { owner, record, streams }: StoredSession): Uint8Array {
  const value = { owner, sid: digest(sid).toString('base64url'), record: { ...record, terms: { ...record.terms, sid: '' } }, streams }
  return Buffer.from(JSON.stringify(value))
}

function read({ value, revision }: BucketEntry, sid: string): Found | undefined {
  const { sid: hash, ...stored } = JSON.parse(Buffer.from(value).toString()) as StoredSession & { readonly sid: string }
  const given = Buffer.from(hash, 'base64url')
  const expected = digest(sid)
  if (given.length !== expected.length || !timingSafeEqual(given, expected) || stored.record.version !== 1) return undefined
  const record = { ...stored.record, terms: { ...stored.record.terms, sid } }
  return { stored: { ...stored, record }, revision }
}
