// Records on the buckets of the embedded bus.

import t from 'tap'
import { World } from '../support/c2s-world.js'
import { storeSuite } from '../support/store-suite.js'

storeSuite(t, 'the embedded bus', async () => {
  const world = await World.open(t)
  return [world.bus(), world.bus()]
})
