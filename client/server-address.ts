// URLs of the server's endpoints below the address the application gave.

type Query = Readonly<Record<string, string | undefined>>

export class ServerAddress {
  readonly #root: string

  /** http, https, ws and wss will do; relative to the page, if there is one. Throws TypeError for what is no URL. */
  constructor(url: string) {
    const page = (globalThis as { location?: { href: string } }).location?.href
    const { protocol, host, pathname } = new URL(url, page)
    this.#root = `${protocol.replace('ws', 'http')}//${host}${pathname.replace(/\/*$/, '/')}`
  }

  /** Members that are undefined are left out. */
  url(path: 'ws' | 'sse' | 'poll' | 'send', query: Query): string {
    const members = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : `${name}=${encodeURIComponent(value)}`))
    const root = path === 'ws' ? this.#root.replace('http', 'ws') : this.#root
    return `${root}${path}${members.length === 0 ? '' : `?${members.join('&')}`}`
  }
}
