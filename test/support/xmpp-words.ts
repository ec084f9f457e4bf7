// Stanzas in words, and sessions of XMPP clients that log in: for tests around fake gateways.

import type { Element } from '../../proto/xml/element.js'
import { CLIENT_NS, ROSTER_NS } from '../../proto/xml/namespaces.js'
import type { World } from './c2s-world.js'
import type { FakeGateway, FakeSession } from './fake-gateway.js'

/** Enough time for a session that has become available to be told what it missed. */
export const LOOK_MS = 1000

/**
 * `alice/phone → bob: away tea 5` (no type: available), `error bad-request`, `push bob to (subscribe) "Bob" [work,chess]`,
 * `result`; addresses are without their domain.
 */
export function describe(stanza: Element): string {
  const type = stanza.attribute('type')
  if (type === 'error') return `error ${stanza.child('error', CLIENT_NS)?.elements[0]?.name}`
  const item = stanza.child('query', ROSTER_NS)?.elements[0]
  if (stanza.name === 'iq') return type === 'set' && item !== undefined ? `push ${describeItem(item)}` : type
  const [from, to] = [stanza.attribute('from'), stanza.attribute('to')].map((jid) => jid.replace('@localhost', ''))
  const said = stanza.elements.map(({ text }) => text)
  const about = [type, ...said].filter((word) => word !== '').join(' ')
  return `${from}${to === '' ? '' : ` → ${to}`}${about === '' ? '' : `: ${about}`}`
}

export function describeItem(item: Element): string {
  const groups = item.elements.map(({ text }) => text)
  return [
    item.attribute('jid').replace('@localhost', ''),
    item.attribute('subscription'),
    ...(item.attribute('ask') === '' ? [] : [`(${item.attribute('ask')})`]),
    ...(item.attribute('name') === '' ? [] : [`"${item.attribute('name')}"`]),
    ...(groups.length === 0 ? [] : [`[${groups.join(',')}]`]),
  ].join(' ')
}

/** What the session got since it was asked last. */
export async function heard(world: World, session: FakeSession): Promise<string[]> {
  await world.settle()
  return session.stanzas.splice(0).map(describe)
}

/** Presence that a native session was told of since it was asked last. */
export async function told(world: World, session: FakeSession): Promise<string[]> {
  await world.settle()
  return session.take('presence').map(({ user, status, note }) => `${user} ${status}${note === '' ? '' : `: ${note}`}`)
}

/** A session that is available; with `interested` it has asked for the roster first. */
export async function login(
  world: World,
  gateway: FakeGateway,
  user: string,
  resource: string,
  said = '',
  interested = false,
): Promise<FakeSession> {
  const session = await gateway.open(user, { resource })
  if (interested) await session.say(`<iq xmlns='${CLIENT_NS}' type='get' id='roster'><query xmlns='${ROSTER_NS}'/></iq>`)
  await session.say(`<presence xmlns='${CLIENT_NS}'>${said}</presence>`)
  await world.pass(LOOK_MS)
  return session
}

/** Both see each other; nobody has a session. */
export async function befriend(world: World, gateway: FakeGateway, a: string, b: string, lingerMs: number): Promise<void> {
  const [one, two] = [await gateway.open(a), await gateway.open(b)]
  await one.ask({ roster: { op: 'subscribe', user: b } })
  await two.ask({ roster: { op: 'approve', user: a } })
  await two.ask({ roster: { op: 'subscribe', user: a } })
  await one.ask({ roster: { op: 'approve', user: b } })
  await one.bye()
  await two.bye()
  await world.pass(2 * lingerMs + 1000)
}
