// What Records promise, on whatever bus the buckets come from.

import type { Test } from 'tap'
import type { Bus } from '../../bus/bus.js'
import { type Codec, Records } from '../../c2s/store.js'

const numbers: Codec<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (data) => {
    const value = Number(Buffer.from(data).toString())
    if (Number.isNaN(value)) throw new Error('not a number')
    return value
  },
}

/** `open` gives two buses on the same store, to be closed by the suite. */
export function storeSuite(t: Test, name: string, open: () => Promise<readonly [Bus, Bus]>): void {
  t.test(`records on ${name}`, async (t) => {
    const [one, two] = await open()
    t.teardown(() => Promise.all([one.close(), two.close()]))
    const bucket = await one.bucket('suite')
    const records = new Records(bucket, numbers)
    const others = new Records(await two.bucket('suite'), numbers)
    const add = (present = 0): number => present + 1

    t.equal(await records.get('a'), undefined)
    t.same(await records.change('a', () => undefined), { before: undefined, after: undefined }, 'nothing made of nothing')
    t.equal(await others.get('a'), undefined)
    t.same(await records.change('a', add), { before: undefined, after: 1 })
    t.same(await others.change('a', add), { before: 1, after: 2 }, 'what one wrote the other reads')
    t.equal(await records.get('a'), 2)
    t.same(await records.change('a', (present) => present), { before: 2, after: 2 }, 'left alone')
    const { revision } = (await bucket.get('a')) ?? { revision: -1 }
    await records.change('a', () => undefined)
    t.equal((await bucket.get('a'))?.revision, revision, 'which writes nothing')

    let calls = 0
    const raced = await records.change('a', async (present = 0) => {
      if (++calls === 1) await others.change('a', (other = 0) => other * 10)
      return present + 1
    })
    t.same(raced, { before: 20, after: 21 }, 'somebody was faster: done again on what they wrote')
    t.equal(calls, 2)
    const created = await records.change('new', async (present = 0) => {
      if (present === 0) await others.change('new', () => 100)
      return present + 1
    })
    t.same(created, { before: 100, after: 101 }, 'also on creation')

    await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? records : others).change('count', add)))
    t.equal(await records.get('count'), 40, 'no change is lost')

    await t.rejects(
      records.change('a', () => {
        throw new Error('refused')
      }),
      { message: 'refused' },
      'what the change throws comes through',
    )
    await t.rejects(
      records.change('a', async () => {
        await others.change('a', add)
        return -1
      }),
      { code: 'conflict' },
      'somebody is always faster',
    )
    await bucket.delete('a')
    t.equal(await others.get('a'), undefined)
    t.same(await others.change('a', add), { before: undefined, after: 1 }, 'deleted and made again')
    for (const key of ['用户', 'a b', 'a.b', '*', '>', 'a\nb', 'x'.repeat(512)]) {
      await records.change(key, () => key.length)
      t.equal(await others.get(key), key.length, JSON.stringify(key.slice(0, 20)))
    }
    await bucket.put('damaged', Buffer.from('?'))
    await t.rejects(records.get('damaged'), { message: 'not a number' })
    await t.rejects(records.change('damaged', add), { message: 'not a number' }, 'is never overwritten')
  })
}
