import type { Bus } from './bus.js'
export async function connectNats(_o: object): Promise<Bus> { throw new Error('x') }
