// Turning message carbons on and off (XEP-0280 §3, §4). The copies themselves are made by the gateway that holds the session.

import type { Handler, Incoming } from './incoming.js'
import { byType, iqResult } from './iq-result.js'

export const enableCarbons = byType({ set: (incoming) => switchTo(incoming, true) })
export const disableCarbons = byType({ set: (incoming) => switchTo(incoming, false) })

async function switchTo(incoming: Incoming, carbons: boolean): ReturnType<Handler> {
  incoming.state.change({ carbons })
  return iqResult(incoming)
}
