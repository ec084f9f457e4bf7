// Makes users subscribers of a topic, which they stay: over WebSockets that are closed again.

import { Crowd } from '../crowd.js'
import type { Contender } from './contender.js'
import type { Notebook } from './notebook.js'

export async function subscribe(
  notebook: Notebook,
  server: Pick<Contender, 'wires'>,
  topic: string,
  firstUser: number,
  users: number,
): Promise<void> {
  const { root, progress, places } = notebook.options
  const wire = { kind: 'websocket', port: server.wires.websocket?.port ?? 0, settings: { topic } }
  const onStarted = (pid: number) => places.put('load', pid)
  const crowd = await Crowd.open({ root, wire, users, firstUser, ackEvery: 16, timeoutMs: 10_000 + users * 10, onStarted }, progress)
  crowd.close()
}
