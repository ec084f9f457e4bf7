// A process that publishes to an embedded bus in a directory as fast as it can, and prints each acknowledgement, until
// it is killed: node journal-child.js <directory> <run> <inboxMaxMessages> <compactBytes>

import { EmbeddedBroker } from '../../bus/embedded-bus.js'

const [directory = '', run = '', inboxMaxMessages = '', compactBytes = ''] = process.argv.slice(2)
const broker = await EmbeddedBroker.open({
  inboxMaxMessages: Number(inboxMaxMessages),
  inboxMaxAgeSeconds: 3600,
  maxMessageBytes: 65536,
  duplicateWindowSeconds: 60,
  requestTimeoutMs: 5000,
  maxInFlight: 256,
  dataDir: directory,
  compactBytes: Number(compactBytes),
  onError: (error, what) => {
    process.stderr.write(`${what}: ${error}\n`)
  },
})
const bus = broker.bus()
const bucket = await bus.bucket('counts')
process.stdout.write('ready\n')

async function publish(lane: number): Promise<void> {
  const user = `user${lane % 4}`
  for (let i = 0; ; i++) {
    const id = `${run}-${lane}-${i}`
    const { seq } = await bus.publish(user, id, Buffer.from(`${id} ${'x'.repeat(i % 300)}`))
    if (i % 20 === 0) await bucket.put(`lane${lane}`, Buffer.from(id))
    process.stdout.write(`${seq} ${user} ${id}\n`)
  }
}

await Promise.all(Array.from({ length: 16 }, (_, lane) => publish(lane)))
