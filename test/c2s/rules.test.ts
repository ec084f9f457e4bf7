// The rules without a bus: what a user is shown as, which topics a token allows, how many run at once.

import t from 'tap'
import { forEachLimited } from '../../bus/for-each-limited.js'
import { Gate, KeyedQueue } from '../../c2s/pool.js'
import { aggregate, OFFLINE, type SessionPresence, type Status } from '../../c2s/status.js'
import { allows, isTopic, matches } from '../../c2s/topic-pattern.js'

function session(name: string, status: Status, note = '', since = 0): SessionPresence {
  return { session: name, status, note, since }
}

t.test('the sessions of a user as one', async (t) => {
  t.same(aggregate([], OFFLINE), OFFLINE)
  t.same(aggregate([], { status: 'online', note: 'here' }), OFFLINE)
  const order: Status[] = ['offline', 'away', 'dnd', 'online']
  for (const a of order) {
    for (const b of order) {
      const winner = order.indexOf(a) > order.indexOf(b) ? a : b
      t.equal(aggregate([session('1', a), session('2', b)], OFFLINE).status, winner, `${a} and ${b}`)
    }
  }
  t.test('the note', async (t) => {
    const two = [session('1', 'away', 'lunch', 1), session('2', 'away', 'tea', 2)]
    t.equal(aggregate(two, OFFLINE, '1').note, 'lunch', 'of the session that changed')
    t.equal(aggregate(two, { status: 'away', note: 'lunch' }).note, 'lunch', 'stays as it was told')
    t.equal(aggregate(two, { status: 'online', note: 'lunch' }).note, 'tea', 'else of the newest')
    t.equal(aggregate([...two, session('3', 'away', '', 3)], OFFLINE).note, 'tea', 'of those that have one')
    t.equal(
      aggregate([...two, session('3', 'dnd', 'busy', 0)], { status: 'away', note: 'tea' }, '1').note,
      'busy',
      'only of the winning status',
    )
    t.same(aggregate([session('1', 'offline', 'gone fishing')], OFFLINE, '1'), { status: 'offline', note: 'gone fishing' })
  })
})

t.test('topic patterns', async (t) => {
  const cases: [pattern: string, topic: string, expected: boolean][] = [
    ['news', 'news', true],
    ['news', 'newsy', false],
    ['news', 'new', false],
    ['News', 'news', false],
    ['', 'a', false],
    ['*', 'a', true],
    ['*', 'a.b/c d', true],
    ['news*', 'news', true],
    ['news.*', 'news.', true],
    ['news.*', 'news', false],
    ['*.sport', 'a.b.sport', true],
    ['*.sport', '.sport', true],
    ['a*b*c', 'abc', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['**', 'x', true],
    ['a**b', 'ab', true],
    ['用*', '用户', true],
    ['.', 'a', false],
    ['a+', 'aa', false],
  ]
  for (const [pattern, topic, expected] of cases) t.equal(matches(pattern, topic), expected, `${pattern} and ${topic}`)
  const slow = performance.now()
  t.equal(matches(`${'*a'.repeat(100)}b`, 'a'.repeat(256)), false)
  t.ok(performance.now() - slow < 200, 'no pattern takes long')
  t.equal(allows({ patterns: ['a', 'b*'], any: false }, 'bc'), true)
  t.equal(allows({ patterns: ['a', 'b*'], any: false }, 'c'), false)
  t.equal(allows({ patterns: [], any: false }, 'c'), false)
  t.equal(allows({ patterns: [], any: true }, 'c'), true)
})

t.test('names of topics', async (t) => {
  for (const topic of ['a', 'a b', 'news/sport.2024', '用户', 'x'.repeat(256)]) t.ok(isTopic(topic), topic.slice(0, 20))
  for (const topic of ['', 'x'.repeat(257), `${'é'.repeat(128)}x`, 'a\nb', 'a\0', 'a\u007f', 'a\u0085', 'a*', '\ud800']) {
    t.notOk(isTopic(topic), JSON.stringify(topic.slice(0, 20)))
  }
})

/** Work that ends when told to. */
function works(): { begun: number[]; start(n: number): Promise<void>; end(n: number): void; fail(n: number): void } {
  const ends = new Map<number, { resolve(): void; reject(error: Error): void }>()
  const begun: number[] = []
  return {
    begun,
    start: (n) => {
      begun.push(n)
      return new Promise((resolve, reject) => ends.set(n, { resolve, reject }))
    },
    end: (n) => ends.get(n)?.resolve(),
    fail: (n) => ends.get(n)?.reject(new Error(`work ${n}`)),
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

t.test('a few at a time', async (t) => {
  const work = works()
  const done = forEachLimited([1, 2, 3, 4], 2, work.start)
  t.same(work.begun, [1, 2])
  work.end(2)
  await turn()
  t.same(work.begun, [1, 2, 3])
  work.fail(1)
  await turn()
  t.same(work.begun, [1, 2, 3], 'nothing is begun after a failure')
  work.end(3)
  await t.rejects(done, { message: 'work 1' })

  const gate = new Gate(1)
  const behind = works()
  const first = gate.run(() => behind.start(1))
  const second = gate.run(() => behind.start(2))
  t.same(behind.begun, [1])
  behind.fail(1)
  await t.rejects(first)
  await turn()
  t.same(behind.begun, [1, 2])
  behind.end(2)
  await second
  const third = gate.run(() => behind.start(3))
  t.same(behind.begun, [1, 2, 3], 'free again')
  behind.end(3)
  await third
})

t.test('one after the other for each key', async (t) => {
  const queue = new KeyedQueue()
  const work = works()
  const first = queue.run('a', () => work.start(1))
  const second = queue.run('a', () => work.start(2))
  const other = queue.run('b', () => work.start(3))
  t.same(work.begun, [1, 3])
  work.fail(1)
  await t.rejects(first, { message: 'work 1' })
  await turn()
  t.same(work.begun, [1, 3, 2], 'a failure does not hold up the next')
  work.end(2)
  work.end(3)
  await Promise.all([second, other])
})
