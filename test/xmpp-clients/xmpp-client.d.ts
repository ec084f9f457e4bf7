// The part of @xmpp/client that is used here; the package has no types of its own.

declare module '@xmpp/client' {
  export interface Element {
    readonly name: string
    readonly attrs: Readonly<Record<string, string | undefined>>
    is(name: string, xmlns?: string): boolean
    getChild(name: string, xmlns?: string): Element | undefined
    getChildren(name: string, xmlns?: string): Element[]
    getChildText(name: string, xmlns?: string): string | null
  }

  export type Authenticate = (credentials: { username: string; password: string }, mechanism: string) => Promise<void>

  export interface Client {
    readonly status: string
    readonly jid: { toString(): string }
    readonly socket: { readonly socket: { terminate(): void } } | null
    readonly reconnect: { delay: number; stop(): void }
    readonly streamManagement: { readonly enabled: boolean; on(event: 'resumed' | 'fail', listener: () => void): void }
    readonly iqCaller: { request(iq: Element): Promise<Element> }
    readonly iqCallee: { set(xmlns: string, name: string, answer: () => object): void }
    on(event: 'stanza' | 'element' | 'send', listener: (element: Element) => void): void
    on(event: 'status', listener: (status: string) => void): void
    on(event: 'error', listener: (error: Error) => void): void
    on(event: 'online' | 'offline' | 'disconnect', listener: () => void): void
    start(): Promise<unknown>
    stop(): Promise<unknown>
    send(stanza: Element): Promise<void>
  }

  export function client(options: {
    service: string
    domain: string
    resource?: string
    credentials: (authenticate: Authenticate, mechanisms: readonly string[]) => Promise<void>
  }): Client

  export function xml(name: string, attrs?: Readonly<Record<string, string>>, ...children: readonly (Element | string)[]): Element
}
