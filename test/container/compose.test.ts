// compose.yaml: its promises, and that the server accepts what it is given. The Compose plugin reads it too, where there is one.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { loadConfig } from '../../gateway/config.js'
import { findNatsServer } from '../support/nats-server.js'
import { dockerIgnore, readDockerfile } from './dockerfile.js'

interface Service {
  readonly image: string
  readonly build?: string
  readonly command: readonly string[]
  readonly restart: string
  readonly read_only: boolean
  readonly privileged?: boolean
  readonly cap_drop: readonly string[]
  readonly cap_add?: readonly string[]
  readonly security_opt: readonly string[]
  readonly stop_grace_period?: string
  readonly environment?: Readonly<Record<string, unknown>>
  readonly ports?: readonly string[]
  readonly networks: readonly string[]
  readonly volumes?: readonly string[]
  readonly secrets?: readonly string[]
  readonly configs?: readonly { readonly source: string; readonly target: string }[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck: { readonly test?: readonly string[] }
  readonly ulimits: { readonly nofile: number }
  readonly deploy: { readonly replicas?: number; readonly resources: { readonly limits: { readonly memory: string } } }
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>
  readonly volumes: Readonly<Record<string, unknown>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
  readonly configs: Readonly<Record<string, { readonly file: string }>>
}

const SECRETS: Readonly<Record<string, string>> = {
  'jwt-secret': 'a-secret-of-more-than-32-characters\n',
  'api-keys': 'api-key-number-one\n',
}
/** What run-server.ts allows a stop beyond the drain, in seconds. */
const STOP_MARGIN = 10

const compose = parse(readFileSync('compose.yaml', 'utf8'), { merge: true }) as Compose
const natsConfig = readFileSync('compose.nats.conf', 'utf8')
const ours = ['gateway', 'c2s'] as const

function service(name: string): Service {
  const found = compose.services[name]
  if (found === undefined) throw new Error(`no service ${name}`)
  return found
}

/** As the process in the container would read it. */
function configOf({ environment = {}, secrets = [] }: Service, image: Readonly<Record<string, string>>) {
  for (const value of Object.values(environment)) if (typeof value !== 'string') throw new Error('an environment holds text')
  return loadConfig({
    argv: [],
    env: { ...image, ...(environment as Record<string, string>) },
    readFile: (path) => {
      const name = path.replace('/run/secrets/', '')
      if (!secrets.includes(name)) throw new Error(`${path} is not mounted`)
      return SECRETS[name] ?? ''
    },
  })
}

t.test('every process is confined, limited and comes back', async (t) => {
  for (const [name, one] of Object.entries(compose.services)) {
    t.match(one, { read_only: true, restart: 'unless-stopped' }, name)
    t.same(one.cap_drop, ['ALL'], name)
    t.same(one.security_opt, ['no-new-privileges:true'], name)
    t.same([one.cap_add, one.privileged], [undefined, undefined], name)
    t.match(one.image, /^[a-z]+:(local|\d+\.\d+-alpine)$/, name)
    t.match(one.deploy.resources.limits.memory, /^\d+[gm]$/, name)
    t.ok(one.healthcheck, name)
  }
})

t.test('everything that is named is there', async (t) => {
  for (const [name, one] of Object.entries(compose.services)) {
    for (const network of one.networks) t.ok(network in compose.networks, `${name}: ${network}`)
    for (const secret of one.secrets ?? []) t.ok(secret in compose.secrets, `${name}: ${secret}`)
    for (const { source } of one.configs ?? []) t.ok(source in compose.configs, `${name}: ${source}`)
    for (const volume of one.volumes ?? []) t.ok((volume.split(':')[0] ?? '') in compose.volumes, `${name}: ${volume}`)
    for (const other of Object.keys(one.depends_on ?? {})) t.ok(other in compose.services, `${name}: ${other}`)
  }
  const ignored = dockerIgnore(readFileSync('.dockerignore', 'utf8'))
  for (const { file } of Object.values(compose.secrets)) {
    t.match(file, /^\.\/secrets\//)
    t.ok(ignored(file.replace('./', '')), `${file} gets into no image`)
  }
  t.ok(readFileSync('.gitignore', 'utf8').split('\n').includes('/secrets/'), 'and into no commit')
})

t.test('the server accepts what it is given', async (t) => {
  const environment = readDockerfile(readFileSync('Dockerfile', 'utf8'))
    .flat()
    .filter(({ name }) => name === 'ENV')
  t.match(environment[0]?.text, 'HOLDWIRE_HOST=0.0.0.0')
  for (const name of ours) {
    const one = service(name)
    const config = configOf(one, { HOLDWIRE_HOST: '0.0.0.0' })
    t.same(one.command, [name])
    t.match(config, {
      auth: 'jwt',
      natsUrl: ['nats://nats:4222'],
      jwtSecret: SECRETS['jwt-secret']?.trim(),
      apiKeys: ['api-key-number-one'],
    })
    t.equal(config.dataDir, undefined, 'nothing is written')
    t.ok(Number.parseInt(one.stop_grace_period ?? '', 10) > config.drainSeconds + STOP_MARGIN, `${name} may drain`)
    t.ok(one.ulimits.nofile > config.maxConnections, `${name}: open files`)
    t.same(one.depends_on, { nats: { condition: 'service_healthy' } })
    t.equal(one.build, '.')
    // What it asks is said by the image.
    t.equal(one.healthcheck.test, undefined)
  }
})

t.test('two gateways and two workers, on this machine alone', async (t) => {
  for (const name of ours) t.equal(service(name).deploy.replicas, 2)
  const { ports = [] } = service('gateway')
  for (const port of ports) {
    const [, from, to, inside] = /^127\.0\.0\.1:(\d+)-(\d+):(\d+)$/.exec(port) ?? []
    t.equal(Number(to) - Number(from) + 1, 2, `${port}: one for each`)
    t.equal(from, inside)
  }
  t.same(
    ports.map((port) => port.split(':').at(-1)),
    ['8000', '9000'],
  )
  t.same([service('c2s').ports, service('nats').ports], [undefined, undefined])
  t.equal(compose.networks.bus?.internal, true)
  t.same(service('nats').networks, ['bus'], 'NATS is reached by nobody else')
})

t.test('NATS keeps what it stores, says when it is well, and is set up as docs/bus.md asks', async (t) => {
  const { command, volumes, configs, healthcheck } = service('nats')
  t.same(command, ['nats-server', '--config', configs?.[0]?.target])
  t.same(volumes, ['nats:/data'])
  t.equal(compose.configs.nats?.file, './compose.nats.conf')
  t.match(natsConfig, /store_dir: \/data\b/)
  t.match(natsConfig, 'http: "127.0.0.1:8222"')
  t.match(healthcheck.test?.at(-1), 'http://127.0.0.1:8222/healthz')
  const [, asked = ''] = /## Server\n[\s\S]*?```text\n([\s\S]*?)```/.exec(readFileSync('docs/bus.md', 'utf8')) ?? []
  const lines = asked.split('\n').map((line) => line.replace(/ *#.*/, '').trim())
  t.match(natsConfig, /sync_interval: always/)
  for (const setting of ['max_payload', 'max_pending', 'write_deadline', 'ping_interval', 'ping_max']) {
    const line = lines.find((one) => one.startsWith(setting))
    t.ok(line !== undefined && natsConfig.includes(line), setting)
  }
})

const binary = (await findNatsServer()) ?? ''
t.test('nats-server accepts its settings', { skip: binary === '' && 'no nats-server' }, async (t) => {
  const check = (config: string) => {
    const folder = t.testdir({ 'nats.conf': config })
    return spawnSync(binary, ['-t', '-c', join(folder, 'nats.conf')], { encoding: 'utf8' })
  }
  const first = check(natsConfig)
  // Servers before 2.10 do not know it; the image has a newer one.
  const tooOld = first.stderr.includes('unknown field "sync_interval"')
  const { status, stderr } = tooOld ? check(natsConfig.replace(', sync_interval: always', '')) : first
  t.equal(status, 0, stderr)
})

const plugin = spawnSync('docker', ['compose', 'version'], { encoding: 'utf8' })
t.test('Compose accepts it', { skip: plugin.status !== 0 && 'no Compose plugin of docker' }, async (t) => {
  const { status, stderr } = spawnSync('docker', ['compose', '-f', 'compose.yaml', 'config', '--quiet'], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
})
