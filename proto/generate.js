// Generates proto/generated/ from the .proto files; with --check, only says whether what is committed is fresh.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const here = import.meta.dirname
const pbjs = createRequire(import.meta.url).resolve('protobufjs-cli/bin/pbjs')
const scratch = mkdtempSync(join(tmpdir(), 'holdwire-proto-'))
const options = '-t static-module -w esm --no-convert --no-delimited --no-typeurl --no-verify --force-number'.split(' ')

function run(...extra) {
  const args = [pbjs, ...options, ...extra, join(here, 'bus.proto'), join(here, 'frames.proto')]
  execFileSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

try {
  // Declarations come from the doc comments; the code itself is smaller without them.
  run('-d', '-o', join(scratch, 'typed.js'))
  run('--no-comments', '-o', join(scratch, 'messages.js'))
  const fresh = {
    'messages.js': readFileSync(join(scratch, 'messages.js'), 'utf8'),
    'messages.d.ts': readFileSync(join(scratch, 'typed.d.ts'), 'utf8'),
  }
  for (const [name, text] of Object.entries(fresh)) {
    const path = join(here, 'generated', name)
    if (!process.argv.includes('--check')) writeFileSync(path, text)
    else if (readFileSync(path, 'utf8') !== text) {
      console.error(`proto/generated/${name} is stale: run npm run proto`)
      process.exitCode = 1
    }
  }
} finally {
  rmSync(scratch, { recursive: true })
}
