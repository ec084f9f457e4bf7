// What a user does with a chat client in a day, the same for every client; the other side is anybody who can be talked to.

import type { Test } from 'tap'
import type { ChatClient, MakeClient } from './chat-client.js'

/** Who the client talks to. */
export interface Peer {
  readonly user: string
  /** Asks to see somebody's presence. */
  addContact(user: string): Promise<void>
  /** Waits until somebody asks, and agrees. */
  approveWhenAsked(user: string): Promise<void>
  sendChat(user: string, text: string): Promise<void>
  show(show: 'away' | 'online'): Promise<void>
  /** Resolves when the user is seen so. */
  seesPresence(user: string, status: 'online' | 'away' | 'offline'): Promise<void>
  /** Resolves when this is all that came from the user, in order. */
  seesChats(user: string, texts: readonly string[]): Promise<void>
}

/** Logging out takes the client and the server less than this. */
const QUICK_MS = 1500

export async function dayOf(t: Test, user: string, make: () => ReturnType<MakeClient>, peer: Peer): Promise<void> {
  let client = make()
  t.teardown(() => client.dispose())
  const { seen } = client

  await t.test('logs in by SCRAM; contacts; presence both ways', async () => {
    await client.login('SCRAM')
    await client.addContact(peer.user)
    await peer.approveWhenAsked(user)
    await seen.until(() => seen.presenceOf(peer.user) === 'online', `presence of ${peer.user}`)
    await peer.addContact(user)
    await seen.until(() => seen.requests.has(peer.user), `request of ${peer.user}`)
    await client.approve(peer.user)
    await peer.seesPresence(user, 'online')
    await areFriends(client, peer.user)
    await client.show('away')
    await peer.seesPresence(user, 'away')
    await peer.show('away')
    await seen.until(() => seen.presenceOf(peer.user) === 'away', `${peer.user} away`)
  })
  if (!t.passing()) return

  await t.test('chat both ways', async (t) => {
    await client.sendChat(peer.user, 'hello')
    await client.sendChat(peer.user, 'are you there?')
    await peer.seesChats(user, ['hello', 'are you there?'])
    await peer.sendChat(user, 'yes')
    await peer.sendChat(user, 'and <you> & yours?')
    await seen.until(() => seen.textsFrom(peer.user).length >= 2, 'two messages')
    t.same(seen.textsFrom(peer.user), ['yes', 'and <you> & yours?'])
  })
  if (!t.passing()) return

  const skip = client.reload === undefined ? 'the client cannot' : false
  await t.test('loaded anew, the session goes on and misses nothing', { skip }, async (t) => {
    const before = seen.messages.length
    await client.reload?.(() => peer.sendChat(user, 'while you were gone'))
    await seen.until(() => seen.messages.length > before, 'the message of the meantime')
    await peer.sendChat(user, 'and back')
    await seen.until(() => seen.messages.length > before + 1, 'the message after it')
    t.same(seen.textsFrom(peer.user).slice(before), ['while you were gone', 'and back'])
    await client.sendChat(peer.user, 'still me')
    await peer.seesChats(user, ['hello', 'are you there?', 'still me'])
  })
  if (!t.passing()) return

  await t.test('logs out at once, and is seen to', async (t) => {
    const start = performance.now()
    await client.logout()
    const tookMs = performance.now() - start
    t.ok(tookMs < QUICK_MS, `logout took ${tookMs.toFixed(0)} ms`)
    await peer.seesPresence(user, 'offline')
    await client.dispose()
  })
  if (!t.passing()) return

  await t.test('what was sent meanwhile is there at the next login, by PLAIN', async (t) => {
    await peer.sendChat(user, 'for later')
    client = make()
    await client.login('PLAIN')
    const again = client.seen
    await again.until(() => again.messages.length > 0, 'the message of the meantime')
    await again.until(() => again.presenceOf(peer.user) === 'away', `presence of ${peer.user}`)
    t.same(again.messages, [{ from: peer.user, text: 'for later', delayed: true }])
    await areFriends(client, peer.user)
    await client.logout()
    await client.dispose()
    t.same([...seen.complaints, ...again.complaints], [])
  })
}

const ROSTER_TIMES = 100
const ROSTER_PAUSE_MS = 50

/** Resolves when the client's roster says that both see each other: the push may come after the presence. */
export async function areFriends(client: ChatClient, user: string): Promise<void> {
  let subscription: string | undefined
  for (let i = 0; i < ROSTER_TIMES; i++) {
    subscription = (await client.roster()).get(user)
    if (subscription === 'both') return
    await new Promise((resolve) => setTimeout(resolve, ROSTER_PAUSE_MS))
  }
  throw new Error(`the subscription of ${user} is ${subscription}`)
}
