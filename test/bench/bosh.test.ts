// The BOSH benchmark's own parts: sessions on connections that are none, exact counting, medians and ratios; and the load generator
// against a small BOSH server that delays and loses what it is told to.

import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { addedPath } from '../../bench/bosh-added.js'
import type { BoshConnection, BoshConnectionOwner } from '../../bench/bosh-connection.js'
import { BoshCrowd } from '../../bench/bosh-crowd.js'
import { markOf, scanMarks } from '../../bench/bosh-mark.js'
import type { BoshFigures, BoshRunOrder } from '../../bench/bosh-orders.js'
import { type BoshRow, faultsOf } from '../../bench/bosh-row.js'
import { BoshRun, partnerOf } from '../../bench/bosh-run.js'
import { BoshSession, LEFT } from '../../bench/bosh-session.js'
import { median, ratiosOf, summarize } from '../../bench/bosh-summary.js'
import { parseOptions } from '../../bench/options.js'
import { Tally } from '../../bench/tally.js'

const SILENT = { update: () => undefined, say: () => undefined }
const FEATURES = '<stream:features><mechanism>PLAIN</mechanism></stream:features>'
const BIND = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"

class FakeConnection implements BoshConnection {
  readonly requests: string[] = []
  closed = 0

  send(request: string): void {
    this.requests.push(request)
  }

  close(): void {
    this.closed++
  }
}

/** A session, and what is said to it and by it. */
function fakeSession() {
  const connections: FakeConnection[] = []
  const answers: boolean[] = []
  const ends: string[] = []
  let opened = 0
  let owner: BoshConnectionOwner | undefined
  const login = { user: 'ann', password: 'pw', domain: 'localhost', resource: 'r', path: '/http-bind', waitSeconds: 60, firstRid: 100 }
  const session = new BoshSession(
    3,
    login,
    {
      opened: () => opened++,
      answered: (_, __, released) => answers.push(released),
      ended: (_, why) => ends.push(why),
    },
    (made) => {
      owner = made
      const connection = new FakeConnection()
      connections.push(connection)
      return connection
    },
  )
  /** Takes the request with this rid, wherever it is, and answers it. */
  const answer = (rid: number, payload: string, status = 200, attributes = '') => {
    const connection = connections.find(({ requests }) => requests.at(-1)?.includes(`rid='${rid}'`))
    if (connection === undefined) throw new Error(`no request ${rid}`)
    owner?.answered(connection, status, Buffer.from(`<body${attributes}>${payload}</body>`))
  }
  const sent = () => connections.flatMap(({ requests }) => requests)
  const request = (rid: number) => sent().find((one) => one.includes(`rid='${rid}'`)) ?? ''
  return { session, connections, answers, ends, answer, sent, request, opened: () => opened, lose: (why: string) => owner?.lost(why) }
}

function loggedIn() {
  const fake = fakeSession()
  fake.answer(100, '', 200, " authid='no' sid='s1'")
  fake.answer(101, FEATURES)
  fake.answer(102, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
  fake.answer(103, BIND)
  fake.answer(104, "<iq type='result'><bind><jid>ann@localhost/r</jid></bind></iq>")
  return fake
}

t.test('a mark is found whatever is around it', async (t) => {
  const found: number[][] = []
  const text = `<message id="${markOf(12, 345, 6789)}"/>hw <iq id='${markOf(0, 1, 2)}' type='result'/>`
  scanMarks(Buffer.from(text), (...numbers) => found.push(numbers))
  t.strictSame(found, [
    [12, 345, 6789],
    [0, 1, 2],
  ])
})

t.test('a session logs in, also when the server takes an answer more for it', async (t) => {
  const { request, opened, sent } = loggedIn()
  t.match(request(100), /^POST \/http-bind HTTP\/1\.1\r\n(.+\r\n)*Content-Length: \d+\r\n\r\n<body .*hold='1'/)
  t.match(request(101), "sid='s1'", 'features had not come: it asks again')
  t.match(request(102), Buffer.from('\0ann\0pw').toString('base64'))
  t.match(request(103), "xmpp:restart='true'")
  t.match(request(104), '<resource>r</resource>')
  t.match(request(105), '<presence')
  t.equal(opened(), 1)
  for (const one of sent()) {
    const [head = '', body = ''] = one.split('\r\n\r\n')
    t.equal(Number(/Content-Length: (\d+)/.exec(head)?.[1]), body.length)
  }
})

t.test('one request is held, a second one releases it, never a third', async (t) => {
  const { session, answer, answers, sent, request } = loggedIn()
  t.equal(session.cycle('<a/>'), true)
  t.equal(session.cycle('<b/>'), false, 'two are under way')
  t.match(request(106), '<a/>')
  answer(105, '')
  t.strictSame(answers, [true])
  t.equal(sent().length, 7, 'the other one is held')
  answer(106, '<message/>')
  t.strictSame(answers, [true, false])
  t.match(request(107), "sid='s1'", 'what came was the only one: the next is held')
  t.equal(session.cycle(''), true)
})

t.test('a session ends once, for a reason', async (t) => {
  const refused = fakeSession()
  refused.answer(100, FEATURES, 200, " sid='s1'")
  refused.answer(101, '<failure/>')
  t.match(refused.ends, [/refused/])

  const cut = loggedIn()
  cut.answer(105, '', 200, " type='terminate' condition='policy-violation'")
  cut.lose('connection closed')
  t.strictSame(cut.ends, ['ended by the server: HTTP 200 policy-violation'])
  t.ok(cut.connections.every(({ closed }) => closed > 0))
  t.equal(cut.session.cycle(''), false)

  const gone = loggedIn()
  gone.answer(105, '', 404)
  t.match(gone.ends, [/HTTP 404/])

  const leaving = loggedIn()
  leaving.session.terminate()
  t.match(leaving.request(106), "type='terminate'")
  leaving.answer(105, '')
  leaving.answer(106, '', 200, " type='terminate'")
  t.strictSame(leaving.ends, [LEFT])
})

const ORDER: BoshRunOrder = { kind: 'run', cycle: 'message', rate: undefined, window: 3, seconds: 1, sizeBytes: 10, ephemeral: false }

/** A run over sessions of which `busy` can't send. */
function fakeRun(order: Partial<BoshRunOrder>, count = 6) {
  const payloads: { index: number; payload: string }[] = []
  const busy = new Set<number>()
  const sessions = Array.from({ length: count }, (_, index) => ({
    index,
    cycle: (payload: string) => {
      if (busy.has(index)) return false
      payloads.push({ index, payload })
      return true
    },
  }))
  const addresses = sessions.map(({ index }) => `u${index}@localhost/r`)
  const tally = new Tally(count)
  const run = new BoshRun({ ...ORDER, ...order }, sessions, addresses, { numbers: new Uint32Array(count), tally }, 1_000_000)
  return { run, payloads, busy, tally }
}

t.test('as many are under way as the window allows, each for its partner', async (t) => {
  const { run, payloads, tally } = fakeRun({})
  run.pump(1_000_000)
  t.strictSame(
    payloads.map(({ index }) => index),
    [0, 1, 2],
  )
  t.match(payloads[1]?.payload, new RegExp(`to='u${partnerOf(1, 6)}@localhost/r'`))
  run.answered(0, Buffer.from(''), true, 1_000_100)
  t.equal(run.underWay, 3, 'a request that was only released is no message')
  run.answered(3, Buffer.from(payloads[0]?.payload ?? ''), false, 1_000_500)
  t.equal(run.underWay, 2)
  t.equal(tally.latency.max, 500)
  run.pump(1_000_500)
  t.equal(payloads.length, 4)
  t.equal(run.isSpent(1_999_999), false)
  t.equal(run.isSpent(2_000_000), true)
  run.pump(2_000_001)
  t.equal(payloads.length, 4, 'time is over')
  t.match(run.figures, { started: 4, completed: 1, answers: 2, strayed: 0 })
})

t.test('what is for somebody else, what is an error, and what comes twice do not count as received', async (t) => {
  const { run, payloads, tally } = fakeRun({})
  run.pump(1_000_000)
  const first = Buffer.from(payloads[0]?.payload ?? '')
  run.answered(1, first, false, 1_000_100)
  run.answered(3, Buffer.from(`${first}<error/>`), false, 1_000_100)
  t.match(run.figures, { completed: 0, strayed: 2 })
  run.answered(3, first, false, 1_000_100)
  run.answered(3, first, false, 1_000_100)
  t.strictSame(tally.counts, { received: 2, missing: 0, repeated: 1 })

  const ping = fakeRun({ cycle: 'ping' })
  ping.run.pump(1_000_000)
  t.match(ping.payloads[0]?.payload, "to='localhost'")
  ping.run.answered(0, Buffer.from(ping.payloads[0]?.payload ?? ''), true, 1_000_100)
  t.match(ping.run.figures, { completed: 1, strayed: 0 })
})

t.test('an empty cycle is over when its request has taken the place of the one before', async (t) => {
  const { run, tally } = fakeRun({ cycle: 'empty' })
  run.pump(1_000_000)
  run.answered(5, Buffer.from(''), true, 1_000_200)
  run.answered(0, Buffer.from(''), false, 1_000_200)
  t.equal(run.figures.completed, 0, 'nothing was under way at one, the other was answered for another reason')
  run.answered(0, Buffer.from(''), true, 1_000_300)
  run.answered(0, Buffer.from(''), true, 1_000_300)
  t.equal(run.figures.completed, 1)
  t.equal(tally.latency.max, 300)
})

t.test('with a rate, what is late counts from when it was due', async (t) => {
  const { run, payloads, busy, tally } = fakeRun({ rate: 1000, seconds: 1 })
  run.pump(1_000_000)
  t.equal(payloads.length, 1)
  t.equal(run.nextDueUs, 1_001_000)
  run.pump(1_003_500)
  t.equal(payloads.length, 4, 'all that are due, whatever the window')
  for (let i = 0; i < 6; i++) busy.add(i)
  run.pump(1_005_000)
  t.equal(payloads.length, 4, 'nobody is free')
  busy.clear()
  run.pump(1_010_000)
  const late = payloads[4]
  run.answered(partnerOf(late?.index ?? 0, 6), Buffer.from(late?.payload ?? ''), false, 1_010_500)
  t.equal(tally.latency.max, 6_503, 'due at 4 ms, received at 10.5 (three digits are kept)')
  t.ok(run.figures.lateP99Us >= 6000)
})

const FIGURES: BoshFigures = {
  ...{ started: 10, completed: 10, missing: 0, repeated: 0, strayed: 0, answers: 20, upBytes: 1, downBytes: 1, seconds: 1 },
  ...{ latencyUs: { count: 10, p50: 1, p90: 1, p99: 1, p999: 1, max: 1 }, lateP99Us: 0, cores: 0.5, lost: {} },
}

t.test('figures count when everything came and the generator had time to spare', async (t) => {
  t.strictSame(faultsOf(FIGURES, false), [])
  t.match(faultsOf({ ...FIGURES, completed: 9 }, false), [/of 10 cycles 9/])
  t.match(faultsOf({ ...FIGURES, repeated: 1 }, false), [/1 repeated/])
  t.match(faultsOf({ ...FIGURES, cores: 0.86 }, false), [/the generator was the bottleneck/])
  t.strictSame(faultsOf({ ...FIGURES, cores: 0.86 }, true), [], 'with a rate it looks for the moment')
  t.match(faultsOf({ ...FIGURES, lateP99Us: 6000 }, true), [/late/])
  t.match(faultsOf({ ...FIGURES, lost: { gone: 1 } }, false), [/gone/])
})

function row(server: string, phase: BoshRow['phase'], cpuUsPerCycle: number, invalid: string[] = []): BoshRow {
  return {
    ...{ server, phase, round: 1, sessions: 2, cycles: 10, seconds: 1, cyclesPerSecond: 10, requestsPerCycle: 2, upBytesPerCycle: 1 },
    ...{ downBytesPerCycle: 1, cpuUsPerCycle, cpuUsPerCycleOf: { gateway: cpuUsPerCycle }, perCoreSecond: 1, otherCores: 0 },
    ...{ latencyUs: FIGURES.latencyUs, cores: {}, invalid },
  }
}

t.test('medians and ratios', async (t) => {
  t.equal(median([5, 1, 3]), 3)
  t.equal(median([4, 1, 3, 2]), 2.5)
  const rows = [
    ...[10, 30, 20].map((us) => row('ours', 'empty', us)),
    row('ours', 'empty', 1, ['the generator was the bottleneck']),
    ...[60, 80].map((us) => row('theirs', 'empty', us)),
    row('theirs', 'latency', 1),
  ]
  const summaries = summarize(rows)
  t.match(summaries[0], { server: 'ours', phase: 'empty', cpuUsPerCycle: 20, perCoreSecond: 50_000, valid: 3, rounds: 4 })
  t.match(summaries[1], { server: 'theirs', cpuUsPerCycle: 70, valid: 2 })
  t.strictSame(ratiosOf(summaries, ['theirs']), [{ server: 'ours', rival: 'theirs', phase: 'empty', perCore: 3.5 }])
  t.match(summarize([row('ours', 'empty', 7, ['bad'])])[0], { cpuUsPerCycle: 7, valid: 0 }, 'nothing else is there')
})

t.test('what is added is what the longer way takes more', async (t) => {
  const sample = (setup: 'two gateways' | 'serve', cycle: 'message' | 'ping' | 'empty', p50Us: number) => {
    return { setup, cycle, p50Us, p99Us: p50Us * 2, invalid: [] }
  }
  const added = addedPath([
    ...[sample('two gateways', 'message', 900), sample('two gateways', 'ping', 700), sample('two gateways', 'empty', 100)],
    ...[sample('serve', 'message', 400), sample('serve', 'ping', 300), sample('serve', 'empty', 100)],
  ])
  t.match(added, { busP50Us: 500, busP99Us: 1000, c2sP50Us: 600, c2sP99Us: 1200 })
})

t.test('options', async (t) => {
  t.match(parseOptions(['bosh']), { engines: ['node', 'uws'], against: ['ejabberd', 'prosody'], sessions: 500, seconds: 1, rate: 250 })
  t.match(parseOptions(['bosh', '--against', 'none', '--rounds', '1', '--profile', 'p']), { against: [], rounds: 1, profileFolder: 'p' })
  for (const bad of [
    ['--sessions', '3'],
    ['--topology', 'serve'],
    ['--against', 'nobody'],
  ]) {
    t.throws(() => parseOptions(['bosh', ...bad]), bad.join(' '))
  }
})

interface Faults {
  readonly delayMs: number
  /** Each so-many-th message is lost; 0: none. */
  readonly loseEvery: number
}

interface FakePeer {
  held: ServerResponse | undefined
  queue: string[]
}

/** Knows of BOSH what the generator uses; `faults` are those of messages. */
async function fakeServer(t: Test, faults: Faults) {
  const peers = new Map<string, FakePeer>()
  const users = new Map<string, FakePeer>()
  let messages = 0
  let answers = 0
  const end = (response: ServerResponse, payload: string, attributes = '') => {
    answers++
    response.end(`<body${attributes}>${payload}</body>`)
  }
  const deliver = (peer: FakePeer, stanza: string) => {
    if (peer.held === undefined) peer.queue.push(stanza)
    else end(peer.held, stanza)
    peer.held = undefined
  }
  const request = (body: string, response: ServerResponse) => {
    const sid = / sid='([^']+)'/.exec(body)?.[1]
    const known = peers.get(sid ?? '') ?? { held: undefined, queue: [] }
    if (sid === undefined) {
      const name = `s${peers.size}`
      peers.set(name, known)
      return end(response, FEATURES, ` sid='${name}'`)
    }
    const secret = /PLAIN'>([^<]+)/.exec(body)?.[1]
    if (secret !== undefined) {
      users.set(Buffer.from(secret, 'base64').toString().split('\0')[1] ?? '', known)
      return end(response, '<success/>')
    }
    if (body.includes('restart')) return end(response, BIND)
    if (body.includes('<resource>')) return end(response, '<jid>x</jid>')
    if (body.includes('terminate')) return end(response, '', " type='terminate'")
    if (known.held !== undefined) end(known.held, '')
    known.held = response
    const waiting = known.queue.splice(0).join('')
    if (waiting !== '') deliver(known, waiting)
    const message = /<(message|iq) .*<\/\1>/.exec(body)?.[0]
    if (message === undefined) return undefined
    const to = message.startsWith('<iq') ? known : users.get(/ to='([^@]+)@/.exec(message)?.[1] ?? '')
    messages++
    const isLost = faults.loseEvery > 0 && messages % faults.loseEvery === 0
    if (to !== undefined && !isLost) setTimeout(() => deliver(to, message), faults.delayMs)
    return undefined
  }
  const server = createServer((incoming, response) => {
    const pieces: Buffer[] = []
    incoming.on('data', (piece: Buffer) => pieces.push(piece))
    incoming.on('end', () => request(Buffer.concat(pieces).toString(), response))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    ...{ name: 'fake', version: '', recipe: '', ports: [port], path: '/b', domain: 'localhost', processes: [], stop: async () => {} },
    /** How many requests it has answered so far. */
    answered: () => answers,
  }
}

const root = join(import.meta.dirname, '..', '..')
const RUN = { window: 4, seconds: 1, sizeBytes: 64, ephemeral: false }

t.test('the generator counts exactly, and sees a delay', async (t) => {
  const server = await fakeServer(t, { delayMs: 30, loseEvery: 0 })
  const crowd = await BoshCrowd.open(root, server, 20, 1, SILENT)
  const empty = await crowd.run({ ...RUN, cycle: 'empty', rate: undefined })
  t.match(empty, { missing: 0, repeated: 0, strayed: 0, lost: {}, completed: empty.started, answers: empty.started })
  t.ok(empty.completed > 20)
  t.ok(empty.latencyUs.p50 < 30_000)
  for (const cycle of ['message', 'ping'] as const) {
    const before = server.answered()
    const figures = await crowd.run({ ...RUN, cycle, rate: 100 })
    t.match(figures, { started: 100, completed: 100, missing: 0, repeated: 0, strayed: 0, lost: {} })
    t.ok(figures.latencyUs.p50 >= 29_000, `${cycle}: p50 ${figures.latencyUs.p50} µs of a delay of 30 ms`)
    // One request that was released and one with the answer: 200, less those whose answer came together with another.
    t.equal(figures.answers, server.answered() - before)
    t.ok(figures.answers > 100 && figures.answers <= 200, `${figures.answers} answers`)
  }
  await crowd.close()
})

t.test('the generator sees what is lost', async (t) => {
  const crowd = await BoshCrowd.open(root, await fakeServer(t, { delayMs: 0, loseEvery: 100 }), 20, 1, SILENT)
  const figures = await crowd.run({ ...RUN, cycle: 'message', rate: 200 })
  t.match(figures, { started: 200, completed: 198 })
  t.match(faultsOf(figures, true), [/of 200 cycles 198/])
  await crowd.close()
})

t.test('sessions that can not be opened are an error that says why', async (t) => {
  const server = { ...(await fakeServer(t, { delayMs: 0, loseEvery: 0 })), ports: [1] }
  await t.rejects(BoshCrowd.open(root, server, 4, 1, SILENT), /4 did not.*ECONNREFUSED/)
})
