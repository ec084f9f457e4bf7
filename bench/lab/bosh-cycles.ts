// Empty BOSH cycles: requests that release the one that is held, as the BOSH benchmark makes them.

import { BoshCrowd } from '../bosh-crowd.js'
import { measureRow } from '../bosh-row.js'
import type { Contender, WireTarget } from './contender.js'
import type { PartOptions } from './part.js'
import type { Finding } from './rig.js'

const WINDOW = 32

/** `firstUser`: to whom nobody has written, since what is unread would come into the cycles. */
export async function boshCycles(
  { root, seed, progress, places }: Pick<PartOptions, 'root' | 'seed' | 'progress' | 'places'>,
  { name, version, recipe, processes, stop }: Contender,
  { port, settings: { path = '/http-bind', domain = 'localhost' } }: WireTarget,
  { sessions, firstUser, seconds }: { readonly sessions: number; readonly firstUser: number; readonly seconds: number },
): Promise<Finding> {
  const contestant = { name, version, recipe, processes, ports: [port], path, domain, stop: () => stop() }
  const crowd = await BoshCrowd.open(root, contestant, sessions - (sessions % 2), seed, progress, firstUser)
  try {
    places.put('load', crowd.pid)
    const order = { cycle: 'empty', rate: undefined, window: WINDOW, seconds, sizeBytes: 0, ephemeral: false } as const
    const row = await measureRow(contestant, crowd, { phase: 'empty', round: 1, sessions }, order)
    return {
      figures: {
        delivered: row.cycles,
        seconds: row.seconds,
        perSecond: row.cyclesPerSecond,
        cpuUsPerMessage: row.cpuUsPerCycle,
        cpuUsByProcess: row.cpuUsPerCycleOf,
        perCoreSecond: row.perCoreSecond,
        bytesDownPerMessage: row.downBytesPerCycle,
        bytesUpPerMessage: row.upBytesPerCycle,
      },
      invalid: row.invalid,
    }
  } finally {
    await crowd.close()
  }
}
