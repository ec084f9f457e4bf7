// How one message with the list of its users is put on the bus, and read again.

import t from 'tap'
import { crowdMessages, readCrowd } from '../../bus/nats-crowd.js'

const data = Buffer.from('line 1\nline 2 🙂\n')

t.test('what was put together comes apart again', async (t) => {
  for (const count of [1, 2, 5000]) {
    const tokens = Array.from({ length: count }, (_, i) => `user%2E${i}`)
    const all = [...crowdMessages(tokens, data, 1 << 20)]
    const read = all.map(({ message }) => readCrowd(message))
    t.same(
      read.flatMap((one) => one.tokens),
      tokens,
    )
    t.same(
      all.map(({ users }) => users),
      read.map((one) => one.tokens.length),
    )
    for (const one of read) t.ok(one.data.equals(data))
  }
})

t.test('no message is longer than it may be, at the limit and beside it', async (t) => {
  const tokens = ['aaaa', 'bbbb', 'cccc', 'dddd']
  const sizes = (limitBytes: number) => [...crowdMessages(tokens, data, limitBytes)].map(({ message }) => message.length - data.length)
  t.same(sizes(data.length + 20), [20])
  t.same(sizes(data.length + 19), [15, 5])
  t.same(sizes(data.length + 9), [5, 5, 5, 5])
  t.same(sizes(data.length), [5, 5, 5, 5], 'one at a time at least')
  const many = Array.from({ length: 9000 }, (_, i) => `u${i}`.padEnd(63, 'x'))
  const lists = [...crowdMessages(many, data, 1 << 20)].map(({ message }) => message.length - data.length)
  t.ok(Math.max(...lists) <= 64 * 1024)
  t.equal(
    lists.reduce((a, b) => a + b),
    9000 * 64,
  )
})

t.test('nobody, and what has no list', async (t) => {
  t.same([...crowdMessages([], data, 1000)], [])
  t.throws(() => readCrowd(Buffer.from('no list')), RangeError)
})
