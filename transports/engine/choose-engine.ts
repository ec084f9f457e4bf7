import type { Engine } from './engine.js'
import { nodeEngine } from './node-engine.js'
export async function chooseEngine(_w: string, _l: { info(m: string): void; warn(m: string): void }): Promise<Engine> { return nodeEngine }
