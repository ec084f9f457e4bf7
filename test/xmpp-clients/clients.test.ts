// XMPP clients as they come from npm, against a whole server: each lives through a day with a user of Holdwire's own clients,
// then all of them are friends.

import t from 'tap'
import { type HoldwireProcess, startProcess } from '../support/holdwire-process.js'
import { browserPath, launch } from './browser.js'
import type { Account, ChatClient, Transport, XmppServer } from './chat-client.js'
import { ConversePage } from './converse-page.js'
import { type NativeKind, NativePeer } from './native-peer.js'
import { areFriends, dayOf } from './scenario.js'
import { StanzaJs } from './stanza-js.js'
import { StrophePage } from './strophe-page.js'
import { XmppJs } from './xmpp-js.js'

t.setTimeout(240_000)

// The time for logging in: see PATIENCE_MS.
const patient = ['--auth-timeout-seconds', '30']
const running = await startProcess('serve', '--log-level', 'error', '--drain-seconds', '0', '--presence-linger-seconds', '0.2', ...patient)
t.teardown(() => running.stop())
const port = Number(new URL(running.clientUrl).port)
const path = browserPath()
const browser = path === undefined ? undefined : await launch(path)
t.teardown(() => browser?.close())

const server: XmppServer = {
  domain: 'localhost',
  boshUrl: `${running.clientUrl}/http-bind`,
  websocketUrl: `${running.clientUrl.replace('http', 'ws')}/xmpp-websocket`,
}

interface Kind {
  readonly name: string
  readonly transport: Transport
  readonly native: NativeKind
  /** Undefined: there is no browser for it. */
  readonly make: ((account: Account) => ChatClient) | undefined
}

const inBrowser = (make: (on: NonNullable<typeof browser>, account: Account) => ChatClient) =>
  browser === undefined ? undefined : (account: Account) => make(browser, account)

const KINDS: readonly Kind[] = [
  { name: 'xmpp-js', transport: 'websocket', native: 'sse', make: (account) => new XmppJs(server, account) },
  { name: 'stanza', transport: 'bosh', native: 'websocket', make: (account) => new StanzaJs(server, account, 'bosh') },
  { name: 'stanza', transport: 'websocket', native: 'keepalive', make: (account) => new StanzaJs(server, account, 'websocket') },
  {
    name: 'strophe',
    transport: 'bosh',
    native: 'longpoll',
    make: inBrowser((on, account) => new StrophePage(on, server, account, 'bosh')),
  },
  {
    name: 'strophe',
    transport: 'websocket',
    native: 'sse',
    make: inBrowser((on, account) => new StrophePage(on, server, account, 'websocket')),
  },
  {
    name: 'converse',
    transport: 'bosh',
    native: 'websocket',
    make: inBrowser((on, account) => new ConversePage(on, server, account, 'bosh')),
  },
  {
    name: 'converse',
    transport: 'websocket',
    native: 'longpoll',
    make: inBrowser((on, account) => new ConversePage(on, server, account, 'websocket')),
  },
]

async function newAccount({ internalUrl }: HoldwireProcess, user: string): Promise<Account> {
  const account = { user, password: `secret of ${user}` }
  const response = await fetch(`${internalUrl}/api/v1/accounts/${user}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ password: account.password }),
  })
  if (!response.ok) throw new Error(`account ${user}: ${response.status} ${await response.text()}`)
  return account
}

function without(make: Kind['make']): string | false {
  return make === undefined ? 'no Chromium on PATH' : false
}

t.test('each with a user of another kind', async (t) => {
  t.jobs = 3 // most of it is waiting
  for (const { name, transport, native, make } of KINDS) {
    t.test(`${name} over ${transport}, with a user on ${native}`, { skip: without(make), buffered: true }, async (t) => {
      const account = await newAccount(running, `${name}-${transport}`)
      const peer = await NativePeer.open(port, native, `friend-of-${account.user}`)
      t.teardown(() => peer.drop())
      if (make !== undefined) await dayOf(t, account.user, () => make(account), peer)
    })
  }
})

t.test('all of them talk to each other', async (t) => {
  const clients = await Promise.all(
    KINDS.map(async ({ name, transport, make }) => {
      const account = await newAccount(running, `${name}-${transport}-2`)
      return make === undefined ? [] : [{ user: account.user, client: make(account) }]
    }),
  ).then((all) => all.flat())
  t.teardown(() => Promise.all(clients.map(({ client }) => client.dispose())))
  await Promise.all(clients.map(({ client }, i) => client.login(i % 2 ? 'PLAIN' : 'SCRAM')))
  await befriend(clients)
  for (const { client, user } of clients) {
    for (const other of clients) if (other.user !== user) await client.sendChat(other.user, `${user} to ${other.user}`)
  }
  for (const { client, user } of clients) {
    const others = clients.map((other) => other.user).filter((other) => other !== user)
    await client.seen.until(() => client.seen.messages.length >= others.length, `${others.length} messages`)
    t.same(
      new Map(client.seen.messages.map(({ from, text }) => [from, text])),
      new Map(others.map((other) => [other, `${other} to ${user}`])),
    )
    t.equal(client.seen.messages.length, others.length, `${user} gets each once`)
  }
  for (const [i, { client, user }] of clients.entries()) {
    await client.logout()
    const rest = clients.slice(i + 1)
    await Promise.all(
      rest.map((other) => other.client.seen.until(() => other.client.seen.presenceOf(user) === 'offline', `${user} offline`)),
    )
  }
})

interface User {
  readonly user: string
  readonly client: ChatClient
}

/** Everybody asks everybody, and agrees. */
async function befriend(users: readonly User[]): Promise<void> {
  await Promise.all(users.flatMap((one, i) => users.slice(i + 1).map((other) => becomeFriends(one, other))))
  await Promise.all(users.flatMap((one) => users.filter((other) => other !== one).map(({ user }) => areFriends(one.client, user))))
}

async function becomeFriends(one: User, other: User): Promise<void> {
  for (const [asking, asked] of [
    [one, other],
    [other, one],
  ] as const) {
    await asking.client.addContact(asked.user)
    await asked.client.seen.until(() => asked.client.seen.requests.has(asking.user), `request of ${asking.user}`)
    await asked.client.approve(asking.user)
    await asking.client.seen.until(() => asking.client.seen.presenceOf(asked.user) === 'online', `${asked.user} online`)
  }
}
