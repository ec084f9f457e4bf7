// GET /.well-known/host-meta and host-meta.json: where XMPP clients find BOSH and the WebSocket (XEP-0156 §4, RFC 6415).

import { escapeAttribute } from '../proto/xml/element.js'
import { answerProblem } from './answers.js'
import type { Exchange, RequestHead } from './engine/engine.js'
import { defineHead } from './engine/heads.js'
import type { Visit } from './visit.js'

export interface HostMetaOptions {
  /** How clients reach the client port: `https://push.example.com`; '': as the request did. */
  readonly publicUrl: string
  /** Undefined: not served. */
  readonly boshPath: string | undefined
  readonly websocketPath: string | undefined
}

export const HOST_META_PATHS = ['/.well-known/host-meta', '/.well-known/host-meta.json'] as const

/** Pages of any origin may read it (§5). What it says depends on how it was asked for. */
const ANYONE = [
  ['access-control-allow-origin', '*'],
  ['cache-control', 'no-store'],
] as const
const XRD_HEAD = defineHead(200, [['content-type', 'application/xrd+xml; charset=utf-8'], ...ANYONE])
const JRD_HEAD = defineHead(200, [['content-type', 'application/json'], ...ANYONE])

/** Letters, digits, dots, hyphens and a port: it goes back out. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i

interface Link {
  readonly rel: string
  readonly href: string
}

/** Call while the head can be read. */
export function serveHostMeta(options: HostMetaOptions, visit: Visit, head: RequestHead, exchange: Exchange): void {
  const base = baseUrl(options.publicUrl, visit.secure, head.header('host'))
  if (base === undefined) {
    answerProblem(exchange, { code: 'malformed', reason: 'that is no host' }, [['access-control-allow-origin', '*']])
    return
  }
  const links = linksAt(base, options)
  if (visit.path.endsWith('.json')) exchange.respond(JRD_HEAD, JSON.stringify({ links }))
  else exchange.respond(XRD_HEAD, xrdText(links))
}

/** Without a slash at its end. Undefined: neither is there a public URL, nor has the client named a host. */
function baseUrl(publicUrl: string, secure: boolean, host: string): string | undefined {
  if (publicUrl !== '') return publicUrl.replace(/\/+$/, '')
  return HOST.test(host) ? `${secure ? 'https' : 'http'}://${host.toLowerCase()}` : undefined
}

function linksAt(base: string, { boshPath, websocketPath }: HostMetaOptions): Link[] {
  const links: Link[] = []
  if (boshPath !== undefined) links.push({ rel: 'urn:xmpp:alt-connections:xbosh', href: base + boshPath })
  // http → ws, https → wss
  if (websocketPath !== undefined)
    links.push({ rel: 'urn:xmpp:alt-connections:websocket', href: base.replace(/^http/i, 'ws') + websocketPath })
  return links
}

function xrdText(links: readonly Link[]): string {
  const lines = links.map(({ rel, href }) => `  <Link rel="${escapeAttribute(rel)}" href="${escapeAttribute(href)}"/>\n`)
  return `<?xml version="1.0" encoding="utf-8"?>\n<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">\n${lines.join('')}</XRD>\n`
}
