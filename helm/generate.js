// Makes what the chart says twice: README.md from the comments of values.yaml, and the settings under `config` of values.schema.json
// from the server's own schema. `--check` only compares. After a build.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isScalar, parseDocument } from 'yaml'
import { z } from 'zod'
import { ConfigSchema } from '../dist/gateway/config-schema.js'

const chart = join(import.meta.dirname, 'holdwire')
const read = (file) => readFileSync(join(chart, file), 'utf8')

/** Kept by the chart: addresses, ports, names, secrets, certificates. */
export const OWNED = new Set([
  'host',
  'internalHost',
  'clientPort',
  'internalPort',
  'natsUrl',
  'dataDir',
  'nodeId',
  'auth',
  'jwtSecret',
  'jwtPublicKey',
  'apiKeys',
  'clientTlsCert',
  'clientTlsKey',
  'internalTlsCert',
  'internalTlsKey',
])

/** JSON Schema of the settings that go through `config`. */
export function configProperties() {
  const known = z.toJSONSchema(ConfigSchema, { io: 'output' }).properties ?? {}
  const properties = {}
  for (const [key, { type, minimum, maximum, enum: words }] of Object.entries(known)) {
    if (OWNED.has(key)) continue
    properties[key] = {
      type,
      ...(words && { enum: words }),
      ...(minimum !== undefined && { minimum }),
      ...(maximum !== undefined && { maximum }),
      ...(type === 'array' && { items: { type: 'string', minLength: 1 } }),
    }
  }
  return properties
}

/** Every value with what its comment says, as rows of a table. Throws when one has none. */
export function describeValues(text) {
  const rows = []
  const walk = (map, path) => {
    map.items.forEach((pair, i) => {
      const key = [...path, pair.key.value].join('.')
      // The comment before the first key of a map belongs to the map.
      const before = pair.key.commentBefore ?? (i === 0 ? map.commentBefore : undefined) ?? ''
      const at = before.lastIndexOf('-- ')
      if (at >= 0) rows.push(rowOf(key, before.slice(at + 3), pair.value))
      else if (isMap(pair.value) && pair.value.items.length > 0 && !pair.value.flow) walk(pair.value, [...path, pair.key.value])
      else throw new Error(`values.yaml: ${key} has no comment that begins with "-- "`)
      if (at >= 0 && isMap(pair.value) && !pair.value.flow && pair.value.items.some((one) => one.key.commentBefore?.includes('-- ')))
        walk(pair.value, [...path, pair.key.value])
    })
  }
  walk(parseDocument(text).contents, [])
  return rows
}

function rowOf(key, comment, value) {
  const lines = comment.split('\n').map((line) => line.trim())
  const shown = lines.find((line) => line.startsWith('@default -- '))?.slice('@default -- '.length)
  const words = lines.filter((line) => !line.startsWith('@')).join(' ')
  const json = isScalar(value) ? JSON.stringify(value.value) : JSON.stringify(value.toJSON())
  return { key, words, value: shown ?? (json.length > 90 ? 'see values.yaml' : `\`${json}\``) }
}

function readme() {
  const cell = (text) => text.replaceAll('|', '\\|')
  const table = (rows) => {
    return `| value | default | |\n|---|---|---|\n${rows.map(({ key, words, value }) => `| \`${key}\` | ${cell(value)} | ${cell(words)} |`).join('\n')}\n`
  }
  return `# The Helm chart of Holdwire

<!-- Generated from values.yaml by helm/generate.js; do not edit. -->

Gateways and c2s workers on NATS, or one process on the embedded bus. How to install, what stands in front of it, upgrades and troubles:
[docs/kubernetes.md](../../docs/kubernetes.md). Ready-made values: [minimal](examples/minimal.yaml), [production](examples/production.yaml),
[embedded](examples/embedded.yaml). Values that contradict each other are refused when the templates are rendered, with the reason.

## Values

${table(describeValues(read('values.yaml')))}
## Values of the NATS subchart, under \`nats\`

${table(describeValues(read('charts/nats/values.yaml')))}`
}

function schema() {
  const whole = JSON.parse(read('values.schema.json'))
  whole.properties.config.properties = configProperties()
  return `${JSON.stringify(whole, undefined, 2)}\n`
}

const files = { 'README.md': readme(), 'values.schema.json': schema() }
if (process.argv[1] === import.meta.filename) {
  for (const [file, text] of Object.entries(files)) {
    let there = ''
    try {
      there = read(file)
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
    }
    if (there === text) continue
    if (process.argv.includes('--check')) {
      process.stderr.write(`helm/holdwire/${file} is not what values.yaml and the settings say: run node helm/generate.js\n`)
      process.exitCode = 1
    } else writeFileSync(join(chart, file), text)
  }
}
