// Links of the pages: each leads to something in the repository that is there, anchors included; the index names every page.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { type Page, type Problem, readPage } from './markdown.js'

/** `pages`: those that were read already. Links to the web are not followed. */
export function deadLinks(page: Page, root: string, pages: Map<string, Page>): Problem[] {
  const problems: Problem[] = []
  for (const { line, target } of page.links) {
    if (/^[a-z]+:/i.test(target)) continue
    const [path = '', anchor] = target.split('#')
    const file = path === '' ? page.path : normalize(join(dirname(page.path), decodeURIComponent(path)))
    if (file.startsWith('..')) problems.push({ line, message: `${target} leads out of the repository` })
    else if (!pages.has(file) && !existsSync(join(root, file))) problems.push({ line, message: `${target}: there is no ${file}` })
    else if (anchor !== undefined && !hasAnchor(file, anchor, root, pages))
      problems.push({ line, message: `${target}: no heading #${anchor} in ${file}` })
  }
  return problems
}

function hasAnchor(file: string, anchor: string, root: string, pages: Map<string, Page>): boolean {
  if (!file.endsWith('.md')) return false
  const page = pages.get(file) ?? readPage(file, readFileSync(join(root, file), 'utf8'))
  pages.set(file, page)
  return page.anchors.has(anchor)
}

/** What would tell a reader that the page is not finished. */
export function unfinished(page: Page): Problem[] {
  return page.prose.flatMap((text, index) => {
    const word = /\b(TODO|FIXME|TBD|WIP|wip|XXX|lorem ipsum)\b/.exec(text ?? '')
    return word === null ? [] : [{ line: index + 1, message: `says ${word[0]}` }]
  })
}
