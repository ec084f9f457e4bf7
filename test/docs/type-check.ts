// The type-check of all JavaScript and TypeScript blocks, in one go.

import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Checkout } from './checkout.js'
import type { Block, Page } from './markdown.js'

const OPTIONS = {
  target: 'ES2023',
  lib: ['ES2023', 'DOM', 'DOM.Iterable'],
  module: 'NodeNext',
  moduleDetection: 'force',
  types: ['node'],
  allowJs: true,
  checkJs: true,
  strict: false,
  skipLibCheck: true,
  noEmit: true,
}

/** What is wrong, by `path:line` of the block. */
export async function typeCheck(pages: readonly Page[]): Promise<Map<string, string>> {
  const checkout = new Checkout()
  const places = new Map<string, { readonly path: string; readonly block: Block }>()
  try {
    for (const { path, blocks } of pages) {
      for (const block of blocks.filter(isCode)) {
        // A folder for each page: its files import one another by name.
        const name = join('types', path.replaceAll('/', '-'), block.markers.get('file') ?? `block-${block.line}.${block.language}`)
        places.set(name, { path, block })
        mkdirSync(dirname(join(checkout.folder, name)), { recursive: true })
        writeFileSync(join(checkout.folder, name), `${givenIn(block)}${block.text}\n`)
      }
    }
    if (places.size === 0) return new Map()
    // The one of the repository is a link.
    rmSync(join(checkout.folder, 'tsconfig.json'))
    writeFileSync(join(checkout.folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: OPTIONS, files: [...places.keys()] }))
    return problemsIn(await compile(checkout.folder), places)
  } finally {
    checkout.remove()
  }
}

const isCode = ({ language, markers }: Block) => ['js', 'ts'].includes(language) && !markers.has('not run')

/** On the first line, so that lines stay what they are. */
function givenIn({ language, markers }: Block): string {
  const names = (markers.get('given') ?? '').split(',').map((name) => name.trim())
  return names
    .filter((name) => name !== '')
    .map((name) => (language === 'ts' ? `declare const ${name}: any; ` : `const ${name} = /** @type {any} */ (globalThis); `))
    .join('')
}

function compile(folder: string): Promise<string> {
  const tsc = createRequire(import.meta.url).resolve('typescript/lib/tsc.js')
  return new Promise((resolve) => {
    execFile(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder }, (_error, stdout) => resolve(stdout))
  })
}

function problemsIn(output: string, places: ReadonlyMap<string, { readonly path: string; readonly block: Block }>): Map<string, string> {
  const problems = new Map<string, string>()
  let last = 'tsc'
  for (const line of output.split('\n').filter((text) => text.trim() !== '')) {
    const [, file = '', row = '', message = ''] = /^([^(\s]+)\((\d+),\d+\): (.*)$/.exec(line) ?? []
    const place = places.get(file)
    if (place !== undefined) last = `${place.path}:${place.block.line}`
    const text = place === undefined ? line : `line ${place.block.line + Number(row)}: ${message}`
    problems.set(last, [problems.get(last), text].filter((part) => part !== undefined).join('\n'))
  }
  return problems
}
