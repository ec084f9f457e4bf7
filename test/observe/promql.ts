// What a PromQL expression refers to: metrics, labels in matchers, labels that results are grouped by. No more of a parser than
// that takes: that an expression is valid, promtool says.

export interface Selector {
  readonly metric: string
  /** Labels of its matchers. */
  readonly labels: readonly string[]
}

/** `sum by (a, b) (…)`, `without`, `on`, `group_left`: labels, and the selectors they apply to. */
export interface Grouping {
  readonly kind: string
  readonly labels: readonly string[]
  readonly selectors: readonly Selector[]
}

export interface Usage {
  readonly selectors: readonly Selector[]
  readonly groupings: readonly Grouping[]
}

const AGGREGATIONS = new Set('sum min max avg group stddev stdvar count count_values bottomk topk quantile'.split(' '))
const MATCHINGS = new Set('on ignoring group_left group_right'.split(' '))
const WORDS = new Set('and or unless bool offset atan2 inf nan start end'.split(' '))
/** A variable of Grafana stands for a number, a duration or, within a text, a text. */
const TOKEN =
  /\s+|#[^\n]*|(?<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<range>\[[^\]]*\])|(?<number>[0-9][0-9a-z.]*|\$\w+|\$\{\w+\})|(?<name>[A-Za-z_:][\w:]*)|(?<sign>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){},@])/y

interface Token {
  readonly kind: 'text' | 'range' | 'number' | 'name' | 'sign'
  readonly text: string
}

/** Throws when it can't be read. */
export function usageOf(expression: string): Usage {
  return new Reader(tokensOf(expression)).read()
}

function tokensOf(expression: string): Token[] {
  const tokens: Token[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < expression.length) {
    const at = TOKEN.lastIndex
    const groups = TOKEN.exec(expression)?.groups
    if (groups === undefined) throw new Error(`at ${at} of ${expression}`)
    for (const kind of ['text', 'range', 'number', 'name', 'sign'] as const) {
      const text = groups[kind]
      if (text !== undefined) tokens.push({ kind, text })
    }
  }
  return tokens
}

class Reader {
  readonly #tokens: readonly Token[]
  readonly #selectors: Selector[] = []
  readonly #groupings: Grouping[] = []
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  read(): Usage {
    this.#until(undefined)
    return { selectors: this.#selectors, groupings: this.#groupings }
  }

  #until(closing: string | undefined): void {
    for (;;) {
      const token = this.#next()
      if (token === undefined || token.text === closing) {
        if (token?.text !== closing) throw new Error(`${closing} is missing`)
        return
      }
      if (token.text === '(') this.#until(')')
      else if (token.kind === 'name') this.#name(token.text)
      else if (token.text === ')' || token.text === '{' || token.text === '}') throw new Error(`${token.text} out of place`)
    }
  }

  #name(name: string): void {
    const isCalled = this.#peek() === '('
    if (WORDS.has(name)) return
    if (MATCHINGS.has(name)) {
      // Both sides have to have them.
      if (isCalled) this.#group(name, this.#list(), this.#selectors, true)
      return
    }
    if (!AGGREGATIONS.has(name)) {
      if (!isCalled) this.#selector(name)
      return
    }
    const before = this.#modifier()
    const from = this.#selectors.length
    if (this.#next()?.text !== '(') throw new Error(`${name} of what?`)
    this.#until(')')
    const modifier = before ?? this.#modifier()
    if (modifier !== undefined) this.#group(modifier.kind, modifier.labels, this.#selectors.slice(from))
  }

  #group(kind: string, labels: readonly string[], selectors: readonly Selector[], isShared = false): void {
    this.#groupings.push({ kind, labels, selectors: isShared ? selectors : [...selectors] })
  }

  #modifier(): { kind: string; labels: string[] } | undefined {
    const kind = this.#peek()
    if (kind !== 'by' && kind !== 'without') return undefined
    this.#at++
    return { kind, labels: this.#list() }
  }

  #list(): string[] {
    if (this.#next()?.text !== '(') throw new Error('labels in parentheses are missing')
    const labels: string[] = []
    for (let token = this.#next(); token?.text !== ')'; token = this.#next()) {
      if (token === undefined) throw new Error(') is missing')
      if (token.kind === 'name') labels.push(token.text)
    }
    return labels
  }

  #selector(metric: string): void {
    const labels: string[] = []
    if (this.#peek() === '{') {
      this.#at++
      for (let token = this.#next(); token?.text !== '}'; token = this.#next()) {
        if (token === undefined) throw new Error('} is missing')
        if (token.kind === 'name') labels.push(token.text)
      }
    }
    this.#selectors.push({ metric, labels })
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at]?.text
  }

  #next(): Token | undefined {
    return this.#tokens[this.#at++]
  }
}
