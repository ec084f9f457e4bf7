// The floor that `ws` is: a WebSocket for each user, what comes from NATS goes out as a text frame, and there is nothing else.

import { WebSocket, WebSocketServer } from 'ws'
import { isTopic } from '../channels.js'
import { HELLO, Subjects, setup } from './subjects.js'

const subjects = await Subjects.connect()
const rooms = new Map<string, Set<WebSocket>>()
const TEXT = { binary: false }

function join(channel: string, socket: WebSocket): void {
  const room = rooms.get(channel) ?? new Set()
  rooms.set(channel, room.add(socket))
  socket.on('close', () => room.delete(socket))
  subjects.takeOnce(channel, (data) => {
    for (const member of room) member.send(data, TEXT)
  })
}

const server = new WebSocketServer({ host: '127.0.0.1', port: setup.port, perMessageDeflate: false, clientTracking: false })
server.on('connection', (socket, request) => {
  const query = new URL(request.url ?? '/', 'http://localhost').searchParams
  const channel = query.get('channel') ?? ''
  // A client that is cut off closes, too.
  socket.on('error', () => socket.terminate())
  if (isTopic(channel)) join(channel, socket)
  else
    socket.on(
      'close',
      subjects.take(channel, (data) => socket.send(data, TEXT)),
    )
  subjects.ready(() => {
    if (socket.readyState === WebSocket.OPEN) socket.send(HELLO)
  })
})
