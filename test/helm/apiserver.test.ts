// The chart on a real kube-apiserver: it accepts every object of the examples, and every upgrade from one to another.

import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { type Answer, type KubeApiserver, lacksKubeApiserver, startKubeApiserver } from '../support/kube-apiserver.js'

const chart = join(process.cwd(), 'helm', 'holdwire')
const helm = process.env.HELM || 'helm'
const found = spawnSync(helm, ['version', '--short'], { encoding: 'utf8' })
const skip = found.status === 0 ? lacksKubeApiserver() : `no helm: ${found.error?.message ?? found.stderr} (on PATH, or named by HELM)`

const EXAMPLES = ['minimal', 'production', 'embedded'] as const
type Example = (typeof EXAMPLES)[number]
/** Every step from one to another, once. */
const TOUR: readonly Example[] = ['minimal', 'production', 'embedded', 'minimal', 'embedded', 'production', 'minimal']
const LEVEL = 'pod-security.kubernetes.io'
const CRDS = [
  ['monitoring.coreos.com', 'v1', 'ServiceMonitor', 'servicemonitors'],
  ['monitoring.coreos.com', 'v1', 'PodMonitor', 'podmonitors'],
  ['monitoring.coreos.com', 'v1', 'PrometheusRule', 'prometheusrules'],
  ['gateway.networking.k8s.io', 'v1', 'HTTPRoute', 'httproutes'],
  ['keda.sh', 'v1alpha1', 'ScaledObject', 'scaledobjects'],
] as const

interface Metadata {
  readonly name: string
  readonly annotations?: Readonly<Record<string, string>>
}

interface Manifest {
  /** As helm wrote it: the server parses it itself. */
  readonly text: string
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Metadata
  readonly isHook: boolean
}

interface Stored {
  readonly metadata: Metadata & Readonly<Record<string, unknown>>
  readonly spec?: { readonly replicas?: number }
}

/** In the order of helm: of the install, then the hooks. */
function render(example: Example, { folder = chart, sets = [] }: { folder?: string; sets?: readonly string[] } = {}): Manifest[] {
  const values = join(chart, 'examples', `${example}.yaml`)
  const words = ['template', 'hw', folder, '--namespace', 'push', '--kube-version', '1.30.0', '-f', values]
  const { status, stdout, stderr } = spawnSync(helm, [...words, ...sets.flatMap((set) => ['--set', set])], {
    encoding: 'utf8',
    maxBuffer: 1 << 24,
  })
  if (status !== 0) throw new Error(stderr)
  return stdout.split(/^---$/m).flatMap((text) => {
    const object = parse(text) as Pick<Manifest, 'apiVersion' | 'kind' | 'metadata'> | null
    return object === null ? [] : [{ ...object, text, isHook: object.metadata.annotations?.['helm.sh/hook'] !== undefined }]
  })
}

const label = ({ kind, metadata }: Manifest) => `${kind} ${metadata.name}`

class Cluster {
  readonly #server: KubeApiserver
  /** Plural of a kind, by apiVersion. */
  readonly #resources = new Map<string, Map<string, string>>()

  constructor(server: KubeApiserver) {
    this.#server = server
  }

  apply(path: string, text: string): Promise<Answer> {
    const query = 'fieldManager=tests&fieldValidation=Strict'
    return this.#server.ask('PATCH', `${path}?${query}`, text, 'application/apply-patch+yaml')
  }

  async applyManifest(manifest: Manifest): Promise<Answer> {
    return this.apply(await this.#pathOf(manifest), manifest.text)
  }

  async get(manifest: Manifest): Promise<Answer> {
    return this.#server.ask('GET', await this.#pathOf(manifest))
  }

  async delete(manifest: Manifest): Promise<Answer> {
    return this.#server.ask('DELETE', `${await this.#pathOf(manifest)}?propagationPolicy=Background`)
  }

  /** Answers once objects of these kinds can be made. */
  async define([group, version, kind, plural]: (typeof CRDS)[number]): Promise<void> {
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
    const crd = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {
        name: `${plural}.${group}`,
        // Without it names under *.k8s.io are refused.
        annotations: { 'api-approved.kubernetes.io': 'unapproved, for tests' },
      },
      spec: {
        group,
        scope: 'Namespaced',
        names: { kind, plural, singular: kind.toLowerCase() },
        versions: [{ name: version, served: true, storage: true, schema }],
      },
    }
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
    const { status, body } = await this.apply(`${path}/${crd.metadata.name}`, JSON.stringify(crd))
    if (status !== 201) throw new Error(JSON.stringify(body))
    for (let tries = 0; tries < 100; tries++) {
      const listed = await this.#server.ask('GET', `/apis/${group}/${version}/${plural}`)
      const { resources = [] } = (await this.#server.ask('GET', `/apis/${group}/${version}`)).body as { resources?: { kind: string }[] }
      if (listed.status === 200 && resources.some((one) => one.kind === kind)) return
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    throw new Error(`${kind} is not served`)
  }

  async #pathOf({ apiVersion, kind, metadata }: Manifest): Promise<string> {
    const base = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`
    let plurals = this.#resources.get(apiVersion)
    if (plurals === undefined) {
      const { body } = await this.#server.ask('GET', base)
      const { resources = [] } = body as { resources?: readonly { readonly kind: string; readonly name: string }[] }
      plurals = new Map(resources.flatMap((one) => (one.name.includes('/') ? [] : [[one.kind, one.name]])))
      this.#resources.set(apiVersion, plurals)
    }
    const plural = plurals.get(kind)
    if (plural === undefined) throw new Error(`the server has no ${kind} of ${apiVersion}`)
    return `${base}/namespaces/push/${plural}/${metadata.name}`
  }
}

t.test('every object is accepted, and every upgrade', { skip, timeout: 240_000 }, async (t) => {
  const server = await startKubeApiserver()
  t.teardown(() => server.stop())
  const cluster = new Cluster(server)
  const labels = Object.fromEntries(['enforce', 'warn', 'audit'].map((mode) => [`${LEVEL}/${mode}`, 'restricted']))
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'push', labels } }
  t.equal((await cluster.apply('/api/v1/namespaces/push', JSON.stringify(namespace))).status, 201)
  // What kube-controller-manager makes, without which no pod is accepted.
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } }
  t.equal((await cluster.apply('/api/v1/namespaces/push/serviceaccounts/default', JSON.stringify(account))).status, 201)
  for (const crd of CRDS) await cluster.define(crd)

  const accept = async (t: Test, manifest: Manifest, statuses: readonly number[]) => {
    const { status, warnings, body } = await cluster.applyManifest(manifest)
    t.ok(statuses.includes(status), `${label(manifest)}: ${status}`, { body })
    t.strictSame(warnings, [], `${label(manifest)} has no warnings`)
  }
  const remove = async (t: Test, manifest: Manifest) => {
    const { status, body } = await cluster.delete(manifest)
    t.equal(status, 200, `${label(manifest)} is deleted`, { body })
    t.equal((await cluster.get(manifest)).status, 404, `${label(manifest)} is gone`)
  }
  /** As helm does it: what is new or changed, then what is gone, then the hooks, which all say before-hook-creation. */
  const upgrade = async (t: Test, from: readonly Manifest[], to: readonly Manifest[]) => {
    const before = new Set(from.map(label))
    const after = new Set(to.map(label))
    for (const one of to) if (!one.isHook) await accept(t, one, before.has(label(one)) ? [200] : [201])
    for (const one of from) if (!one.isHook && !after.has(label(one))) await remove(t, one)
    for (const one of to) {
      if (!one.isHook) continue
      t.match(one.metadata.annotations?.['helm.sh/hook-delete-policy'], /before-hook-creation/)
      if ((await cluster.get(one)).status === 200) await remove(t, one)
      await accept(t, one, [201])
    }
  }
  const uninstall = async (t: Test, manifests: readonly Manifest[]) => {
    for (const one of manifests) await remove(t, one)
  }
  const stored = async (manifests: readonly Manifest[]) => {
    const all: Record<string, unknown> = {}
    for (const one of manifests) if (!one.isHook) all[label(one)] = essence((await cluster.get(one)).body as Stored)
    return all
  }

  const rendered = new Map(EXAMPLES.map((example) => [example, render(example)]))
  const of = (example: Example) => rendered.get(example) ?? []
  const installed = new Map<Example, Record<string, unknown>>()

  for (const example of EXAMPLES) {
    await t.test(`${example} is installed`, async (t) => {
      t.ok(of(example).length > 7)
      await upgrade(t, [], of(example))
      installed.set(example, await stored(of(example)))
      await uninstall(t, of(example))
    })
  }

  let current: readonly Manifest[] = []
  for (const [at, example] of TOUR.entries()) {
    await t.test(at === 0 ? `${example} again` : `${TOUR[at - 1]} becomes ${example}`, async (t) => {
      await upgrade(t, current, of(example))
      // Hooks of another example stay, as with helm.
      current = of(example)
      t.strictSame(await stored(current), installed.get(example), 'as if it had been installed')
    })
  }

  await t.test('the next version of the chart', async (t) => {
    const folder = join(t.testdir(), 'holdwire')
    cpSync(chart, folder, { recursive: true })
    for (const file of [join(folder, 'Chart.yaml'), join(folder, 'charts', 'nats', 'Chart.yaml')]) {
      writeFileSync(file, readFileSync(file, 'utf8').replace(/^( *version|appVersion): .*$/gm, '$1: 99.0.0'))
    }
    for (const example of EXAMPLES) {
      await upgrade(t, current, of(example))
      current = render(example, { folder })
      t.match(current[0]?.text, /99\.0\.0/)
      await upgrade(t, of(example), current)
    }
  })

  await t.test('KEDA, a PodMonitor, three servers of NATS', async (t) => {
    for (const [example, kind, sets] of [
      [
        'production',
        'ScaledObject',
        ['gateway.autoscaling.keda.enabled=true', 'gateway.autoscaling.keda.serverAddress=http://prometheus:9090'],
      ],
      ['production', 'PodMonitor', ['podMonitor.enabled=true', 'serviceMonitor.enabled=false']],
      ['minimal', 'StatefulSet', ['nats.replicas=3', 'config.natsReplicas=3']],
    ] as const) {
      await upgrade(t, current, of(example))
      current = render(example, { sets })
      t.ok(current.some((one) => one.kind === kind))
      await upgrade(t, of(example), current)
    }
  })

  await t.test('what is broken is refused', async (t) => {
    await upgrade(t, current, of('minimal'))
    const change = async (kind: string, name: string, from: RegExp | string, to: string) => {
      const one = of('minimal').find((each) => each.kind === kind && each.metadata.name === name)
      if (one === undefined) throw new Error(`no ${kind} ${name}`)
      const text = one.text.replace(from, to)
      t.not(text, one.text)
      return cluster.applyManifest({ ...one, text })
    }
    const selector = /(selector:\n\s+matchLabels:\n)(\s+)/
    t.match(await change('Deployment', 'hw-holdwire-gateway', selector, '$1$2another: label\n$2'), { status: 422 }, 'another selector')
    t.match(await change('Service', 'hw-holdwire', /^spec:\n/m, 'spec:\n  unknown: 1\n'), { status: 500 }, 'an unknown field')
    const rooted = await change('Deployment', 'hw-holdwire-gateway', 'runAsNonRoot: true', 'runAsNonRoot: false')
    t.equal(rooted.status, 200)
    t.match(rooted.warnings.join(), 'would violate PodSecurity', 'the controller would be stopped')
    t.match(rooted.warnings.join(), 'runAsNonRoot != true')
    const pod = of('minimal').find(({ kind }) => kind === 'Pod')
    if (pod === undefined) throw new Error('no pod')
    await remove(t, pod)
    t.match(await change('Pod', pod.metadata.name, 'runAsNonRoot: true', 'runAsNonRoot: false'), { status: 403 }, 'a pod that may be root')
  })
})

/** An object without what differs each time it is made, or the server gives it. */
function essence({ metadata, spec, ...rest }: Stored): unknown {
  const { uid, resourceVersion, creationTimestamp, generation, managedFields, ...kept } = metadata
  const { clusterIP, clusterIPs, ...specKept } = (spec ?? {}) as Record<string, unknown>
  const { status, ...others } = rest as Record<string, unknown>
  return { ...others, metadata: kept, spec: specKept }
}
