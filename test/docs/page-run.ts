// Runs the blocks of one page, in order, as a reader would.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { build, transform } from 'esbuild'
import type { Browser } from 'playwright-core'
import { type OpenPage, open } from './browser.js'
import { Checkout, which } from './checkout.js'
import { wrongJson, wrongYaml } from './claims.js'
import { missingLine } from './expected.js'
import type { Block, Page } from './markdown.js'
import { Shell, Terminal } from './shell.js'

export interface Result {
  readonly line: number
  readonly what: string
  /** Why it was left out. */
  readonly skipped?: string
  readonly failure?: string
}

const OUTPUT_MS = 30_000
const NOT_RUN = new Set(['text', 'console'])

/** `browser`: undefined when there is none. */
export async function runPage(page: Page, browser: Browser | undefined): Promise<Result[]> {
  const results: Result[] = page.problems.map(({ line, message }) => ({ line, what: 'marker', failure: message }))
  if (page.blocks.length === 0) return results
  const run = new PageRun(page, new Checkout(), browser)
  try {
    for (const block of page.blocks) {
      if (run.over) results.push({ line: block.line, what: block.language, failure: 'not run, because the shell of this page has ended' })
      else results.push(await run.block(block))
    }
  } finally {
    await run.end()
  }
  return results
}

type Ran = { readonly skipped?: string; readonly failure?: string }

class PageRun {
  #shell: Shell | undefined
  readonly #terminals = new Map<string, Terminal>()
  readonly #pages = new Map<string, OpenPage>()
  /** What the last block that was run has shown, or shows still; undefined: it was skipped. */
  #shown: { readonly output: () => Promise<string>; readonly live: boolean } | undefined

  constructor(
    readonly page: Page,
    readonly checkout: Checkout,
    readonly browser: Browser | undefined,
  ) {}

  get over(): boolean {
    return this.#shell?.over ?? false
  }

  async block(block: Block): Promise<Result> {
    const { line, language } = block
    const what = language === '' ? 'block' : language
    try {
      return { line, what, ...(await this.#run(block)) }
    } catch (error) {
      // Code that can't be bundled, a page that can't be opened.
      return { line, what, failure: String(error) }
    }
  }

  async end(): Promise<void> {
    await Promise.all([...this.#terminals.values(), ...(this.#shell === undefined ? [] : [this.#shell])].map((one) => one.kill()))
    await Promise.all([...this.#pages.values()].map((page) => page.close()))
    this.checkout.remove()
  }

  async #run(block: Block): Promise<Ran> {
    const { language, markers, text } = block
    const notRun = markers.get('not run')
    if (notRun !== undefined) return this.#skipped(notRun)
    for (const program of (markers.get('needs') ?? '').split(',').map((name) => name.trim())) {
      if (program !== '' && !this.#has(program)) return this.#skipped(program === 'root' ? 'needs root' : `no ${program} on this machine`)
    }
    for (const name of (markers.get('stop') ?? '').split(',').map((one) => one.trim())) {
      const stopped = name === '' ? undefined : await this.#stop(name)
      if (stopped !== undefined) return { failure: stopped }
    }
    const wrong = wrongClaim(block)
    if (wrong !== undefined) return { failure: wrong }
    if (markers.has('output')) return this.#compare(block, markers.get('output') ?? '')
    const file = markers.get('file')
    if (file !== undefined) return this.#save(file, text)
    switch (language) {
      case 'sh':
        return this.#commands(block)
      case 'js':
      case 'ts':
        return this.#code(block)
      case 'html':
        return this.#inBrowser(text, markers.get('terminal'))
      case 'json':
      case 'yaml':
        return {}
      default:
        if (NOT_RUN.has(language)) return {}
        return {
          failure:
            `a block of ${language === '' ? 'no language' : `language \`${language}\``}: make it sh, js, ts, html, json, yaml, text or console, ` +
            'or put `<!-- not run: why -->` above it (test/docs/README.md)',
        }
    }
  }

  async #commands({ text, markers }: Block): Promise<Ran> {
    const name = markers.get('terminal')
    if (name !== undefined) return this.#start(name, text)
    if (markers.has('terminals')) {
      // All at once: each waits for those it needs.
      const started = await Promise.all(commandsOf(text).map((command) => this.#start(command, command)))
      return started.find(({ failure }) => failure !== undefined) ?? {}
    }
    const env = await this.checkout.environment()
    this.#shell ??= new Shell(this.checkout.folder, env)
    const { output, failure } = await this.#shell.run(await this.checkout.localized(text))
    this.#shown = { output: async () => output, live: false }
    if (markers.has('fails')) return failure === undefined ? { failure: 'is said to fail and did not' } : {}
    if (failure === undefined) return {}
    const command = text.split('\n')[failure.line - 1] ?? ''
    return { failure: `\`${command.trim()}\` ${failure.message}:\n${this.checkout.restored(output)}` }
  }

  async #start(name: string, text: string): Promise<Ran> {
    const stopped = await this.#stop(name, true)
    if (stopped !== undefined) return { failure: stopped }
    const { folder } = this.checkout
    const env = await this.checkout.environment()
    const terminal = new Terminal(await this.checkout.localized(text), folder, env)
    this.#terminals.set(name, terminal)
    this.#shown = shownBy(terminal, true)
    const notReady = await terminal.notReady()
    return notReady === undefined ? {} : { failure: `${notReady}:\n${this.checkout.restored(terminal.output)}` }
  }

  /** Undefined: done. */
  async #stop(name: string, ifThere = false): Promise<string | undefined> {
    const terminal = this.#terminals.get(name)
    if (terminal === undefined) return ifThere ? undefined : `there is no terminal ${name} to stop`
    this.#terminals.delete(name)
    const running = await terminal.interrupt()
    if (running !== undefined) await terminal.kill()
    return running
  }

  async #code(block: Block): Promise<Ran> {
    const { text, language, markers } = block
    // It is type-checked with all the others.
    if (markers.has('checked only')) return {}
    if (markers.has('browser')) return this.#bundled(text, markers.get('terminal'))
    const code = language === 'ts' ? (await transform(text, { loader: 'ts' })).code : text
    const file = `block-${block.line}.mjs`
    this.#write(file, await this.checkout.localized(code))
    const terminal = new Terminal(`exec node ${file}`, this.checkout.folder, await this.checkout.environment())
    this.#terminals.set(markers.get('terminal') ?? file, terminal)
    this.#shown = shownBy(terminal, markers.has('terminal'))
    if (markers.has('terminal')) {
      const notReady = await terminal.notReady()
      return notReady === undefined ? {} : { failure: `${notReady}:\n${terminal.output}` }
    }
    const ended = await terminal.ended()
    const fails = markers.has('fails')
    if (ended === 0) return fails ? { failure: 'is said to fail and did not' } : {}
    if (ended === undefined)
      return { failure: 'did not end; what stays running has `<!-- terminal: name -->` above it, a fragment `<!-- checked only: why -->`' }
    return fails ? {} : { failure: `failed with ${ended}:\n${terminal.output}` }
  }

  /** A page with the code as a bundler makes it: packages are found by their names. */
  async #bundled(text: string, name: string | undefined): Promise<Ran> {
    if (this.browser === undefined) return this.#skipped('no chromium on this machine')
    const stdin = { contents: text, resolveDir: this.checkout.folder }
    const { outputFiles } = await build({ stdin, bundle: true, format: 'esm', write: false, logLevel: 'silent' })
    return this.#inBrowser(`<!doctype html><script type="module">\n${outputFiles[0]?.text}\n</script>`, name)
  }

  async #inBrowser(text: string, name: string | undefined): Promise<Ran> {
    if (this.browser === undefined) return this.#skipped('no chromium on this machine')
    const file = `page-${this.#pages.size + 1}.html`
    this.#write(file, await this.checkout.localized(text))
    const opened = await open(this.browser, this.checkout.folder, file)
    this.#pages.set(name ?? file, opened)
    this.#shown = { output: opened.output, live: true }
    return opened.errors.length === 0 ? {} : { failure: opened.errors.join('\n') }
  }

  async #save(file: string, text: string): Promise<Ran> {
    this.#write(file, await this.checkout.localized(text))
    const used = this.page.blocks.some((other) => other.text.includes(file))
    return used ? {} : { failure: `no block of the page makes use of the file ${file}` }
  }

  async #compare({ text, language }: Block, terminal: string): Promise<Ran> {
    const named = this.#terminals.get(terminal)
    const page = this.#pages.get(terminal)
    const shown = named !== undefined ? shownBy(named, true) : page !== undefined ? { output: page.output, live: true } : this.#shown
    // What would be running in the terminal was skipped too.
    if (shown === undefined) return { skipped: 'what shows it was not run' }
    if (terminal !== '' && named === undefined && page === undefined) return { failure: `there is no terminal ${terminal}` }
    const limit = performance.now() + (shown.live ? OUTPUT_MS : 0)
    for (;;) {
      const output = this.checkout.restored(await shown.output())
      const missing = missingLine(text, output, language)
      if (missing === undefined) return {}
      if (performance.now() > limit) return { failure: `the output has no such line: ${missing}\nthe output:\n${output}` }
      await delay(20)
    }
  }

  #skipped(reason: string): Ran {
    this.#shown = undefined
    return { skipped: reason }
  }

  #has(program: string): boolean {
    if (program === 'chromium') return this.browser !== undefined
    if (program === 'root') return process.getuid?.() === 0
    if (program === 'nats-server' && process.env.NATS_SERVER) return true
    return which(program) !== undefined
  }

  #write(file: string, text: string): void {
    writeFileSync(join(this.checkout.folder, file), `${text}\n`)
  }
}

const shownBy = (terminal: Terminal, live: boolean) => ({ output: async () => terminal.output, live })

/** A JSON or YAML block is what it claims to be, whether it is run or not. */
function wrongClaim({ language, markers, text }: Block): string | undefined {
  // Output may have … in the place of what is not told.
  if (markers.has('output') && text.includes('…')) return undefined
  if (language === 'json') return wrongJson(text, markers.get('is'))
  if (language === 'yaml') return wrongYaml(text, markers.get('is'))
  return markers.has('is') ? '`is: …` stands above json and yaml' : undefined
}

/** One for each line, those that end with a backslash together; without comments. */
function commandsOf(text: string): string[] {
  const joined = text.replace(/\\\n/g, ' ').split('\n')
  return joined.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
}
