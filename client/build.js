// Bundles the client for pages without a bundler (dist/client/holdwire.min.js, an ES module) and the demo page (dist/client/demo/)
// with Converse.js beside it (dist/client/demo/xmpp/).

import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = import.meta.dirname
const out = join(here, '..', 'dist', 'client')
/** Of Converse.js: what its page asks for, and its licence. */
const converse = dirname(dirname(fileURLToPath(import.meta.resolve('converse.js/dist/converse.min.js'))))
const CONVERSE = {
  'dist/converse.min.js': 'converse.min.js',
  'dist/converse.min.css': 'converse.min.css',
  'dist/emoji.json': 'emoji.json',
  LICENSE: 'converse-LICENSE.txt',
}
const options = { bundle: true, minify: true, format: 'esm', target: 'es2022', logLevel: 'warning' }

rmSync(join(out, 'demo'), { recursive: true, force: true })
mkdirSync(join(out, 'demo', 'xmpp'), { recursive: true })
await Promise.all([
  build({ ...options, entryPoints: [join(here, 'holdwire.ts')], outfile: join(out, 'holdwire.min.js') }),
  build({ ...options, entryPoints: [join(here, 'demo', 'demo.ts')], outfile: join(out, 'demo', 'demo.js') }),
  build({ ...options, entryPoints: [join(here, 'demo', 'xmpp', 'xmpp.ts')], outfile: join(out, 'demo', 'xmpp', 'xmpp.js') }),
])
for (const name of ['index.html', 'style.css', 'favicon.svg']) copyFileSync(join(here, 'demo', name), join(out, 'demo', name))
for (const name of ['index.html', 'xmpp.css']) copyFileSync(join(here, 'demo', 'xmpp', name), join(out, 'demo', 'xmpp', name))
for (const [from, to] of Object.entries(CONVERSE)) copyFileSync(join(converse, from), join(out, 'demo', 'xmpp', to))
