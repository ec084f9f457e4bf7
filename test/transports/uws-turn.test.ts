// When an answer on the uws engine has to wait for the end of the turn.

import t from 'tap'
import { type Late, UwsTurn } from '../../transports/engine/uws-turn.js'

class Answer implements Late {
  sent = 0
  sendLate(): void {
    this.sent++
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

t.test('outside of every call nothing waits', async (t) => {
  t.equal(new UwsTurn().defers(new Answer()), false)
})

t.test('inside a call what it is for does not wait, others do, until the turn is over', async (t) => {
  const uws = new UwsTurn()
  const [own, other, later] = [new Answer(), new Answer(), new Answer()]
  uws.begin(own)
  t.equal(uws.defers(own), false)
  t.equal(uws.defers(other), true)
  uws.leave()
  await Promise.resolve()
  t.equal(uws.defers(later), true, 'promises of the call are still running')
  t.same([own.sent, other.sent, later.sent], [0, 0, 0])
  await turn()
  t.same([own.sent, other.sent, later.sent], [0, 1, 1])
  t.equal(uws.defers(later), false)
})

t.test('an answer that makes another one during the end of a turn, and an end before its time', async (t) => {
  const uws = new UwsTurn()
  const second = new Answer()
  const first = { sendLate: () => t.equal(uws.defers(second), false) }
  uws.begin(null)
  uws.defers(first)
  uws.flush()
  uws.begin(null)
  t.equal(uws.defers(second), true)
  await turn()
  await turn()
  t.equal(second.sent, 1)
})
