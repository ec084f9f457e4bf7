// What every engine promises, as tests; where engines differ, the difference is named and tested as such.

import type { Test } from 'tap'
import type { Engine } from '../../transports/engine/engine.js'
import { testConnections } from './engine-contract-connections.js'
import { testHttp } from './engine-contract-http.js'
import { testStreams } from './engine-contract-streams.js'
import { testWebSockets } from './engine-contract-websocket.js'

/** Where an engine may be otherwise; docs/engines.md says the same in words. */
export interface EngineTraits {
  /** A request line that comes in two segments. */
  readonly splitRequestLine: 'served' | 'refused'
  /** A request that comes before the one before it is answered. */
  readonly pipelining: 'answered in order' | 'ends the connection'
  /** HTTP/1.0, chunk extensions, absolute-form targets. */
  readonly rareSyntax: 'served' | 'refused'
  /** Unparsable requests, oversize heads. */
  readonly badRequests: 'answered with problem+json' | 'ended somehow'
  /** headersTimeoutMs, keepAliveMs. */
  readonly headTimeouts: 'as configured' | 'its own'
  readonly unmaskedFrames: 'refused' | 'not noticed'
  /** A WebSocket that breaks the protocol or sends too much. */
  readonly protocolErrors: 'close frame' | 'connection ends'
  /** Close codes 3000 to 3999 from a client. */
  readonly registeredCloseCodes: 'told' | 'refused'
}

export async function testEngine(t: Test, engine: Engine, traits: EngineTraits): Promise<void> {
  await t.test('requests and responses', (t) => testHttp(t, engine, traits))
  await t.test('streams', (t) => testStreams(t, engine))
  await t.test('connections', (t) => testConnections(t, engine, traits))
  await t.test('WebSockets', (t) => testWebSockets(t, engine, traits))
}
