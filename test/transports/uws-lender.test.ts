// How a handshake on the uws engine is accepted outside of its own callback: never in a cork of its own.

import type { HttpResponse } from 'uWebSockets.js'
import t from 'tap'
import { UwsLender } from '../../transports/engine/uws-lender.js'
import type { UwsSocket } from '../../transports/engine/uws-socket.js'

/** Who is corked, as in uWebSockets.js: one at a time, and `cork` only calls back while somebody else is. */
class Loop {
  corked: string | undefined = undefined
  readonly log: string[] = []

  cork(name: string, work: () => void): void {
    const before = this.corked
    this.corked ??= name
    work()
    this.corked = before
  }

  socket(name: string): UwsSocket {
    return { lendCork: (work: () => void) => this.cork(name, work) } as UwsSocket
  }

  /** Logs who is corked while it is upgraded. */
  upgrade(lender: UwsLender): void {
    const response = { cork: (work: () => void) => this.cork('itself', work) } as HttpResponse
    lender.run(response, () => this.log.push(this.corked ?? 'nobody'))
  }
}

t.test('another WebSocket is corked meanwhile, as long as one is open', async (t) => {
  const [loop, lender] = [new Loop(), new UwsLender()]
  const [a, b] = [loop.socket('a'), loop.socket('b')]
  loop.upgrade(lender)
  lender.add(a)
  lender.add(b)
  loop.upgrade(lender)
  lender.delete(b)
  loop.upgrade(lender)
  lender.add(b)
  lender.delete(a)
  loop.upgrade(lender)
  lender.delete(b)
  loop.upgrade(lender)
  t.same(loop.log, ['nobody', 'b', 'a', 'b', 'nobody'])
})
