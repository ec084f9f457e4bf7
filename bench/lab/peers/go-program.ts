// Programs that `go install` puts where only Go's own settings tell.

import { accessSync, constants, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { NotInstalled } from '../../contestant.js'
import { findProgram } from '../../processes.js'

/** On the PATH, in GOBIN or in GOPATH/bin. Throws `NotInstalled`, which names the command that would install it. */
export function goProgram(name: string, install: string): string {
  const found = findProgram(name)
  if (found !== undefined) return found
  const { GOBIN, GOPATH = join(homedir(), 'go') } = process.env
  for (const folder of [GOBIN, ...GOPATH.split(delimiter).map((one) => join(one, 'bin'))]) {
    if (folder === undefined || folder === '') continue
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this one.
    }
  }
  throw new NotInstalled(`there is no ${name} on PATH, in GOBIN or GOPATH/bin; ${install}`)
}

const MODULE = Buffer.from('\nmod\t')
const LINE_END = 10

/** Go writes into each program which module it was made from: what the program itself calls its version is set by release builds only. */
export function goVersion(path: string): string {
  const bytes = readFileSync(path)
  const at = bytes.indexOf(MODULE)
  if (at === -1) return 'unknown'
  const start = at + MODULE.length
  const [, version = 'unknown'] = bytes.toString('utf8', start, bytes.indexOf(LINE_END, start)).split('\t')
  return version
}
