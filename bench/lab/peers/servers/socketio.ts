// Socket.IO as it is used with a bus: a socket for each user, who says in the handshake who it is; what comes from NATS is emitted as an
// event, and topics are rooms. As its documentation advises for many clients, the first HTTP request of each is not kept.

import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { isTopic } from '../channels.js'
import { Subjects, setup } from './subjects.js'

const subjects = await Subjects.connect()
const server = createServer()
const io = new Server(server, { serveClient: false, httpCompression: false, perMessageDeflate: false })
const decoder = new TextDecoder()
const parsed = (data: Uint8Array): unknown => JSON.parse(decoder.decode(data))

io.engine.on('connection', (socket: { request: unknown }) => {
  socket.request = null
})
io.on('connection', (socket) => {
  const channel = String(socket.handshake.auth.channel)
  if (isTopic(channel)) {
    socket.join(channel)
    subjects.takeOnce(channel, (data) => io.to(channel).emit('message', parsed(data)))
  } else
    socket.on(
      'disconnect',
      subjects.take(channel, (data) => socket.emit('message', parsed(data))),
    )
  subjects.ready(() => socket.emit('hello'))
})
server.listen(setup.port, '127.0.0.1')
