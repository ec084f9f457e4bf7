import t, { type Test } from 'tap'
import { type Bucket, type BucketEntry, BusError } from '../../bus/bus.js'
import { Positions } from '../../gateway/positions.js'
import { Gate } from '../support/steered-bus.js'

/** A bucket whose writes can be held up and made to fail. */
class FakeBucket implements Bucket {
  readonly entries = new Map<string, BucketEntry>()
  hold: () => Promise<void> | undefined = () => undefined
  writes = 0
  underWay = 0
  mostUnderWay = 0
  #revision = 0

  async get(key: string): Promise<BucketEntry | undefined> {
    return this.entries.get(key)
  }
  put(key: string, value: Uint8Array): Promise<number> {
    return this.#write(key, value)
  }
  async create(key: string, value: Uint8Array): Promise<number | undefined> {
    return this.entries.has(key) ? undefined : this.#write(key, value)
  }
  async update(key: string, value: Uint8Array, revision: number): Promise<number | undefined> {
    return this.entries.get(key)?.revision === revision ? this.#write(key, value) : undefined
  }
  async delete(key: string): Promise<void> {
    this.entries.delete(key)
  }
  follow(): Promise<never> {
    return Promise.reject(new Error('nobody follows positions'))
  }

  text(key: string): string | undefined {
    const entry = this.entries.get(key)
    return entry === undefined ? undefined : Buffer.from(entry.value).toString()
  }

  async #write(key: string, value: Uint8Array): Promise<number> {
    this.writes++
    this.underWay++
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay)
    try {
      await this.hold()
    } finally {
      this.underWay--
    }
    this.entries.set(key, { value, revision: ++this.#revision })
    return this.#revision
  }
}

const LATER_MS = 1_000_000

function setUp(t: Test, flushMs = LATER_MS) {
  const bucket = new FakeBucket()
  const errors: unknown[] = []
  const positions = new Positions({ bucket, flushMs, maxInFlight: 3, onError: (error) => errors.push(error) })
  t.teardown(async () => {
    bucket.hold = () => undefined
    await positions.stop()
    for (const error of errors) throw error
  })
  return { bucket, positions }
}

t.test('positions', async (t) => {
  t.test('are written in batches: the last one of each device, so many at a time', async (t) => {
    const { bucket, positions } = setUp(t)
    for (let inbox = 1; inbox <= 100; inbox++) {
      for (let i = 0; i < 10; i++) positions.record(`u${i}`, 'phone', { epoch: 'e', inbox })
    }
    t.equal(bucket.writes, 0)
    bucket.hold = () => new Promise((resolve) => setImmediate(resolve))
    await positions.flush()
    t.equal(bucket.writes, 10)
    t.equal(bucket.mostUnderWay, 3)
    t.equal(bucket.text('u9\nphone'), `e.${(100).toString(36)}`)
    await positions.flush()
    t.equal(bucket.writes, 10, 'nothing new, nothing written')
  })

  t.test('never go back in one epoch, and start again in another', async (t) => {
    const { bucket, positions } = setUp(t)
    positions.record('u', '', { epoch: 'e', inbox: 9 })
    positions.record('u', '', { epoch: 'e', inbox: 5 })
    await positions.flush()
    t.equal(bucket.text('u\n'), 'e.9')
    positions.record('u', '', { epoch: 'e', inbox: 7 })
    await positions.flush()
    t.equal(bucket.text('u\n'), 'e.9', 'what another node has written is ahead')
    positions.record('u', '', { epoch: 'f', inbox: 2 })
    await positions.flush()
    t.equal(bucket.text('u\n'), 'f.2')
  })

  t.test('that were recorded are the truth before they are written', async (t) => {
    const { bucket, positions } = setUp(t)
    t.equal(await positions.load('u', 'phone'), undefined)
    positions.record('u', 'phone', { epoch: 'e', inbox: 1 })
    t.same(await positions.load('u', 'phone'), { epoch: 'e', inbox: 1 })
    t.equal(await positions.load('u', ''), undefined, 'of that device alone')
    const gate = new Gate()
    bucket.hold = () => gate.pass()
    const flushing = positions.flush()
    await gate.arrived
    t.same(await positions.load('u', 'phone'), { epoch: 'e', inbox: 1 }, 'while they are written too')
    positions.record('u', 'phone', { epoch: 'e', inbox: 2 })
    t.same(await positions.load('u', 'phone'), { epoch: 'e', inbox: 2 })
    bucket.hold = () => undefined
    gate.open()
    await flushing
    t.equal(bucket.text('u\nphone'), 'e.1')
    await positions.flush()
    t.equal(bucket.text('u\nphone'), 'e.2')
  })

  t.test('that could not be written stay, unless newer ones came', async (t) => {
    const { bucket, positions } = setUp(t)
    positions.record('u', '', { epoch: 'e', inbox: 1 })
    positions.record('v', '', { epoch: 'e', inbox: 1 })
    bucket.hold = () => {
      positions.record('v', '', { epoch: 'e', inbox: 2 })
      return Promise.reject(new BusError('timeout'))
    }
    await positions.flush()
    t.equal(bucket.entries.size, 0)
    bucket.hold = () => undefined
    await positions.flush()
    t.same([bucket.text('u\n'), bucket.text('v\n')], ['e.1', 'e.2'])
  })

  t.test('of which another node writes some at the same time end at the highest', async (t) => {
    const { bucket, positions } = setUp(t)
    const other = new Positions({ bucket, flushMs: LATER_MS, maxInFlight: 3, onError: (error) => t.fail(String(error)) })
    for (let inbox = 1; inbox <= 20; inbox++) {
      positions.record('u', '', { epoch: 'e', inbox: 2 * inbox })
      other.record('u', '', { epoch: 'e', inbox: 41 - inbox })
      await Promise.all([positions.flush(), other.flush()])
    }
    t.equal(bucket.text('u\n'), `e.${(40).toString(36)}`)
    await other.stop()
  })

  t.test('are written at once in a hurry, and when it stops', async (t) => {
    const { bucket, positions } = setUp(t)
    const written = new Gate()
    bucket.hold = () => {
      written.open()
      return undefined
    }
    positions.hurry()
    positions.record('u', '', { epoch: 'e', inbox: 1 })
    t.equal(bucket.writes, 0)
    positions.hurry()
    await written.pass()
    t.equal(bucket.writes, 1)
    positions.record('u', '', { epoch: 'e', inbox: 2 })
    await positions.stop()
    t.equal(bucket.text('u\n'), 'e.2')
    positions.record('u', '', { epoch: 'e', inbox: 3 })
    positions.hurry()
    await positions.flush()
    t.equal(bucket.text('u\n'), 'e.3', 'what comes later has to be flushed by hand')
  })
})
