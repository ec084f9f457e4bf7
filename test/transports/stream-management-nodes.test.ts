// Stream management between gateways: a session that is resumed at another node than the one it was at.

import t, { type Test } from 'tap'
import type { Session } from '../../gateway/session.js'
import { v1 } from '../../proto/messages.js'
import { renderStanza } from '../../transports/dialects/xmpp.js'
import { enterXmpp, Rig, type RigNode } from '../support/gateway-rig.js'
import { message, type TestSocket, WsRig } from '../support/xmpp-ws-rig.js'

const DOMAIN = 'localhost'
const SM = 'urn:xmpp:sm:3'

/** Sockets of a node. */
function socketsOf(node: RigNode): WsRig {
  return new WsRig({
    resume: (visitor) => node.streamDoor.resume(visitor),
    render: (delivery, session) => renderStanza(delivery, session, DOMAIN),
  })
}

async function send(rig: Rig, id: string): Promise<void> {
  const xml = Buffer.from(
    `<message xmlns='jabber:client' id='${id}' from='bob@${DOMAIN}/r' to='alice@${DOMAIN}' type='chat'><body>x</body></message>`,
  )
  await rig.bus.publish('alice', id, v1.Envelope.encode({ id, from: 'bob', time: Date.now(), xml, data: Buffer.from('{}') }).finish())
}

/** Requests for acknowledgement aside: when they come depends on how much comes at once. */
async function until(t: Test, socket: TestSocket, gist: readonly string[]): Promise<void> {
  const got: string[] = []
  for (let i = 0; i < 400 && got.length < gist.length; i++) {
    got.push(...socket.gist().filter((name) => name !== 'r'))
    if (got.length < gist.length) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  t.same(got, gist)
}

/** Bound, managed and available. */
async function login(node: RigNode): Promise<{ readonly socket: TestSocket; readonly session: Session }> {
  const sockets = socketsOf(node)
  const { socket, stream } = sockets.authenticated()
  const session = stream.bind(await enterXmpp(node, 'home'))
  socket.say(`<enable xmlns='${SM}' resume='true'/>`)
  session.show(v1.XmppShown.create({ available: true }))
  socket.heard()
  return { socket, session }
}

function resume(node: RigNode, previous: string, handled: number): TestSocket {
  const { socket } = socketsOf(node).authenticated()
  socket.say(`<resume xmlns='${SM}' previd='${previous}' h='${handled}'/>`)
  return socket
}

t.test('a session goes on at another node, and at yet another one, under the name it was given first', async (t) => {
  const rig = await Rig.start(t)
  const [a, b, c] = [await rig.node(), await rig.node(), await rig.node()]
  const { socket, session } = await login(a)
  socket.say(message('c1'))
  await send(rig, 'm1')
  await send(rig, 'm2')
  await until(t, socket, ['m1', 'm2'])
  socket.leave()
  await send(rig, 'm3')
  session.tell(Buffer.from(message('t1')))

  const atB = resume(b, session.id, 1)
  await until(t, atB, ['resumed:1', 't1', 'm2', 'm3'])
  t.equal(session.kind, 'closed')
  atB.say(message('c2'), `<a xmlns='${SM}' h='2'/>`)
  atB.heard()
  await send(rig, 'm4')
  await until(t, atB, ['m4'])

  const again = resume(b, session.id, 3)
  await until(t, again, ['resumed:2', 'm3', 'm4'])
  await until(t, atB, ['error:conflict', 'close'])
  again.leave()
  const atC = resume(c, session.id, 4)
  await until(t, atC, ['resumed:2', 'm4'])
  const home = resume(a, session.id, 5)
  await until(t, home, ['resumed:2'])
  await until(t, atC, ['error:conflict', 'close'])
  await send(rig, 'm5')
  await until(t, home, ['m5'])
})

t.test('not with the secret of another one, nor for another user', async (t) => {
  const rig = await Rig.start(t)
  const [a, b] = [await rig.node(), await rig.node()]
  const { session } = await login(a)
  const [node, number] = session.id.split('.')
  for (const at of [a, b]) await until(t, resume(at, `${node}.${number}.${'x'.repeat(22)}`, 0), ['failed:item-not-found'])
  t.equal(session.kind, 'attached')
  await until(t, resume(b, session.id, 0), ['resumed:0'])
  for (const at of [a, b]) await until(t, resume(at, `${node}.${number}.${'x'.repeat(22)}`, 0), ['failed:item-not-found'])
})
