// The list of contacts: who is there, who asks to see us, and what can be done about it.

import type { PresenceFrame, RosterFrame, RosterItem } from '../holdwire.js'
import { button, byId, find, fromTemplate } from './dom.js'

export interface ContactActions {
  approve(user: string): void
  deny(user: string): void
  remove(user: string): void
  /** Begin a message to the user. */
  write(user: string): void
}

export class Contacts {
  readonly #actions: ContactActions
  readonly #items = new Map<string, RosterItem>()
  readonly #requests = new Set<string>()
  readonly #presence = new Map<string, PresenceFrame>()

  constructor(actions: ContactActions) {
    this.#actions = actions
  }

  /** The whole list, as the server has it. */
  setAll(items: readonly RosterItem[]): void {
    this.#items.clear()
    for (const item of items) this.#items.set(item.user, item)
    this.#show()
  }

  onRoster(frame: RosterFrame): void {
    if (frame.op === 'request') this.#requests.add(frame.user)
    else if (frame.op === 'remove') this.#items.delete(frame.user)
    else this.#items.set(frame.user, frame)
    if (frame.op === 'set' && (frame.subscription === 'from' || frame.subscription === 'both')) this.#requests.delete(frame.user)
    this.#show()
  }

  onPresence(frame: PresenceFrame): void {
    this.#presence.set(frame.user, frame)
    this.#show()
  }

  answered(user: string): void {
    this.#requests.delete(user)
    this.#show()
  }

  clear(): void {
    this.#items.clear()
    this.#requests.clear()
    this.#presence.clear()
    this.#show()
  }

  #show(): void {
    const { approve, deny, remove, write } = this.#actions
    const requests = [...this.#requests].map((user) =>
      entry(user, 'ask', 'asks to see your presence', [button('Allow', () => approve(user)), button('Deny', () => deny(user))]),
    )
    const items = [...this.#items.values()].toSorted((a, b) => a.user.localeCompare(b.user))
    const contacts = items.map((item) => {
      const sees = item.subscription === 'to' || item.subscription === 'both'
      const presence = sees ? this.#presence.get(item.user) : undefined
      const status = presence?.status ?? (sees ? 'offline' : 'unknown')
      const acts = [button('Write', () => write(item.user)), button('Remove', () => remove(item.user))]
      return entry(item.user, status, detailOf(item, sees, presence), acts)
    })
    byId('requests', HTMLUListElement).replaceChildren(...requests)
    byId('contacts', HTMLUListElement).replaceChildren(...contacts)
    byId('no-contacts', HTMLParagraphElement).hidden = requests.length + contacts.length > 0
  }
}

function detailOf(item: RosterItem, sees: boolean, presence: PresenceFrame | undefined): string {
  if (!sees) return item.ask === undefined ? (item.subscription === 'from' ? 'sees you' : 'not subscribed') : 'asked, not answered yet'
  const status = presence?.status === 'dnd' ? 'busy' : (presence?.status ?? 'offline')
  return presence?.note === undefined ? status : `${status}: ${presence.note}`
}

function entry(user: string, look: string, detail: string, acts: readonly HTMLElement[]): HTMLElement {
  const line = fromTemplate('contact-template')
  line.dataset.look = look
  find(line, '.name', HTMLElement).textContent = user
  find(line, '.detail', HTMLElement).textContent = detail
  find(line, '.acts', HTMLElement).append(...acts)
  return line
}
