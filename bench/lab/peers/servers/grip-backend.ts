// The backend that a GRIP proxy needs: it tells the proxy what each connection subscribes to, and has nothing more to do with it. HTTP
// streams by GRIP headers, WebSockets by WebSocket-over-HTTP. Its argument: `{"port":…}`.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

const { port }: { readonly port: number } = JSON.parse(process.argv[2] ?? '{}')
const OPEN = Buffer.from('OPEN\r\n')

function channelIn(request: IncomingMessage): string {
  return new URL(request.url ?? '/', 'http://localhost').searchParams.get('channel') ?? ''
}

/** An event in this encoding: its name, the length of its content in hexadecimal, the content. */
function event(name: string, content: string): string {
  return `${name} ${Buffer.byteLength(content).toString(16)}\r\n${content}\r\n`
}

function answerEvents(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'application/websocket-events', 'Sec-WebSocket-Extensions': 'grip' })
  if (body.subarray(0, OPEN.length).equals(OPEN)) {
    response.end(
      `OPEN\r\n${event('TEXT', `c:${JSON.stringify({ type: 'subscribe', channel: channelIn(request) })}`)}${event('TEXT', 'm:hello')}`,
    )
  } else response.end(body.includes('CLOSE') ? body : '')
}

const server = createServer((request, response) => {
  if (request.method !== 'POST') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Grip-Hold': 'stream', 'Grip-Channel': channelIn(request) })
    response.end(': hello\n\n')
    return
  }
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', () => answerEvents(request, Buffer.concat(pieces), response))
})
server.listen(port, '127.0.0.1')
process.on('disconnect', () => process.exit())
