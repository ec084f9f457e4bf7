// User ids as subject tokens: injective, reversible, and nothing in them that a subject or the protocol could mistake.

import t from 'tap'
import { seededRandom } from '../../bench/random.js'
import { BusError } from '../../bus/bus.js'
import { encodeToken, isUserId, partitionOf, tokenUser, userToken } from '../../bus/user-token.js'

const SAFE = /^[A-Za-z0-9_@+=:,~%-]+$/

t.test('what is plain stays as it is, the rest is escaped', async (t) => {
  const pairs = [
    ['alice', 'alice'],
    ['bob@example.com', 'bob@example%2Ecom'],
    ['a b', 'a%20b'],
    ['*', '%2A'],
    ['>', '%3E'],
    ['a.b', 'a%2Eb'],
    ['a%2Eb', 'a%252Eb'],
    ['%', '%25'],
    ['用户1', '%E7%94%A8%E6%88%B71'],
    ['😀', '%F0%9F%98%80'],
  ] as const
  for (const [user, token] of pairs) {
    t.equal(userToken(user), token)
    t.equal(tokenUser(token), user)
  }
  t.equal(encodeToken('\r\n'), '%0D%0A', 'a key, unlike a user, may hold anything')
})

t.test('what is no user id', async (t) => {
  const bad = [
    '',
    'x'.repeat(257),
    'ü'.repeat(129),
    'a\u0000',
    '\u001f',
    'a\tb',
    'a\r\n',
    '\u007f',
    '\u0080',
    '\u009f',
    '\ud800',
    'a\udc00b',
  ]
  for (const user of bad) {
    t.equal(isUserId(user), false, JSON.stringify(user.slice(0, 20)))
    t.throws(() => userToken(user), BusError)
  }
  for (const user of ['x', 'x'.repeat(256), 'ü'.repeat(128), '\u00a0', '\ufeff'])
    t.equal(isUserId(user), true, JSON.stringify(user.slice(0, 20)))
})

t.test('what is no token', async (t) => {
  for (const token of ['', 'a.b', 'a b', '*', '>', '%', '%2', '%2e', '%41', '%00', '%FF', '%C0%AE', '%ED%A0%80', 'a%20b ', 'ü']) {
    t.throws(() => tokenUser(token), JSON.stringify(token))
  }
})

t.test('two hundred thousand random ids: reversible, injective, safe', async (t) => {
  const seed = Date.now() % 2 ** 31
  const random = seededRandom(seed)
  const pick = (count: number) => Math.floor(random() * count)
  const letters = () => {
    const kind = pick(10)
    if (kind < 3) return 'ab%2E.* >'.charAt(pick(9))
    if (kind < 6) return String.fromCharCode(pick(128))
    if (kind < 9) return String.fromCharCode(pick(65536))
    return String.fromCodePoint(0x10000 + pick(0x100000))
  }
  const users = new Map<string, string>()
  let ids = 0
  const failed: string[] = []
  for (let i = 0; i < 200_000; i++) {
    let user = ''
    for (let left = pick(12); left >= 0; left--) user += letters()
    if (!isUserId(user)) {
      // Even what is no user id has a safe token (bucket keys); only lone surrogates have no bytes of their own.
      if (user !== '' && !SAFE.test(encodeToken(user))) failed.push(user)
      continue
    }
    ids++
    const token = userToken(user)
    const other = users.get(token)
    if (!SAFE.test(token) || tokenUser(token) !== user || (other !== undefined && other !== user)) failed.push(user)
    users.set(token, user)
  }
  t.strictSame(failed, [], `seed ${seed}`)
  t.ok(ids > 50_000 && users.size > 40_000, `${ids} ids, seed ${seed}`)
})

t.test('the partition of a user never changes', async (t) => {
  // FNV-1a (32 bit) over the token, part of the public subject scheme: 'a' is e40c292c, 'foobar' bf9cf968.
  t.equal(partitionOf('a', 16), 0xe40c292c % 16)
  t.equal(partitionOf('foobar', 16), 0xbf9cf968 % 16)
  t.equal(partitionOf('foobar', 7), 0xbf9cf968 % 7)
  const counts = Array<number>(16).fill(0)
  for (let i = 0; i < 16_000; i++) {
    const partition = partitionOf(`user${i}`, 16)
    counts[partition] = (counts[partition] ?? 0) + 1
  }
  t.ok(Math.min(...counts) > 500 && Math.max(...counts) < 2000, 'and they are spread evenly')
})
