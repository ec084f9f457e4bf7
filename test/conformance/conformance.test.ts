// The conformance suite against `holdwire serve` in a process of its own, on both engines.

import t from 'tap'
import { assertTerminated, BoshSession } from '../support/bosh-session.js'
import { Context, type Target } from '../support/conformance-context.js'
import { type HoldwireProcess, startProcess } from '../support/holdwire-process.js'
import { groups } from './groups.js'
import { type Outcome, runSuite } from './suite.js'

const INACTIVITY_SECONDS = 3
const API_KEY = 'conformance'

function start(engine: 'node' | 'uws'): Promise<HoldwireProcess> {
  const flags = ['--engine', engine, '--auth', 'dev', '--api-keys', API_KEY, '--xmpp-domain', 'localhost']
  const short = ['--bosh-inactivity-seconds', String(INACTIVITY_SECONDS), '--bosh-polling-seconds', '1', '--bosh-max-hold', '3']
  return startProcess('serve', ...flags, ...short)
}

function targetOf(server: HoldwireProcess, engine: 'node' | 'uws'): Target {
  const { hostname, port } = new URL(server.clientUrl)
  return {
    host: hostname,
    httpPort: Number(port),
    boshPath: '/http-bind',
    wsPath: '/xmpp-websocket',
    domain: 'localhost',
    inactivitySeconds: INACTIVITY_SECONDS,
    lacks:
      engine === 'node'
        ? {}
        : {
            pipelining: 'uWebSockets.js answers one request at a time and drops what is pipelined behind it',
            http10: 'uWebSockets.js speaks HTTP/1.1 only',
            'http-parsing': 'uWebSockets.js reads heads and trailers by its own rules',
            masking: 'uWebSockets.js takes every frame of a client for masked',
            'absolute-form': 'uWebSockets.js routes by the target as it stands',
          },
    async createAccount(user, password) {
      const response = await fetch(`${server.internalUrl}/api/v1/accounts/${user}`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify({ password }),
      })
      if (!response.ok) throw new Error(`account: ${response.status} ${await response.text()}`)
    },
  }
}

for (const engine of ['node', 'uws'] as const) {
  await t.test(`BOSH and XMPP over WebSocket on ${engine}`, { timeout: 150_000 }, async (t) => {
    const server = await start(engine)
    t.teardown(() => server.stop())
    const onOutcome = ({ group, clause, name, result, reason, transcript }: Outcome) => {
      const title = `${group}: ${name} (${clause})`
      if (result === 'skip') t.comment(`skipped ${title}: ${reason}`)
      else if (result === 'pass') t.pass(title)
      else t.fail(title, { reason, transcript })
    }
    const target = targetOf(server, engine)
    await runSuite(target, groups, { concurrency: 16, onOutcome })

    // XEP-0124 §17.2: every held request is told.
    const context = new Context(target)
    const sessions = await Promise.all([BoshSession.open(context), BoshSession.open(context, { hold: 0 }), BoshSession.ready(context)])
    const held = await Promise.all([sessions[0].start(), sessions[2].start()])
    await context.pause(200)
    const stopped = server.stop()
    for (const { answer } of held) assertTerminated(await answer, 'system-shutdown')
    t.equal(await stopped, 0, 'and the server ends in peace')
    context.end()
  })
}
