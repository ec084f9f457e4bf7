// The engine contract on node:http + ws, and on a real uWebSockets.js whatever its self-test says.

import t from 'tap'
import { chooseEngine } from '../../transports/engine/choose-engine.js'
import { testEngine } from './engine-contract.js'

const silent = { info: () => {}, warn: () => {} }

t.test('node', async (t) =>
  testEngine(t, await chooseEngine('node', silent), {
    splitRequestLine: 'served',
    pipelining: 'answered in order',
    rareSyntax: 'served',
    badRequests: 'answered with problem+json',
    headTimeouts: 'as configured',
    unmaskedFrames: 'refused',
    protocolErrors: 'close frame',
    registeredCloseCodes: 'told',
  }),
)

t.test('uws', async (t) => {
  const engine = await chooseEngine('uws', silent)
  const has = (fault: RegExp) => engine.knownFaults.some((line) => fault.test(line))
  await testEngine(t, engine, {
    splitRequestLine: has(/two segments/) ? 'refused' : 'served',
    pipelining: 'ends the connection',
    rareSyntax: 'refused',
    badRequests: 'ended somehow',
    headTimeouts: 'its own',
    unmaskedFrames: 'not noticed',
    protocolErrors: 'connection ends',
    registeredCloseCodes: 'refused',
  })
})
