// Messages to XMPP servers: a component (XEP-0114) on one connection, which is how a backend speaks for itself without logging in
// for each sender. Nothing is acknowledged; messages go to full JIDs, so that nobody looks for the best resource.

import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { SinkTarget } from '../contender.js'
import type { Acknowledged, Sink } from '../sink.js'

const TIMEOUT_MS = 5000

/** Settings: `component`, its domain; `secret`; `domain` and `resource` of the users. */
export async function connectComponentSink({ url, settings }: SinkTarget, acknowledged: Acknowledged): Promise<Sink> {
  const { component = '', secret = '', domain = '', resource = '' } = settings
  const socket = await login(Number(new URL(url).port), component, secret)
  socket.on('data', () => undefined)
  let isLost = false
  socket.on('close', () => {
    isLost = true
  })
  return {
    publish: ({ id, user, topic, data }) => {
      if (topic !== undefined) throw new Error('a component has no topics')
      socket.write(
        `<message from='${component}' to='${user}@${domain}/${resource}' type='chat' id='${id}'><body>${escaped(data)}</body></message>`,
      )
      acknowledged(!isLost)
    },
    close: async () => {
      socket.end('</stream:stream>')
      socket.destroySoon()
    },
  }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

async function login(port: number, component: string, secret: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  let text = ''
  const until = (sign: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${sign} from the server: ${text}`)), TIMEOUT_MS)
      const look = (bytes: Buffer | string) => {
        text += bytes.toString()
        const found = sign.exec(text)
        if (found === null && !text.includes('<stream:error')) return
        clearTimeout(timer)
        socket.off('data', look)
        if (found === null) reject(new Error(`refused: ${text}`))
        else resolve(found[1] ?? '')
      }
      socket.once('error', reject)
      socket.on('data', look)
      look('')
    })
  const open = `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='${component}'>`
  socket.write(open)
  const id = await until(/<stream:stream[^>]*\sid=['"]([^'"]+)/)
  socket.write(`<handshake>${createHash('sha1').update(`${id}${secret}`).digest('hex')}</handshake>`)
  await until(/(<handshake\/>|<handshake><\/handshake>)/)
  return socket
}
