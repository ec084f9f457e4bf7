// The Helm chart, rendered by helm itself: its promises, and that the server accepts what it is given.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { loadConfig } from '../../gateway/config.js'
import { ConfigSchema } from '../../gateway/config-schema.js'

const chart = join(process.cwd(), 'helm', 'holdwire')
const helm = process.env.HELM || 'helm'
const found = spawnSync(helm, ['version', '--short'], { encoding: 'utf8' })
const skip = found.status === 0 ? false : `no helm: ${found.error?.message ?? found.stderr} (on PATH, or named by HELM)`

const { OWNED, describeValues } = (await import(join(process.cwd(), 'helm', 'generate.js'))) as {
  OWNED: ReadonlySet<string>
  describeValues(text: string): readonly { readonly key: string; readonly words: string }[]
}

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
  /** Of a Secret: base64. */
  readonly data?: Record<string, string>
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
  return spawnSync(helm, [...words, '--kube-version', '1.30.0', ...sets], { encoding: 'utf8', maxBuffer: 1 << 24 })
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

  /** Of a Secret of the release. */
  texts(secret: string): Record<string, string> {
    const { data = {} } = this.get('Secret', secret)
    return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]))
  }

  /** As the server of a component reads it. `existing`: texts of Secrets that are not of the release. */
  config(component: string, existing: Record<string, Record<string, string>> = {}) {
    const [mount] = this.container(component).volumeMounts
    const files = new Map<string, string>()
    for (const { secret } of this.pod(component).volumes[0]?.projected.sources ?? []) {
      const texts = existing[secret.name] ?? this.texts(secret.name)
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
    // Not together with trustProxy.
    trustedProxies: [],
    natsReplicas: 3,
    maxFrameBytes: 100_000,
    publicUrl: 'https://push.example.com',
    xmppDomain: 'push.example.com',
    xmppSeeOtherUri: 'https://xmpp.example.com/http-bind',
  }
  const properties = z.toJSONSchema(ConfigSchema, { io: 'output' }).properties ?? {}
  const config: Record<string, unknown> = {}
  for (const [key, property] of Object.entries(properties)) {
    // It needs a certificate, which is the chart's.
    if (OWNED.has(key) || key === 'internalTlsClientCa' || typeof property === 'boolean') continue
    const { type, default: value, minimum } = property
    if (key in special) config[key] = special[key]
    else if (property.enum !== undefined) config[key] = property.enum.find((word) => word !== value)
    else if (type === 'boolean') config[key] = value !== true
    else if (type === 'string') config[key] = `a "text": {{ of }} ${key}`
    else config[key] = value === minimum ? Number(value) + 1 : Number(value) - 1
  }
  return config
}

t.test('what is generated is fresh, every value is described, and versions are one', async (t) => {
  const { status, stderr } = spawnSync(process.execPath, [join('helm', 'generate.js'), '--check'], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
  const rows = describeValues(readFileSync(join(chart, 'values.yaml'), 'utf8'))
  t.ok(rows.length > 100)
  for (const { key, words } of rows) t.ok(words.length > 3, `${key} is described`)
  t.throws(() => describeValues('# no words\na: 1\n'), /a has no comment/)
  const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8'))
  t.equal(schema.properties.config.additionalProperties, false)
  t.ok('boshGapSeconds' in schema.properties.config.properties)
  const { version, appVersion } = parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8'))
  const { version: own } = JSON.parse(readFileSync(join(process.cwd(), 'package.json'), 'utf8'))
  t.strictSame({ version, appVersion }, { version: own, appVersion: own }, 'chart, image and package have one version')
})

t.test('the schema is strict: every map of the values, and no value without a place in it', async (t) => {
  interface Node {
    readonly properties?: Readonly<Record<string, Node>>
    readonly additionalProperties?: unknown
  }
  const open = new Set(['resources', 'behavior', 'timeouts', 'nodeSelector', 'affinity', 'podSecurityContext', 'securityContext', 'nats'])
  const look = (node: Node | undefined, value: unknown, path: string) => {
    if (node === undefined) {
      t.fail(`${path} is not in values.schema.json`)
      return
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return
    if (node.properties === undefined) {
      const last = path.split('.').at(-1) ?? ''
      t.ok(open.has(last) || node.additionalProperties !== undefined, `${path} is of Kubernetes, or has an end`)
      return
    }
    t.equal(node.additionalProperties, false, `${path}: unknown keys are refused`)
    for (const [key, part] of Object.entries(value)) look(node.properties[key], part, path === '' ? key : `${path}.${key}`)
  }
  look(JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')), parse(readFileSync(join(chart, 'values.yaml'), 'utf8')), '')
  const nats = join(chart, 'charts', 'nats')
  look(JSON.parse(readFileSync(join(nats, 'values.schema.json'), 'utf8')), parse(readFileSync(join(nats, 'values.yaml'), 'utf8')), '')
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
    t.strictSame(container.startupProbe.httpGet, { path: '/livez', port: 'internal', scheme: 'HTTP' })
    t.strictSame(container.livenessProbe.httpGet, { path: '/livez', port: 'internal', scheme: 'HTTP' })
    t.strictSame(container.readinessProbe.httpGet, { path: '/readyz', port: 'internal', scheme: 'HTTP' })
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
    t.strictSame(rendered.container('gateway').lifecycle, { preStop: { exec: { command: ['node', '-e', 'setTimeout(() => {}, 7000)'] } } })
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
    ['scraped twice', { 'serviceMonitor.enabled': true, 'podMonitor.enabled': true, 'config.publicMetrics': true }, /one of them/],
    ['a short grace', { 'gateway.terminationGracePeriodSeconds': 44 }, /terminationGracePeriodSeconds is 44, but a stop takes up to 45 s/],
    ['a short grace of workers', { 'c2s.terminationGracePeriodSeconds': 39 }, /c2s.terminationGracePeriodSeconds/],
    ['a grace that a longer drain makes short', { 'config.drainSeconds': 90, 'gateway.terminationGracePeriodSeconds': 60 }, /105 s/],
    ['several on the embedded bus', { natsUrl: '', 'embedded.enabled': true }, /gateway.replicas is 2/],
    [
      'autoscaling on it',
      { natsUrl: '', 'embedded.enabled': true, 'gateway.replicas': 1, 'gateway.autoscaling.enabled': true },
      /embedded bus/,
    ],
    ['embedded and NATS', { 'embedded.enabled': true, 'gateway.replicas': 1 }, /embedded.enabled, and NATS too/],
    ['two NATS', { 'nats.enabled': true }, /natsUrl is given/],
    ['autoscaling by nothing', { 'gateway.autoscaling': { enabled: true, targetCPUUtilizationPercentage: 0 } }, /says when/],
    ['more than fit', { 'gateway.autoscaling': { enabled: true, targetSessionsPerPod: 5000 }, 'config.maxSessions': 4999 }, /maxSessions/],
    ['min above max', { 'gateway.autoscaling': { enabled: true, minReplicas: 11 } }, /minReplicas is more/],
    [
      'KEDA without Prometheus',
      { 'gateway.autoscaling': { enabled: true, targetSessionsPerPod: 9, keda: { enabled: true } } },
      /serverAddress/,
    ],
    ['all gateways at once', { 'gateway.podDisruptionBudget': { enabled: true, maxUnavailable: 2 } }, /all gateways go at once/],
    ['TLS on uws', { 'tls.client.existingSecret': 'tls', 'config.engine': 'uws' }, /engine node/],
    ['an HTTPRoute without a Gateway', { 'httpRoute.enabled': true }, /parentRefs is empty/],
    ['an unknown value of NATS', { natsUrl: '', 'nats.enabled': true, 'nats.replica': 3 }, /replica/],
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

t.test('a grace of exactly what a stop takes is enough', { skip }, async (t) => {
  const rendered = new Rendered({ 'gateway.terminationGracePeriodSeconds': 45, 'c2s.terminationGracePeriodSeconds': 40 })
  t.equal(rendered.pod('gateway').terminationGracePeriodSeconds, 45)
  t.equal(rendered.pod('c2s').terminationGracePeriodSeconds, 40)
})

t.test('autoscaling by sessions, with an adapter or with KEDA', { skip }, async (t) => {
  const autoscaling = { enabled: true, minReplicas: 3, maxReplicas: 9, targetSessionsPerPod: 40_000 }
  const hpa = new Rendered({ 'gateway.autoscaling': autoscaling }).get('HorizontalPodAutoscaler', 'hw-holdwire-gateway')
  t.match(hpa.spec, {
    metrics: [
      { type: 'Pods', pods: { metric: { name: 'holdwire_sessions' }, target: { type: 'AverageValue', averageValue: '40000' } } },
      { type: 'Resource', resource: { name: 'cpu' } },
    ],
    behavior: { scaleDown: { stabilizationWindowSeconds: 600, policies: [{ type: 'Pods', value: 1, periodSeconds: 120 }] } },
  })
  const keda = new Rendered({ 'gateway.autoscaling': { ...autoscaling, keda: { enabled: true, serverAddress: 'http://prometheus:9090' } } })
  t.notOk(keda.find('HorizontalPodAutoscaler', 'hw-holdwire-gateway'), 'KEDA makes its own')
  t.match(keda.get('ScaledObject', 'hw-holdwire-gateway').spec, {
    scaleTargetRef: { name: 'hw-holdwire-gateway' },
    triggers: [{ type: 'prometheus', metadata: { query: /holdwire_sessions/, threshold: '40000' } }, { type: 'cpu' }],
  })
})

t.test('TLS on both ports', { skip }, async (t) => {
  const rendered = new Rendered({ 'tls.client.existingSecret': 'front', 'tls.internal.existingSecret': 'back' })
  const container = rendered.container('gateway')
  t.match(container.readinessProbe.httpGet, { scheme: 'HTTPS' })
  const env = Object.fromEntries(container.env.map(({ name, value }) => [name, value]))
  t.match(env, {
    HOLDWIRE_CLIENT_TLS_CERT: '/etc/holdwire/tls/client/tls.crt',
    HOLDWIRE_INTERNAL_TLS_KEY: '/etc/holdwire/tls/internal/tls.key',
  })
  t.ok(container.volumeMounts.some(({ mountPath }) => mountPath === '/etc/holdwire/tls/client'))
})

t.test('streams are made by a Job of the release, in time', { skip }, async (t) => {
  const external = new Rendered()
  const job = external.get('Job', 'hw-holdwire-provision')
  t.equal(job.metadata.annotations?.['helm.sh/hook'], 'post-install,pre-upgrade')
  t.match(job.spec.template.spec.containers, [{ args: ['provision'] }])
  t.equal(external.get('Secret', 'hw-holdwire-provision').metadata.annotations?.['helm.sh/hook-weight'], '-5', 'its Secret comes first')
  const bundled = new Rendered({ natsUrl: '', 'nats.enabled': true })
  t.equal(bundled.get('Job', 'hw-holdwire-provision').metadata.annotations?.['helm.sh/hook'], 'post-install,post-upgrade')
  t.match(bundled.config('gateway'), { natsUrl: ['nats://hw-nats:4222'] })
  t.match(bundled.get('StatefulSet', 'hw-nats').spec, { serviceName: 'hw-nats-headless' })
  t.notOk(new Rendered({ 'provision.enabled': false }).find('Job', 'hw-holdwire-provision'))
})

t.test('helm test pushes where a token can be had', { skip }, async (t) => {
  const args = (values: object) => {
    const [container] = (new Rendered(values).get('Pod', 'hw-holdwire-test').spec as unknown as PodSpec).containers
    return container?.args
  }
  t.notMatch(args({}), ['--ready-only'])
  t.ok(args({ 'secrets.jwtSecret': '', 'config.jwksUrl': 'https://id.example.com/keys' })?.includes('--ready-only'))
  const token = { 'tests.tokenSecret': { name: 'a', key: 'b' } }
  t.notOk(args({ 'secrets.jwtSecret': '', 'config.jwksUrl': 'https://id.example.com/keys', ...token })?.includes('--ready-only'))
})

t.test('the examples render, and what they promise is there', { skip }, async (t) => {
  const render = (name: string) => {
    const words = [
      'template',
      'hw',
      chart,
      '--namespace',
      'push',
      '--kube-version',
      '1.31.0',
      '--values',
      join(chart, 'examples', `${name}.yaml`),
    ]
    const { status, stdout, stderr } = spawnSync(helm, words, { encoding: 'utf8', maxBuffer: 1 << 24 })
    t.equal(status, 0, stderr)
    return parseAllDocuments(stdout).map((document) => document.toJS() as Manifest)
  }
  const kinds = (manifests: readonly Manifest[]) => new Set(manifests.map(({ kind }) => kind))
  const minimal = render('minimal')
  t.ok(kinds(minimal).has('StatefulSet'))
  const production = render('production')
  for (const kind of ['HTTPRoute', 'HorizontalPodAutoscaler', 'ServiceMonitor', 'PrometheusRule', 'NetworkPolicy', 'Job']) {
    t.ok(kinds(production).has(kind), kind)
  }
  t.notOk(kinds(production).has('Secret'), 'secrets come from elsewhere')
  const dashboard = production.find(
    ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'hw-holdwire-dashboard',
  ) as unknown as {
    readonly data: Record<string, string>
  }
  t.same(JSON.parse(dashboard.data['holdwire.json'] ?? ''), JSON.parse(readFileSync(join(chart, 'dashboards', 'holdwire.json'), 'utf8')))
  const rules = production.find(({ kind }) => kind === 'PrometheusRule')
  t.same(rules?.spec, parse(readFileSync(join(chart, 'rules', 'holdwire.yaml'), 'utf8')))
  const embedded = render('embedded')
  t.notOk(kinds(embedded).has('Deployment'))
  t.match(embedded.find(({ kind }) => kind === 'StatefulSet')?.spec, {
    replicas: 1,
    template: { spec: { containers: [{ args: ['serve'] }] } },
    volumeClaimTemplates: [{ metadata: { name: 'data' } }],
  })
})

t.test('upgrade of each example to each: what Kubernetes does not let change stays as it is', { skip }, async (t) => {
  const names = ['minimal', 'production', 'embedded']
  const rendered = names.map((name) => {
    const words = [
      'template',
      'hw',
      chart,
      '--namespace',
      'push',
      '--kube-version',
      '1.30.0',
      '--values',
      join(chart, 'examples', `${name}.yaml`),
    ]
    const manifests = parseAllDocuments(spawnSync(helm, words, { encoding: 'utf8', maxBuffer: 1 << 24 }).stdout).map(
      (one) => one.toJS() as Manifest,
    )
    return new Map(manifests.map((one) => [`${one.kind} ${one.metadata.name}`, one]))
  })
  for (const [i, from] of rendered.entries()) {
    for (const [j, to] of rendered.entries()) {
      let same = 0
      for (const [name, after] of to) {
        const before = from.get(name)
        // Jobs and pods are hooks: Helm deletes those before.
        if (before === undefined || after.kind === 'Job' || after.kind === 'Pod') continue
        same++
        const fixed = (one: Manifest) => {
          const { selector, serviceName, volumeClaimTemplates, podManagementPolicy, clusterIP } = one.spec ?? {}
          if (one.kind === 'Deployment') return { selector }
          if (one.kind === 'StatefulSet') return { selector, serviceName, volumeClaimTemplates, podManagementPolicy }
          if (one.kind === 'Service') return { headless: clusterIP === 'None' }
          return {}
        }
        t.strictSame(fixed(after), fixed(before), `${names[i]} to ${names[j]}: ${name}`)
        if (after.kind === 'Deployment' || after.kind === 'StatefulSet') {
          const { matchLabels } = after.spec.selector as { readonly matchLabels: Record<string, string> }
          t.match(after.spec.template.metadata.labels, matchLabels, `${name} selects its own pods`)
        }
      }
      t.ok(same > 3, `${names[i]} and ${names[j]} share ${same} objects`)
    }
  }
  const kinds = (one: ReadonlyMap<string, Manifest>, kind: string) => [...one.keys()].filter((name) => name.startsWith(`${kind} `))
  const [, production, embedded] = rendered
  t.not(kinds(production ?? new Map(), 'Deployment')[0]?.split(' ')[1], kinds(embedded ?? new Map(), 'StatefulSet')[0]?.split(' ')[1])
})
