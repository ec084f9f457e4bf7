// Runs the conformance suite against any server on a port of its own: a peer for comparison, or a Holdwire started by hand.
//
//   node dist/test/conformance/run-against.js --port 5280 --domain localhost --accounts none
//     --host 127.0.0.1  --bosh /http-bind  --ws /xmpp-websocket  --inactivity 3  --only <regex>  --concurrency 8
//     --accounts none | <URL with {user} {password}: PUT> | api:<URL of an ejabberd mod_http_api> | prosody:<data directory>
//     --lacks pipelining,http10  --verbose

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Ability, Target } from '../support/conformance-context.js'
import { groups } from './groups.js'
import { type Outcome, runSuite } from './suite.js'

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '5280' },
    bosh: { type: 'string', default: '/http-bind' },
    ws: { type: 'string', default: '/xmpp-websocket' },
    domain: { type: 'string', default: 'localhost' },
    accounts: { type: 'string', default: 'none' },
    inactivity: { type: 'string', default: '30' },
    concurrency: { type: 'string', default: '8' },
    lacks: { type: 'string', default: '' },
    only: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
})

async function call(method: string, url: string, body: object): Promise<void> {
  const response = await fetch(url, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`)
}

async function createAccount(user: string, password: string): Promise<void> {
  const { accounts, domain } = values
  if (accounts === 'none') return
  if (accounts.startsWith('prosody:')) {
    const folder = join(accounts.slice('prosody:'.length), encodeURIComponent(domain).replaceAll('.', '%2e'), 'accounts')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, `${user}.dat`), `return { ["password"] = "${password}" };\n`)
  } else if (accounts.startsWith('api:')) await call('POST', `${accounts.slice(4)}/register`, { user, host: domain, password })
  else await call('PUT', accounts.replace('{user}', user), { password })
}

const target: Target = {
  host: values.host,
  httpPort: Number(values.port),
  boshPath: values.bosh,
  wsPath: values.ws,
  domain: values.domain,
  createAccount,
  lacks: Object.fromEntries(values.lacks.split(',').map((ability) => [ability as Ability, 'said so by --lacks'])),
  inactivitySeconds: Number(values.inactivity),
}

const marks = { pass: 'ok  ', fail: 'FAIL', skip: 'skip' }
const startMs = performance.now()
const onOutcome = ({ result, group, clause, name, reason, transcript }: Outcome) => {
  if (result === 'pass' && !values.verbose) return
  console.log(`${marks[result]} ${group} | ${clause} | ${name}${reason === '' ? '' : `\n       ${reason.replaceAll('\n', '\n       ')}`}`)
  if (result === 'fail' && values.verbose) console.log(transcript.map((entry) => `         ${entry}`).join('\n'))
}
const options = { concurrency: Number(values.concurrency), onOutcome }
const outcomes = await runSuite(target, groups, values.only === undefined ? options : { ...options, only: new RegExp(values.only, 'i') })
const count = (result: Outcome['result']) => outcomes.filter((outcome) => outcome.result === result).length
const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
console.log(`${outcomes.length} cases in ${seconds} s: ${count('pass')} pass, ${count('fail')} fail, ${count('skip')} skip`)
process.exitCode = count('fail') > 0 ? 1 : 0
