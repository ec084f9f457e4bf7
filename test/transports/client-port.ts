// What every client can rely on at the client port, black box, over real sockets: the sentences of the protocol
// (docs/protocol.md) as tests, for any engine.

import type { Test } from 'tap'
import type { EngineName } from '../support/world.js'
import { type Cases, deliveryCases } from './port-delivery.js'
import { leavingCases } from './port-leaving.js'
import { limitCases } from './port-limits.js'
import { peopleCases } from './port-people.js'
import { refusalCases } from './port-refusals.js'
import { resumeCases } from './port-resume.js'

const SECTIONS: Readonly<Record<string, Cases>> = {
  delivery: deliveryCases,
  'coming back': resumeCases,
  people: peopleCases,
  refusals: refusalCases,
  limits: limitCases,
  leaving: leavingCases,
}

/** Cases that run at a time: most of them wait most of the time. */
const JOBS = 6

export async function clientPortSuite(t: Test, engine: EngineName): Promise<void> {
  t.jobs = JOBS
  // ONLY=… runs the cases with this in their names.
  const only = process.env.ONLY
  const running: PromiseLike<unknown>[] = []
  for (const [section, cases] of Object.entries(SECTIONS)) {
    for (const [name, run] of Object.entries(cases)) {
      if (only !== undefined && !name.includes(only)) continue
      running.push(t.test(`${section}: ${name}`, { buffered: true }, (t) => run(t, engine)))
    }
  }
  await Promise.all(running)
}
