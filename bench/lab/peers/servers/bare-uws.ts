// The floor that uWebSockets.js is: a WebSocket for each user, what comes from NATS goes out as a text frame, topics by its own
// publish, and there is nothing else.

import uws, { type WebSocket } from 'uWebSockets.js'
import { isTopic } from '../channels.js'
import { HELLO, Subjects, setup } from './subjects.js'

// What Holdwire itself does not use of it.
declare module 'uWebSockets.js' {
  interface WebSocket<T> {
    subscribe(topic: string): boolean
  }
  interface TemplatedApp {
    publish(topic: string, message: Uint8Array, isBinary: boolean, compress: boolean): boolean
  }
}

interface Client {
  readonly channel: string
  state: 'open' | 'closed'
  /** Ends what its subject was subscribed to. */
  leave: (() => void) | undefined
}

const IDLE_SECONDS = 120
const LIMIT_BYTES = 4 * 1024 * 1024
const subjects = await Subjects.connect()
const greeting = Buffer.from(HELLO)

const app = uws.App()
app.ws<Client>('/*', {
  compression: uws.DISABLED,
  maxPayloadLength: 64 * 1024,
  idleTimeout: IDLE_SECONDS,
  maxBackpressure: LIMIT_BYTES,
  sendPingsAutomatically: true,
  upgrade: (response, request, context) => {
    const channel = new URLSearchParams(request.getQuery() ?? '').get('channel') ?? ''
    const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map((name) => request.getHeader(`sec-websocket-${name}`))
    response.upgrade<Client>({ channel, state: 'open', leave: undefined }, key ?? '', protocol ?? '', extensions ?? '', context)
  },
  open: (socket: WebSocket<Client>) => {
    const client = socket.getUserData()
    const { channel } = client
    if (isTopic(channel)) {
      socket.subscribe(channel)
      subjects.takeOnce(channel, (data) => app.publish(channel, data, false, false))
    } else client.leave = subjects.take(channel, (data) => socket.send(data, false, false))
    subjects.ready(() => {
      if (client.state === 'open') socket.send(greeting, false, false)
    })
  },
  message: () => undefined,
  pong: () => undefined,
  drain: () => undefined,
  close: (socket: WebSocket<Client>) => {
    const client = socket.getUserData()
    client.state = 'closed'
    client.leave?.()
  },
})
app.listen('127.0.0.1', setup.port, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
  if (socket === false) process.exit(1)
})
