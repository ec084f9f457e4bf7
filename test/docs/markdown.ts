// A page of the documentation as the tests see it: fenced blocks with the markers above them, headings, links.

/** What a comment directly above a block may say; `README.md` here tells what each means. True: it has a value. */
const MARKERS = {
  'not run': true,
  needs: true,
  terminal: true,
  terminals: false,
  stop: true,
  file: true,
  output: 'maybe',
  fails: false,
  'checked only': true,
  given: true,
  browser: false,
  is: true,
} as const

export type MarkerName = keyof typeof MARKERS

export interface Block {
  /** Line of the fence in the page, from 1. */
  readonly line: number
  /** Empty: none. */
  readonly language: string
  readonly text: string
  readonly markers: ReadonlyMap<MarkerName, string>
}

export interface Link {
  readonly line: number
  readonly target: string
}

export interface Problem {
  readonly line: number
  readonly message: string
}

export interface Page {
  /** From the root of the repository. */
  readonly path: string
  readonly blocks: readonly Block[]
  readonly links: readonly Link[]
  /** What a link after `#` may name. */
  readonly anchors: ReadonlySet<string>
  /** The text without blocks, comments and code spans, by line. */
  readonly prose: readonly string[]
  readonly problems: readonly Problem[]
}

const FENCE = /^(\s*)(`{3,}|~{3,})\s*(\S*)/
const COMMENT = /<!--\s*(.*?)\s*-->/g

export function readPage(path: string, text: string): Page {
  const blocks: Block[] = []
  const problems: Problem[] = []
  const prose: string[] = []
  const anchors = new Set<string>()
  const links: Link[] = []
  let above: { readonly line: number; readonly comment: string }[] = []
  const lines = text.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? ''
    const fence = FENCE.exec(line)
    if (fence !== null) {
      const [, indent = '', mark = '', language = ''] = fence
      const from = i
      const content: string[] = []
      for (i++; i < lines.length && !(lines[i] ?? '').trimStart().startsWith(mark); i++) content.push(unindented(lines[i] ?? '', indent))
      if (i === lines.length) problems.push({ line: from + 1, message: 'the block does not end' })
      blocks.push({ line: from + 1, language, text: content.join('\n'), markers: readMarkers(above, problems) })
      above = []
      continue
    }
    const comments = [...line.matchAll(COMMENT)].map(([, comment = '']) => ({ line: i + 1, comment }))
    const rest = line.replace(COMMENT, '')
    above.push(...comments)
    if (rest.trim() === '') continue
    // Not directly above a block: then it must not look as if it were meant for one.
    for (const { line: at, comment } of above) {
      if (splitMarker(comment) !== undefined) problems.push({ line: at, message: `no block follows the marker \`${comment}\`` })
    }
    above = []
    const bare = rest.replace(/`[^`]*`/g, '')
    prose[i] = bare
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(rest)
    if (heading !== null) addAnchor(anchors, heading[1] ?? '')
    for (const [, id = ''] of bare.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id)
    for (const [, target = ''] of bare.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)) links.push({ line: i + 1, target })
    for (const [, target = ''] of bare.matchAll(/^\s*\[[^\]]+\]:\s*(\S+)/g)) links.push({ line: i + 1, target })
  }
  return { path, blocks, links, anchors, prose, problems }
}

function unindented(line: string, indent: string): string {
  return line.startsWith(indent) ? line.slice(indent.length) : line.trimStart()
}

function readMarkers(above: readonly { readonly line: number; readonly comment: string }[], problems: Problem[]) {
  const markers = new Map<MarkerName, string>()
  for (const { line, comment } of above) {
    const marker = splitMarker(comment)
    if (marker === undefined) {
      problems.push({ line, message: `\`${comment}\` above a block is no marker; there are: ${Object.keys(MARKERS).join(', ')}` })
      continue
    }
    const takes = MARKERS[marker.name]
    if (takes === true && marker.value === '') problems.push({ line, message: `say \`${marker.name}: …\`` })
    if (takes === false && marker.value !== '') problems.push({ line, message: `\`${marker.name}\` takes no value` })
    markers.set(marker.name, marker.value)
  }
  return markers
}

function splitMarker(comment: string): { readonly name: MarkerName; readonly value: string } | undefined {
  const [, name = '', value = ''] = /^([a-z ]+?)(?::\s*(.*))?$/s.exec(comment) ?? []
  return Object.hasOwn(MARKERS, name) ? { name: name as MarkerName, value } : undefined
}

/** As GitHub makes them: lower case, no punctuation, hyphens for blanks, a number for repeats. */
function addAnchor(anchors: Set<string>, heading: string): void {
  const text = heading.replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '')
  const slug = text
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}\s_-]/gu, '')
    .replace(/\s/g, '-')
  let anchor = slug
  for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`
  anchors.add(anchor)
}
