// Whether something shows what a page says it shows. Ids, times and cursors are never the same twice; `…` stands for anything.

/** Undefined: it does. Otherwise the first line of the page that is missing. */
export function missingLine(shown: string, output: string, language: string): string | undefined {
  const lines = linesOf(output, language).map(leveled)
  let from = 0
  for (const line of linesOf(shown, language)) {
    if (line.trim() === '…') continue
    const pattern = new RegExp(`^${leveled(line).split('…').map(escaped).join('.*')}$`, 's')
    const at = lines.findIndex((candidate, index) => index >= from && pattern.test(candidate))
    if (at < 0) return line
    from = at + 1
  }
  return undefined
}

/** JSON is compared as JSON: one document, or one a line. */
function linesOf(text: string, language: string): string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  if (language !== 'json') return lines
  const whole = compactJson(text)
  return whole === undefined ? lines.map((line) => compactJson(line) ?? line) : [whole]
}

function compactJson(text: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(text))
  } catch {
    return undefined // not one document
  }
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

/** Both sides without what differs from run to run. */
function leveled(line: string): string {
  return line
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/"(cursor|session|node)":"[^"]*"/g, '"$1":"?"')
    .replace(/^id: .*$/, 'id: ?')
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '?')
    .replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '?')
    .replace(/\b1[5-9]\d{11}\b/g, '?')
}
