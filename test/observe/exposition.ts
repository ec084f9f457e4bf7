// The text format of Prometheus, as far as to know which metrics there are, of which type, with which labels.

export interface Family {
  readonly type: string
  /** Of any of its samples, without `le`. Empty for one that has labels but no samples yet. */
  readonly labels: ReadonlySet<string>
  readonly samples: number
}

const SAMPLE = /^([\w:]+)(?:\{(.*)\})? (\S+)$/
const PARTS = ['_bucket', '_sum', '_count']

/** Throws when a line is none. By name. */
export function parseExposition(text: string): Map<string, Family> {
  const types = new Map<string, string>()
  const families = new Map<string, { type: string; labels: Set<string>; samples: number }>()
  for (const line of text.split('\n')) {
    const [, declared = '', type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? []
    if (declared !== '') {
      types.set(declared, type)
      families.set(declared, { type, labels: new Set(), samples: 0 })
    }
    if (line === '' || line.startsWith('#')) continue
    const [, name = '', labels = '', value] = SAMPLE.exec(line) ?? []
    if (value === undefined) throw new Error(`no sample: ${line}`)
    const family = families.get(familyOf(name, types))
    if (family === undefined) throw new Error(`a sample without a type: ${line}`)
    family.samples++
    for (const [, label = ''] of labels.matchAll(/([A-Za-z_]\w*)="(?:[^"\\]|\\.)*"/g)) if (label !== 'le') family.labels.add(label)
  }
  return families
}

/** Of several processes. */
export function merge(...all: readonly ReadonlyMap<string, Family>[]): Map<string, Family> {
  const merged = new Map<string, Family>()
  for (const [name, family] of all.flatMap((families) => [...families])) {
    const known = merged.get(name)
    const labels = new Set([...(known?.labels ?? []), ...family.labels])
    merged.set(name, { type: family.type, labels, samples: (known?.samples ?? 0) + family.samples })
  }
  return merged
}

/** Labels of a series that an expression may name, `le` among them where it has it; undefined: there is none. */
export function labelsOf(series: string, families: ReadonlyMap<string, Family>): ReadonlySet<string> | undefined {
  const plain = families.get(series)
  if (plain !== undefined) return plain.type === 'histogram' ? undefined : plain.labels
  const part = PARTS.find((one) => series.endsWith(one))
  const family = part === undefined ? undefined : families.get(series.slice(0, -part.length))
  if (family?.type !== 'histogram') return undefined
  return part === '_bucket' ? new Set([...family.labels, 'le']) : family.labels
}

function familyOf(name: string, types: ReadonlyMap<string, string>): string {
  if (types.has(name)) return name
  const part = PARTS.find((one) => name.endsWith(one)) ?? ''
  return name.slice(0, name.length - part.length)
}
