// BOSH over a network that loses, reorders and repeats, with clients that keep the rules: nothing is lost, nothing comes
// twice, everything in order; and whatever bytes come, there is an answer. SEED=… repeats a run.

import t from 'tap'
import type { Session } from '../../gateway/session.js'
import {
  BoshClient,
  BoshRig,
  bodyText,
  FEATURES,
  keySequence,
  message,
  type TestAsker,
  type TestStream,
  ticks,
} from '../support/bosh-rig.js'
import { ManualClock } from '../support/manual-clock.js'
import { Random } from '../support/random.js'

const RUNS = Number(process.env.RUNS ?? 20)
const STEPS = 400
const FUZZ_INPUTS = Number(process.env.FUZZ_INPUTS ?? 20_000)
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_007)
t.comment(`seed ${seed}`)

interface Sent {
  readonly rid: number
  readonly text: string
  state: 'in flight' | 'at the server' | 'failed'
  asker: TestAsker | undefined
  /** Where it is. */
  node: BoshRig | undefined
}

type Trouble = 'none' | 'moves' | 'deaths'

/** A client, its network, and the nodes it finds. */
class Conversation {
  readonly random: Random
  readonly clock = new ManualClock()
  rig = new BoshRig({ clock: this.clock, offer: { pollingSeconds: 0 } })
  stream: TestStream
  readonly #trouble: Trouble
  readonly #client: BoshClient
  readonly #requests: number
  readonly #acks: boolean
  readonly #keys: string[]
  readonly #open: Sent[] = []
  /** Responses by rid that wait for those before them. */
  readonly #early = new Map<number, { readonly asker: TestAsker; readonly node: BoshRig }>()
  /** All responses up to this one were read. */
  #read: number
  #lossy = true
  /** What was said and heard. */
  said = 0
  told = 0
  readonly heardByServer: string[] = []
  readonly heardByClient: string[] = []
  /** The same by the node that said it. */
  readonly heardFrom = new Map<BoshRig, string[]>()
  readonly #ids = new Set<string>()

  constructor(random: Random, trouble: Trouble) {
    this.random = random
    this.#trouble = trouble
    const hold = random.int(3)
    this.#acks = random.chance(0.5)
    this.#keys = random.chance(0.5) ? keySequence(`seed ${random.int(1000)}`, STEPS * 4) : []
    this.#client = new BoshClient(this.rig, 1 + random.int(1_000_000))
    const created = this.#client.create({ hold, ack: this.#acks ? 1 : undefined, newkey: this.#keys.shift() })
    this.stream = this.rig.stream
    this.stream.wire.send([FEATURES])
    this.#client.sid = created.attribute('sid')
    this.#requests = Number(created.attribute('requests'))
    this.#read = this.#client.rid
    this.#adoptStream(this.stream)
    this.stream.bind()
  }

  async run(): Promise<void> {
    for (let i = 0; i < STEPS; i++) await this.#step()
    this.#lossy = false
    for (let i = 0; i < 200 && !this.done; i++) await this.#step()
  }

  get done(): boolean {
    return this.heardByServer.length === this.said && new Set(this.heardByClient).size === this.told
  }

  async #step(): Promise<void> {
    const { random } = this
    switch (random.int(this.#lossy ? 10 : 4)) {
      case 0:
      case 1:
      case 2:
        this.#say(this.#lossy && random.chance(0.5))
        break
      case 3:
        this.clock.advance(random.int(400))
        this.rig.endOfTick()
        break
      case 4:
      case 5:
        if (this.#lossy) this.#tell()
        break
      case 6:
        this.#break()
        break
      case 7:
        if (random.chance(0.1)) this.#changeNode()
        break
      default:
        break
    }
    await ticks()
    this.rig.endOfTick()
    this.#network()
    await ticks()
    this.#hear()
  }

  /** The next request, if the client may send one. */
  #say(speaks: boolean): void {
    const client = this.#client
    if (client.rid + 1 - this.#read > this.#requests) return
    const rid = ++client.rid
    const ack = this.#acks && this.#read !== rid - 1 ? this.#read : undefined
    const payload = speaks ? message(`c${this.said++}`) + (this.random.chance(0.3) ? message(`c${this.said++}`) : '') : ''
    const text = bodyText({ rid, sid: client.sid, ack, key: this.#keys.shift() }, payload)
    this.#open.push({ rid, text, state: 'in flight', asker: undefined, node: undefined })
  }

  #tell(): void {
    const id = `s${this.told++}`
    if (this.random.chance(0.5)) this.stream.tell(id)
    else this.stream.session?.tell(Buffer.from(message(id)))
  }

  /** A connection breaks: noticed by the server, only when it writes, or not at all. */
  #break(): void {
    const sent = this.#open[this.random.int(this.#open.length + 1)]
    if (sent === undefined || sent.state !== 'at the server') return
    const { asker } = sent
    sent.state = 'failed'
    sent.asker = undefined
    if (asker === undefined) return
    if (this.random.chance(0.4)) asker.leave()
    else if (this.random.chance(0.5)) asker.gone = true
  }

  /** Requests arrive, in any order, or do not. */
  #network(): void {
    const { random } = this
    for (const sent of this.#open) if (sent.state === 'failed' && random.chance(0.5)) sent.state = 'in flight'
    const flying = this.#open.filter(({ state }) => state === 'in flight').sort(() => random.next() - 0.5)
    for (const sent of flying) {
      if (random.chance(0.3)) continue
      if (this.#lossy && random.chance(0.15)) {
        sent.state = 'failed'
        continue
      }
      sent.state = 'at the server'
      sent.node = this.rig
      sent.asker = this.rig.post(sent.text)
    }
  }

  /** Responses arrive, or do not, and are read in the order of their rids. */
  #hear(): void {
    for (const sent of [...this.#open]) {
      const { asker } = sent
      if (asker === undefined || asker.held) continue
      if (asker.outcome === 'error' || (this.#lossy && this.random.chance(0.15))) {
        sent.state = 'failed'
        sent.asker = undefined
        continue
      }
      if (asker.attribute('type') !== '') throw new Error(`rid ${sent.rid}: ${this.rig.refusals.map(({ reason }) => reason).join()}`)
      this.#open.splice(this.#open.indexOf(sent), 1)
      this.#early.set(sent.rid, { asker, node: sent.node ?? this.rig })
    }
    for (let next = this.#early.get(this.#read + 1); next !== undefined; next = this.#early.get(this.#read + 1)) {
      this.#early.delete(++this.#read)
      const from = this.heardFrom.get(next.node) ?? []
      this.heardFrom.set(next.node, from)
      for (const id of next.asker.payloads) {
        this.heardByClient.push(id)
        from.push(id)
      }
    }
  }

  #changeNode(): void {
    if (this.#trouble === 'none') return
    const before = this.stream.session
    if (before === undefined) return
    const there = new BoshRig({ clock: this.clock, offer: { pollingSeconds: 0 } })
    const again = (wire: TestStream['wire'], name: string): TestStream => {
      const stream = there.newStream(wire, name)
      this.#adoptStream(stream)
      const session = there.newSession(before.base)
      for (const outbound of before.notDurableAfter(before.base, Number.POSITIVE_INFINITY).frames) session.takeOver(outbound)
      stream.bind(session as Session)
      return stream
    }
    const { sid } = this.#client
    if (this.#trouble === 'moves') {
      const snapshot = this.rig.sessions.moveAway(sid)
      if (snapshot === undefined) throw new Error('nothing to move')
      there.sessions.restore(JSON.parse(JSON.stringify(snapshot)), again)
    } else {
      const record = this.rig.records.at(-1)
      if (record === undefined) throw new Error('no record')
      // Everything that was open there is broken.
      for (const sent of this.#open) if (sent.state === 'at the server') Object.assign(sent, { state: 'failed', asker: undefined })
      there.records.push(record)
      there.sessions.adopt(JSON.parse(JSON.stringify(record)), again)
    }
    this.rig.sessions.close()
    this.stream = there.stream
    this.rig = there
  }

  #adoptStream(stream: TestStream): void {
    stream.whenReceived = (element) => {
      const id = stream.ids.at(-1) ?? ''
      // What the bus does: an id that was had before is stored once.
      if (this.#trouble === 'deaths' && this.#ids.has(id)) return
      this.#ids.add(id)
      this.heardByServer.push(element.attribute('id'))
    }
  }
}

function inOrder(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`)
}

for (const trouble of ['none', 'moves', 'deaths'] as const) {
  t.test(`${RUNS} random conversations, node changes: ${trouble}`, async (t) => {
    let problem = ''
    for (let i = 0; i < RUNS && problem === ''; i++) {
      const conversation = new Conversation(new Random(seed + i), trouble)
      const run = `SEED=${seed + i} RUNS=1 (${trouble})`
      try {
        await conversation.run()
      } catch (error) {
        problem = `${run}: ${String(error)}`
        break
      }
      const { heardByServer, heardByClient, heardFrom, said, told, rig } = conversation
      const up = inOrder('c', said).join()
      const down = inOrder('s', told).join()
      if (rig.errors.length > 0) problem = `${run}: ${String(rig.errors[0])}`
      else if (trouble === 'deaths') {
        // A client that repeats the later of two open requests first is taken in that order.
        if ([...heardByServer].sort().join() !== up.split(',').sort().join()) problem = `${run}: said ${up} heard ${heardByServer.join()}`
        if (new Set(heardByClient).size !== told) problem = `${run}: told ${down} heard ${heardByClient.join()}`
        // What was not acknowledged comes again from the next node, each time in order.
        for (const heard of heardFrom.values()) {
          const numbers = heard.map((id) => Number(id.slice(1)))
          if (numbers.some((number, at) => at > 0 && number <= (numbers[at - 1] ?? 0)))
            problem = `${run}: heard ${heard.join()} from one node`
        }
      } else if (heardByServer.join() !== up) problem = `${run}: said ${up} heard ${heardByServer.join()}`
      else if (heardByClient.join() !== down) problem = `${run}: told ${down} heard ${heardByClient.join()}`
    }
    t.equal(problem, '')
  })
}

t.test(`${FUZZ_INPUTS} random bodies: always an answer, never an exception, and nothing grows`, async (t) => {
  const random = new Random(seed)
  const rig = new BoshRig({ limits: { sessions: 50 }, maxBodyBytes: 4096 })
  const names = [
    'rid',
    'sid',
    'to',
    'type',
    'ver',
    'hold',
    'wait',
    'pause',
    'ack',
    'key',
    'newkey',
    'stream',
    'content',
    'xml:lang',
    'route',
  ]
  const values = [
    '',
    '0',
    '1',
    '2',
    '-1',
    '9007199254740991',
    '9007199254740993',
    'terminate',
    'error',
    'localhost',
    '1.6',
    '&lt;',
    '\t',
    'x',
  ]
  const payloads = [
    '',
    message('a'),
    '<a/>',
    '<stream:features/>',
    'text',
    '<!-- -->',
    `<${'a'.repeat(50)}>`,
    '<a xmlns:b="c"/>',
    ']]>',
    '&amp;',
  ]
  const held: TestAsker[] = []
  let known = { sid: '', rid: 1 }
  let problem = ''
  for (let i = 0; i < FUZZ_INPUTS && problem === ''; i++) {
    const attributes: Record<string, string | number> = { rid: known.rid + random.int(4) }
    if (random.chance(0.5)) attributes.to = 'localhost'
    if (random.chance(0.6)) attributes.sid = known.sid
    for (let n = random.int(4); n > 0; n--) attributes[random.pick(names)] = random.pick(values)
    let text = bodyText(attributes, random.pick(payloads))
    if (random.chance(0.3)) {
      const at = random.int(text.length)
      text = text.slice(0, at) + random.pick(['<', '>', '&', "'", '\u0000', '</body>', 'x', '']) + text.slice(at + random.int(5))
    }
    let asker: TestAsker
    try {
      asker = rig.post(random.chance(0.05) ? random.bytes(random.int(100)) : text, {
        encoding: random.pick(['', '', '', '', 'gzip', 'deflate', 'x']),
      })
    } catch (error) {
      problem = `SEED=${seed}, input ${i}: ${String(error)}: ${text}`
      break
    }
    await ticks()
    if (random.chance(0.2)) rig.clock.advance(random.int(5000))
    if (asker.held) held.push(asker)
    else if (asker.outcome === '') problem = `SEED=${seed}, input ${i}: ${asker.text}`
    else if (asker.body.attributes.has('sid')) known = { sid: asker.attribute('sid'), rid: Number(attributes.rid) }
    while (held.length > 50) held.shift()?.leave()
    if (rig.sessions.size > 50) problem = `SEED=${seed}, input ${i}: ${rig.sessions.size} sessions`
  }
  t.equal(problem, '')
  t.strictSame(rig.errors, [])
  rig.clock.advance(200_000)
  t.equal(rig.sessions.size, 0, 'all of them end')
})
