// Names of topics, and the patterns of a token that say which of them a session may use.

/** What a token allows. */
export interface TopicClaims {
  /** `*` stands for any run of characters, also none. */
  readonly patterns: readonly string[]
  /** The token says nothing and the configuration allows all. */
  readonly any: boolean
}

const LIMIT_BYTES = 256
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOT_IN_TOPICS = /[\u0000-\u001f\u007f-\u009f*]/

/** True for 1–256 bytes of UTF-8 without control characters and without `*`, which only patterns have. */
export function isTopic(topic: string): boolean {
  return topic.length > 0 && Buffer.byteLength(topic) <= LIMIT_BYTES && topic.isWellFormed() && !NOT_IN_TOPICS.test(topic)
}

export function allows(claims: TopicClaims, topic: string): boolean {
  return claims.any || claims.patterns.some((pattern) => matches(pattern, topic))
}

/** Goes back to the last `*` only: no pattern takes more than its length times the topic's. */
export function matches(pattern: string, topic: string): boolean {
  let p = 0
  let t = 0
  let star = -1
  let resume = 0
  while (t < topic.length) {
    if (pattern[p] === '*') {
      star = p++
      resume = t
    } else if (pattern[p] === topic[t]) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++resume
    } else {
      return false
    }
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}
