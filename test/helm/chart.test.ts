// The Helm chart, rendered by helm itself: its promises, and that the server accepts what it is given.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { loadConfig } from '../../gateway/config.js'
import { ConfigSchema } from '../../gateway/config-schema.js'

const chart = join(process.cwd(), 'helm')
const helm = process.env.HELM || 'helm'
const found = spawnSync(helm, ['version', '--short'], { encoding: 'utf8' })
const skip = found.status === 0 ? false : `no helm: ${found.error?.message ?? found.stderr} (on PATH, or named by HELM)`

/** Kept by the chart: ports, names and secrets. */
const OWNED = new Set([
  'host',
  'clientPort',
  'internalPort',
  'natsUrl',
  'dataDir',
  'nodeId',
  'auth',
  'jwtSecret',
  'jwtPublicKey',
  'apiKeys',
])

const SECRET = 'a-secret-of-more-than-32-characters'
const BASE = { natsUrl: 'nats://nats:4222', secrets: { jwtSecret: SECRET, apiKeys: ['api-key-number-one', 'api-key-number-two'] } }

interface Container {
  readonly args: readonly string[]
  readonly command?: readonly string[]
  readonly env: readonly {
    readonly name: string
    readonly value?: string
    readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } }
  }[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly securityContext: unknown
  readonly resources: { readonly requests: unknown; readonly limits: unknown }
  readonly lifecycle?: unknown
  readonly volumeMounts: readonly { readonly mountPath: string }[]
  readonly startupProbe: { readonly httpGet: unknown }
  readonly livenessProbe: { readonly httpGet: unknown }
  readonly readinessProbe: { readonly httpGet: unknown }
}

interface PodSpec {
  readonly terminationGracePeriodSeconds: number
  readonly automountServiceAccountToken: boolean
  readonly enableServiceLinks: boolean
  readonly securityContext: { readonly runAsNonRoot: boolean }
  readonly containers: readonly Container[]
  readonly topologySpreadConstraints: readonly { readonly topologyKey: string }[]
  readonly volumes: readonly {
    readonly projected: {
      readonly sources: readonly {
        readonly secret: { readonly name: string; readonly items: readonly { readonly key: string; readonly path: string }[] }
      }[]
    }
  }[]
}

/** What the tests look at, of any kind of object. */
interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly annotations?: Record<string, string> }
  readonly stringData?: Record<string, string>
  readonly spec: Record<string, unknown> & {
    readonly replicas?: number
    readonly selector?: unknown
    readonly template: {
      readonly metadata: { readonly labels: Record<string, string>; readonly annotations: Record<string, string> }
      readonly spec: PodSpec
    }
    readonly ingress: readonly { readonly ports: readonly { readonly port: number }[]; readonly from?: readonly object[] }[]
  }
}

/** `values`: several files, of which the last wins. */
function run(command: string, ...values: object[]) {
  const sets = values.flatMap((value) => Object.entries(value).flatMap(([key, part]) => ['--set-json', `${key}=${JSON.stringify(part)}`]))
  const words = command === 'lint' ? ['lint', '--strict', chart] : ['template', 'hw', chart, '--namespace', 'push']
  return spawnSync(helm, [...words, '--kube-version', '1.30.0', ...sets], { encoding: 'utf8' })
}

class Rendered {
  readonly all: readonly Manifest[]

  constructor(...values: object[]) {
    const { status, stdout, stderr } = run('template', BASE, ...values)
    if (status !== 0) throw new Error(stderr)
    this.all = parseAllDocuments(stdout).map((document) => {
      if (document.errors.length > 0) throw document.errors[0]
      return document.toJS() as Manifest
    })
  }

  find(kind: string, name: string): Manifest | undefined {
    return this.all.find((one) => one.kind === kind && one.metadata.name === name)
  }

  get(kind: string, name: string): Manifest {
    const one = this.find(kind, name)
    if (one === undefined) throw new Error(`no ${kind} ${name}`)
    return one
  }

  pod(component: string): PodSpec {
    return this.get('Deployment', `hw-holdwire-${component}`).spec.template.spec
  }

  container(component: string): Container {
    const [container] = this.pod(component).containers
    if (container === undefined) throw new Error('no container')
    return container
  }

  /** As the server of a component reads it. `existing`: texts of Secrets that are not of the release. */
  config(component: string, existing: Record<string, Record<string, string>> = {}) {
    const [mount] = this.container(component).volumeMounts
    const files = new Map<string, string>()
    for (const { secret } of this.pod(component).volumes[0]?.projected.sources ?? []) {
      const texts = existing[secret.name] ?? this.get('Secret', secret.name).stringData ?? {}
      for (const { key, path } of secret.items) files.set(`${mount?.mountPath}/${path}`, texts[key] ?? '')
    }
    const env = Object.fromEntries(this.container(component).env.map((one) => [one.name, one.value ?? 'hw-holdwire-pod-1']))
    return loadConfig({
      argv: [],
      env,
      readFile: (path) => {
        const text = files.get(path)
        if (text === undefined) throw new Error('not mounted')
        return text
      },
    })
  }
}

/** A value other than the default for every setting that the chart passes on. */
function everySetting(): Record<string, unknown> {
  const special: Record<string, unknown> = {
    allowedOrigins: ['https://a.example.com', 'https://b.example.com'],
    jwksUrl: 'https://id.example.com/keys',
    drainSeconds: 4.5,
    natsReplicas: 3,
    maxFrameBytes: 100_000,
  }
  const properties = z.toJSONSchema(ConfigSchema, { io: 'output' }).properties ?? {}
  const config: Record<string, unknown> = {}
  for (const [key, property] of Object.entries(properties)) {
    if (OWNED.has(key) || typeof property === 'boolean') continue
    const { type, default: value, minimum } = property
    if (key in special) config[key] = special[key]
    else if (property.enum !== undefined) config[key] = property.enum.find((word) => word !== value)
    else if (type === 'boolean') config[key] = value !== true
    else if (type === 'string') config[key] = `a "text": {{ of }} ${key}`
    else config[key] = value === minimum ? Number(value) + 1 : Number(value) - 1
  }
  return config
}

t.test('the schema knows the settings of the server, and no others', async (t) => {
  const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8'))
  const known = z.toJSONSchema(ConfigSchema, { io: 'output' }).properties ?? {}
  const wanted: Record<string, object> = {}
  for (const [key, property] of Object.entries(known)) {
    if (OWNED.has(key) || typeof property === 'boolean') continue
    const { type, minimum, maximum, enum: words } = property
    wanted[key] = {
      type,
      ...(words && { enum: words }),
      ...(minimum !== undefined && { minimum }),
      ...(maximum !== undefined && { maximum }),
      ...(type === 'array' && { items: { type: 'string', minLength: 1 } }),
    }
  }
  t.strictSame(schema.properties.config.properties, wanted, 'properties.config of helm/values.schema.json')
  t.equal(schema.properties.config.additionalProperties, false)
  const { version, appVersion } = parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8'))
  const { version: own } = JSON.parse(readFileSync(join(process.cwd(), 'package.json'), 'utf8'))
  t.strictSame({ version, appVersion }, { version: own, appVersion: own }, 'chart, image and package have one version')
})

t.test('helm lint passes', { skip }, async (t) => {
  const { status, stdout } = run('lint', BASE)
  t.equal(status, 0, stdout)
})

t.test('gateways and workers', { skip }, async (t) => {
  const rendered = new Rendered()
  for (const component of ['gateway', 'c2s']) {
    const pod = rendered.pod(component)
    const container = rendered.container(component)
    t.equal(rendered.get('Deployment', `hw-holdwire-${component}`).spec.replicas, 2)
    t.strictSame(container.args, [component])
    t.strictSame(container.startupProbe.httpGet, { path: '/livez', port: 'internal' })
    t.strictSame(container.livenessProbe.httpGet, { path: '/livez', port: 'internal' })
    t.strictSame(container.readinessProbe.httpGet, { path: '/readyz', port: 'internal' })
    t.strictSame(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    t.equal(pod.securityContext.runAsNonRoot, true)
    t.equal(pod.automountServiceAccountToken, false)
    t.equal(pod.enableServiceLinks, false)
    t.ok(container.resources.requests)
    t.ok(container.resources.limits)
    t.strictSame(
      pod.topologySpreadConstraints.map(({ topologyKey }) => topologyKey),
      ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'],
    )
    t.ok(rendered.find('PodDisruptionBudget', `hw-holdwire-${component}`))
    t.match(
      container.env.find(({ name }) => name === 'HOLDWIRE_NODE_ID'),
      { valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    )
    const ports = Object.fromEntries(container.ports.map(({ name, containerPort }) => [name, containerPort]))
    const config = rendered.config(component)
    t.strictSame(
      ports,
      component === 'c2s' ? { internal: config.internalPort } : { client: config.clientPort, internal: config.internalPort },
    )
    t.match(config, { host: '0.0.0.0', auth: 'jwt', natsUrl: ['nats://nats:4222'], jwtSecret: SECRET, apiKeys: BASE.secrets.apiKeys })
    t.notOk(JSON.stringify(container).includes(SECRET), 'secrets are not in the environment')
  }
  t.notOk(rendered.find('HorizontalPodAutoscaler', 'hw-holdwire-gateway'))
  t.notOk(rendered.find('Ingress', 'hw-holdwire'))
  t.notOk(rendered.find('ServiceMonitor', 'hw-holdwire'))
  t.match(rendered.get('Service', 'hw-holdwire').spec, { type: 'ClusterIP', sessionAffinity: 'None' })
  t.match(rendered.get('Service', 'hw-holdwire-internal').spec, { type: 'ClusterIP' })
  t.match(rendered.get('Pod', 'hw-holdwire-test').metadata.annotations, { 'helm.sh/hook': 'test' })
})

t.test('every setting arrives as it was given', { skip }, async (t) => {
  const config = everySetting()
  const rendered = new Rendered({ config })
  for (const component of ['gateway', 'c2s']) t.match(rendered.config(component), config)
  const huge = { maxSessions: 10_000_000, outboxMaxBytes: 1_073_741_824, c2sTimeoutSeconds: 0.1 }
  t.match(new Rendered({ config: huge }).config('gateway'), huge, 'numbers are not written with an exponent')
})

t.test('the grace period covers the drain', { skip }, async (t) => {
  for (const [drainSeconds, wanted] of [
    [undefined, 30],
    [0, 0],
    [4.5, 5],
    [3600, 3600],
  ] as const) {
    const rendered = new Rendered({ config: drainSeconds === undefined ? {} : { drainSeconds }, 'gateway.preStopSeconds': 7 })
    // The server cuts its stop short 10 s after the drain.
    t.equal(rendered.pod('gateway').terminationGracePeriodSeconds, wanted + 15 + 7)
    t.equal(rendered.pod('c2s').terminationGracePeriodSeconds, wanted + 15)
    t.strictSame(rendered.container('gateway').lifecycle, { preStop: { exec: { command: ['sleep', '7'] } } })
  }
})

t.test('secrets of another Secret', { skip }, async (t) => {
  const keys = { natsUrl: 'bus', jwtSecret: '', jwtPublicKey: 'idp.pem', apiKeys: 'keys' }
  const rendered = new Rendered({
    natsUrl: '',
    secrets: {},
    'secrets.jwtSecret': '',
    'secrets.apiKeys': [],
    existingSecret: { name: 'mine', keys },
  })
  t.notOk(rendered.find('Secret', 'hw-holdwire'), 'none of its own')
  const pem = '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'
  const mine = { bus: 'nats://u:p@a:4222,nats://u:p@b:4222', 'idp.pem': `${pem}\n`, keys: 'api-key-number-one\n' }
  t.match(rendered.config('gateway', { mine }), {
    natsUrl: ['nats://u:p@a:4222', 'nats://u:p@b:4222'],
    jwtPublicKey: pem,
    apiKeys: ['api-key-number-one'],
  })
  const mixed = new Rendered({ 'secrets.jwtSecret': '', existingSecret: { name: 'mine', keys: { jwtSecret: 'jwt' } } })
  t.match(mixed.config('c2s', { mine: { jwt: SECRET } }), { jwtSecret: SECRET, apiKeys: BASE.secrets.apiKeys })
  const checksum = (one: Rendered) => one.get('Deployment', 'hw-holdwire-gateway').spec.template.metadata.annotations['checksum/secret']
  t.not(checksum(new Rendered()), checksum(new Rendered({ 'secrets.jwtSecret': `${SECRET}2` })), 'another secret restarts the pods')
})

t.test('autoscaling, Ingress, ServiceMonitor, NetworkPolicy', { skip }, async (t) => {
  const rendered = new Rendered({
    'gateway.autoscaling.enabled': true,
    'ingress.enabled': true,
    'ingress.hosts': [{ host: 'push.example.com' }],
    'ingress.tls': [{ secretName: 'tls', hosts: ['push.example.com'] }],
    'serviceMonitor.enabled': true,
    'serviceMonitor.apiKeySecret': { name: 'scrape', key: 'key' },
    'networkPolicy.internalFrom': [{ namespaceSelector: { matchLabels: { team: 'backend' } } }],
    service: { type: 'LoadBalancer', externalTrafficPolicy: 'Local' },
  })
  t.equal(rendered.get('Deployment', 'hw-holdwire-gateway').spec.replicas, undefined, 'the autoscaler alone sets the replicas')
  t.match(rendered.get('HorizontalPodAutoscaler', 'hw-holdwire-gateway').spec, {
    scaleTargetRef: { name: 'hw-holdwire-gateway' },
    minReplicas: 2,
  })
  const ingress = rendered.get('Ingress', 'hw-holdwire')
  t.match(ingress.metadata.annotations, {
    'nginx.ingress.kubernetes.io/proxy-buffering': 'off',
    'nginx.ingress.kubernetes.io/proxy-read-timeout': '150',
  })
  t.notMatch(JSON.stringify(ingress), /affinity/)
  t.match(ingress.spec, {
    rules: [{ host: 'push.example.com', http: { paths: [{ path: '/', backend: { service: { name: 'hw-holdwire' } } }] } }],
  })
  t.equal(rendered.config('gateway').trustProxy, 1, 'one proxy is in front')
  t.match(rendered.get('ServiceMonitor', 'hw-holdwire').spec, {
    endpoints: [{ port: 'internal', path: '/metrics', authorization: { credentials: { name: 'scrape', key: 'key' } } }],
  })
  const rules = rendered.get('NetworkPolicy', 'hw-holdwire').spec.ingress
  const of = (port: number) => rules.filter(({ ports }) => ports.some((one) => one.port === port))
  t.strictSame(of(8000)[0]?.from, undefined, 'clients come from anywhere')
  t.equal(of(9000).length, 1)
  t.match(of(9000)[0]?.from, [
    { podSelector: { matchLabels: { 'app.kubernetes.io/component': 'test' } } },
    { namespaceSelector: { matchLabels: { team: 'backend' } } },
  ])
  t.equal(of(9000)[0]?.from?.length, 2, 'the internal port is open to nobody else')
  const closed = new Rendered({ 'networkPolicy.internalFrom': [] }).get('NetworkPolicy', 'hw-holdwire').spec.ingress
  t.equal(closed.find(({ ports }) => ports[0]?.port === 9000)?.from?.length, 1, 'an empty list opens nothing')
})

t.test('what can not work is not rendered', { skip }, async (t) => {
  const cases: [string, object, RegExp][] = [
    ['no NATS', { natsUrl: '' }, /natsUrl is missing/],
    ['no key', { 'secrets.jwtSecret': '' }, /no key to check tokens with/],
    ['no API key', { 'secrets.apiKeys': [] }, /no API key/],
    ['a short secret', { 'secrets.jwtSecret': 'short' }, /jwtSecret/],
    ['a short API key', { 'secrets.apiKeys': ['short'] }, /apiKeys/],
    ['twice', { existingSecret: { name: 'mine', keys: { jwtSecret: 'a' } } }, /jwtSecret is given twice/],
    ['a Secret without keys', { 'existingSecret.name': 'mine' }, /names none of its keys/],
    ['keys without a Secret', { 'existingSecret.keys.jwtPublicKey': 'a' }, /existingSecret.name is empty/],
    ['an unknown value', { replicas: 3 }, /replicas/],
    ['an unknown value inside', { 'gateway.replica': 3 }, /replica/],
    ['an unknown setting', { 'config.resumeSecond': 3 }, /resumeSecond/],
    ['a setting out of its limits', { 'config.resumeSeconds': 86_401 }, /resumeSeconds/],
    ['auth: dev', { 'config.auth': 'dev' }, /auth/],
    ['a setting as plain environment', { 'gateway.extraEnv': [{ name: 'HOLDWIRE_AUTH', value: 'dev' }] }, /extraEnv/],
    ['metrics without a key', { 'serviceMonitor.enabled': true }, /apiKeySecret/],
    ['an Ingress without a host', { 'ingress.enabled': true }, /ingress.hosts is empty/],
  ]
  for (const [name, values, wanted] of cases) {
    const { status, stderr } = run('template', BASE, values)
    t.not(status, 0, name)
    t.match(stderr, wanted, name)
  }
  const ways = [{ 'secrets.jwtPublicKey': 'pem' }, { 'config.jwksUrl': 'https://id.example.com/keys' }]
  for (const way of ways) t.equal(run('template', BASE, { 'secrets.jwtSecret': '' }, way).status, 0, 'another key will do')
})
