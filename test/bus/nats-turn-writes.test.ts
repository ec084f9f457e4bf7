// When what was published is written: with a client that only counts, and with the real one.

import { connect, type NatsConnection } from 'nats'
import t from 'tap'
import { writeOnceATurn } from '../../bus/nats-turn-writes.js'
import { getNatsServer, startNats } from '../support/nats-server.js'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

t.test('once at the end of a turn, and at once when it is much', async (t) => {
  let [bytes, writes] = [0, 0]
  const protocol = {
    outbound: { size: () => bytes },
    flushPending() {
      if (bytes > 0) writes++
      bytes = 0
    },
  }
  t.equal(writeOnceATurn({ protocol } as unknown as NatsConnection), true)
  for (const [sizes, expected] of [
    [[10, 20, 30], 1],
    [[64 * 1024 - 1], 1],
    [[64 * 1024, 5], 2],
  ] as const) {
    writes = 0
    for (const size of sizes) {
      await Promise.resolve()
      bytes += size
      protocol.flushPending()
    }
    t.equal(writes, expected - 1, `${sizes}: before the end`)
    await turn()
    t.equal(writes, expected, `${sizes}`)
  }
})

t.test('a client of another make is left alone', (t) => {
  t.equal(writeOnceATurn({} as NatsConnection), false)
  t.equal(writeOnceATurn({ protocol: { flushPending: () => {} } } as unknown as NatsConnection), false)
  t.end()
})

const skip = (await getNatsServer()) === undefined ? 'no nats-server' : false
t.test('the client that is installed is the one this was made for, and nothing is lost or swapped', { skip }, async (t) => {
  const server = await startNats()
  t.teardown(() => server.stop())
  const client = await connect({ servers: server.url })
  t.equal(writeOnceATurn(client), true)
  const got: string[] = []
  client.subscribe('a', { callback: (_error, message) => got.push(message.string()) })
  for (let i = 0; i < 100; i++) {
    client.publish('a', `${i}`)
    if (i % 3 === 0) await Promise.resolve()
    if (i % 10 === 0) await turn()
  }
  await client.flush()
  t.same(
    got,
    Array.from({ length: 100 }, (_, i) => `${i}`),
  )
  await client.close()
})
