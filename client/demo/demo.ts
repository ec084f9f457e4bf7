// The demo page: one user, four sessions, and everything a user can do with one of them.

import { type Connection, HoldwireError, type PresenceStatus } from '../holdwire.js'
import { Column, type ColumnOwner, KINDS } from './column.js'
import { Contacts } from './contacts.js'
import { button, byId } from './dom.js'

const BURST = 20
const STATUSES: readonly string[] = ['online', 'away', 'dnd', 'offline'] satisfies PresenceStatus[]

const userInput = byId('user', HTMLInputElement)
const tokenInput = byId('token', HTMLTextAreaElement)
const sendTo = byId('send-to', HTMLInputElement)
const sendKind = byId('send-kind', HTMLSelectElement)
const sendText = byId('send-text', HTMLInputElement)
const sendOver = byId('send-over', HTMLSelectElement)
const statusSelect = byId('status', HTMLSelectElement)

/** The one transport this page is about; null: all of them. */
const over = new URLSearchParams(location.search).get('over')
const kinds = KINDS.filter(({ device }) => over === null || device === over)

let me = ''
let columns: Column[] = []
/** Of this page; the server does not list a user's topics. */
const topics = new Set<string>()

const contacts = new Contacts({
  approve: (user) =>
    attempt(
      'contacts-outcome',
      `${user} sees you now.`,
      (connection) => connection.roster.approve(user),
      () => contacts.answered(user),
    ),
  deny: (user) =>
    attempt(
      'contacts-outcome',
      `${user} does not see you.`,
      (connection) => connection.roster.deny(user),
      () => contacts.answered(user),
    ),
  remove: (user) => attempt('contacts-outcome', `${user} is removed.`, (connection) => connection.roster.remove(user)),
  write: (user) => {
    sendKind.value = 'user'
    sendTo.value = user
    sendText.focus()
  },
})

/** The connection chosen for sending if it is open, else any that is, else the chosen one (which sends when it is back). */
function connectionToUse(): Connection | undefined {
  const chosen = columns.find(({ kind }) => kind.device === sendOver.value) ?? columns[0]
  return (chosen?.open === true ? chosen : (columns.find((column) => column.open) ?? chosen))?.connection
}

/** Does something over the chosen connection and says below the form how that went. */
function attempt(outcomeId: string, success: string, act: (connection: Connection) => Promise<unknown>, then?: () => void): void {
  const connection = connectionToUse()
  if (connection === undefined) return
  const outcome = byId(outcomeId, HTMLParagraphElement)
  const say = (text: string, look: 'good' | 'bad' | 'busy') => {
    outcome.textContent = text
    outcome.dataset.look = look
  }
  say('Sending…', 'busy')
  act(connection).then(
    () => {
      say(success, 'good')
      then?.()
    },
    (error: unknown) => say(error instanceof HoldwireError ? `Refused: ${error.message} (${error.code})` : String(error), 'bad'),
  )
}

const owner: ColumnOwner = {
  get identity() {
    const token = tokenInput.value.trim()
    return { url: new URL('./', location.href).href, ...(token === '' ? { user: me } : { token }) }
  },
  onConnection(column, connection) {
    connection.on('roster', (frame) => contacts.onRoster(frame))
    connection.on('presence', (frame) => contacts.onPresence(frame))
    connection.on('error', (error) => console.error(column.kind.name, error))
  },
  onState(column, state) {
    if (state.kind === 'open') {
      if (state.user !== undefined && state.user !== me) setUser(state.user)
      if (column === columns.find((each) => each.open)) loadContacts(column.connection)
    }
    if (state.kind === 'closed' && state.reason.code === 'unauthorized') {
      leave(`The server refused this identity${state.reason.reason === '' ? '' : ` (${state.reason.reason})`}. It may want a token.`)
      byId('token-details', HTMLDetailsElement).open = true
    }
  },
}

function loadContacts(connection: Connection): void {
  connection.roster.get().then(
    (items) => contacts.setAll(items),
    (error: unknown) => console.error('contacts', error),
  )
}

function setUser(user: string): void {
  me = user
  byId('user-name', HTMLElement).textContent = user
  byId('avatar', HTMLElement).textContent = (
    user.codePointAt(0) === undefined ? '?' : String.fromCodePoint(user.codePointAt(0) ?? 63)
  ).toUpperCase()
  const other = user === 'bob' ? 'alice' : 'bob'
  const link = byId('other-user', HTMLAnchorElement)
  link.href = `?user=${other}&over=demo-ws`
  link.textContent = `Open as ${other}`
  if (sendTo.value === '') sendTo.value = user
  showCurl()
}

function enter(user: string): void {
  const params = new URLSearchParams(tokenInput.value.trim() === '' ? { user } : {})
  if (over !== null) params.set('over', over)
  history.replaceState(null, '', `?${params}`)
  document.title = `${user} · Holdwire`
  show('stage')
  sendTo.value = ''
  setUser(user)
  columns = kinds.map((kind) => new Column(kind, owner))
  const place = byId('columns', HTMLElement)
  place.replaceChildren(...columns.map(({ element }) => element))
  place.classList.toggle('single', columns.length === 1)
  byId('why-single', HTMLElement).hidden = columns.length > 1
  byId('all-four', HTMLAnchorElement).href = `?user=${encodeURIComponent(user)}`
}

function leave(problem?: string): void {
  const leaving = columns
  columns = []
  for (const { connection } of leaving) connection.close().catch((error: unknown) => console.error('closing', error))
  contacts.clear()
  history.replaceState(null, '', './')
  document.title = 'Holdwire'
  const problemLine = byId('enter-problem', HTMLParagraphElement)
  problemLine.hidden = problem === undefined
  problemLine.textContent = problem ?? ''
  show('welcome')
}

function show(view: 'welcome' | 'stage'): void {
  byId('welcome', HTMLElement).hidden = view !== 'welcome'
  byId('stage', HTMLElement).hidden = view !== 'stage'
  byId('who', HTMLElement).hidden = view !== 'stage'
}

function showTopics(): void {
  const lines = [...topics].map((topic) => {
    const line = document.createElement('li')
    const name = document.createElement('span')
    name.className = 'name'
    name.textContent = `# ${topic}`
    const write = button('Write', () => {
      sendKind.value = 'topic'
      sendTo.value = topic
      sendText.focus()
    })
    const stop = button('Unsubscribe', () => {
      attempt(
        'topics-outcome',
        `You left ${topic}.`,
        (connection) => connection.unsubscribe(topic),
        () => {
          topics.delete(topic)
          showTopics()
        },
      )
    })
    line.append(name, write, stop)
    return line
  })
  byId('topics', HTMLUListElement).replaceChildren(...lines)
  byId('no-topics', HTMLParagraphElement).hidden = lines.length > 0
}

function showCurl(): void {
  const body = JSON.stringify({ to: { user: me }, data: { text: 'hello' } })
  // The page's own origin never reaches the internal port, so this is to be copied to a shell.
  byId('curl', HTMLPreElement).textContent = [
    `curl http://${location.hostname}:${byId('port', HTMLInputElement).value}/api/v1/push \\`,
    "  -H 'content-type: application/json' \\",
    `  -d '${body.replaceAll("'", String.raw`'\''`)}'`,
  ].join('\n')
}

for (const { name, device } of kinds) sendOver.add(new Option(name, device))

for (const chip of document.querySelectorAll<HTMLElement>('.chip')) {
  chip.addEventListener('click', () => {
    userInput.value = chip.dataset.user ?? ''
    enter(userInput.value)
  })
}

byId('enter', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  const user = userInput.value.trim()
  if (user !== '') enter(user)
  else if (tokenInput.value.trim() !== '') enter('you')
  else userInput.focus()
})

byId('leave', HTMLButtonElement).addEventListener('click', () => leave())

byId('send', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  const to = sendTo.value.trim()
  const data = { text: sendText.value }
  const began = performance.now()
  const sent = (connection: Connection) => (sendKind.value === 'topic' ? connection.publish(to, data) : connection.message(to, data))
  attempt('send-outcome', `Accepted for ${to}.`, sent, () => {
    byId('send-outcome', HTMLParagraphElement).textContent = `Accepted for ${to} in ${Math.round(performance.now() - began)} ms.`
  })
  sendText.value = ''
})

byId('burst', HTMLButtonElement).addEventListener('click', () => {
  attempt('send-outcome', `${BURST} messages accepted.`, (connection) =>
    Promise.all(Array.from({ length: BURST }, (_, n) => connection.message(me, { text: `message ${n + 1} of ${BURST}` }))),
  )
})

statusSelect.addEventListener('change', () => {
  const status = STATUSES.find((each) => each === statusSelect.value) as PresenceStatus | undefined
  if (status === undefined) return
  // Each session has a presence of its own; others see the best of them.
  attempt('contacts-outcome', `You are ${statusSelect.selectedOptions[0]?.text ?? status} now.`, () =>
    Promise.all(columns.filter(({ open }) => open).map(({ connection }) => connection.presence(status))),
  )
})

byId('add-contact', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  const input = byId('contact', HTMLInputElement)
  const user = input.value.trim()
  attempt(
    'contacts-outcome',
    `${user} was asked.`,
    (connection) => connection.roster.subscribe(user),
    () => {
      input.value = ''
    },
  )
})

byId('add-topic', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  const input = byId('topic', HTMLInputElement)
  const topic = input.value.trim()
  attempt(
    'topics-outcome',
    `You receive ${topic} now.`,
    (connection) => connection.subscribe(topic),
    () => {
      input.value = ''
      topics.add(topic)
      showTopics()
    },
  )
})

byId('port', HTMLInputElement).addEventListener('input', showCurl)

for (const copy of document.querySelectorAll<HTMLElement>('[data-copies]')) {
  copy.addEventListener('click', () => {
    const text = byId(copy.dataset.copies ?? '', HTMLElement).textContent ?? ''
    const say = (word: string) => {
      copy.textContent = word
      setTimeout(() => {
        copy.textContent = 'Copy'
      }, 1500)
    }
    // No clipboard without https or localhost.
    if (navigator.clipboard === undefined) say('Select it')
    else
      navigator.clipboard.writeText(text).then(
        () => say('Copied'),
        () => say('Select it'),
      )
  })
}

const asked = new URLSearchParams(location.search).get('user')
if (asked !== null && asked !== '') {
  userInput.value = asked
  enter(asked)
} else {
  userInput.focus()
}
