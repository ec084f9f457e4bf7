// Bundles the client for pages without a bundler (dist/client/holdwire.min.js, an ES module) and the demo page (dist/client/demo/).

import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const here = import.meta.dirname
const out = join(here, '..', 'dist', 'client')
const options = { bundle: true, minify: true, format: 'esm', target: 'es2022', logLevel: 'warning' }

rmSync(join(out, 'demo'), { recursive: true, force: true })
mkdirSync(join(out, 'demo'), { recursive: true })
await Promise.all([
  build({ ...options, entryPoints: [join(here, 'holdwire.ts')], outfile: join(out, 'holdwire.min.js') }),
  build({ ...options, entryPoints: [join(here, 'demo', 'demo.ts')], outfile: join(out, 'demo', 'demo.js') }),
])
for (const name of ['index.html', 'style.css', 'favicon.svg']) copyFileSync(join(here, 'demo', name), join(out, 'demo', name))
