// `holdwire listen`: prints what a user is sent, one JSON object a line, until it is stopped or told to go.

import { type Config, ConfigError } from '../config.js'
import { clientUrl } from './push.js'
import { signToken } from './token.js'

export interface ListenOptions {
  readonly transport?: string | undefined
  /** Of the client port. */
  readonly url?: string | undefined
  readonly token?: string | undefined
  readonly device?: string | undefined
  readonly cursor?: string | undefined
  /** Ends after so many messages. */
  readonly count?: string | undefined
}

type TransportName = 'websocket' | 'sse' | 'poll'

/** What is asked of the client library. */
export interface ListenTarget {
  readonly url: string
  readonly user?: string
  readonly token?: string | (() => Promise<string>)
  readonly device?: string
  readonly transports: readonly TransportName[]
  readonly cursor?: string
}

/** The part of the client's connection that is used here. */
interface Listening {
  on(name: 'message' | 'presence' | 'roster' | 'gap', handler: (frame: object) => void): () => void
  on(name: 'state', handler: (state: { readonly kind: string; readonly reason?: object }) => void): () => void
  close(): Promise<void>
}

export interface ListenSurroundings {
  connect(target: ListenTarget): Listening
  /** One line of output. */
  print(line: string): void
  /** One line about the connection. */
  note(line: string): void
  /** Resolves when the person wants it to end. */
  readonly interrupted: Promise<void>
}

const TRANSPORTS: readonly TransportName[] = ['websocket', 'sse', 'poll']

/** True: it ended as asked; false: the server ended it. Throws ConfigError. */
export async function listen(config: Config, user: string, options: ListenOptions, surroundings: ListenSurroundings): Promise<boolean> {
  const { print, note, interrupted } = surroundings
  let left = options.count === undefined ? Number.POSITIVE_INFINITY : Number(options.count)
  if (!(left >= 1)) throw new ConfigError('--count: a number from 1')
  const connection = surroundings.connect(await targetOf(config, user, options))
  const ended = new Promise<boolean>((resolve) => {
    void interrupted.then(() => resolve(true))
    connection.on('message', (frame) => {
      if (left <= 0) return
      print(JSON.stringify(frame))
      if (--left <= 0) resolve(true)
    })
    for (const name of ['presence', 'roster', 'gap'] as const) connection.on(name, (frame) => print(JSON.stringify(frame)))
    connection.on('state', (state) => {
      note(JSON.stringify(state))
      if (state.kind === 'closed') resolve(false)
    })
  })
  const asAsked = await ended
  await connection.close()
  return asAsked
}

async function targetOf(config: Config, user: string, options: ListenOptions): Promise<ListenTarget> {
  const { transport, url = clientUrl(config), token, device, cursor } = options
  const chosen = TRANSPORTS.filter((name) => transport === undefined || transport === name)
  if (chosen.length === 0) throw new ConfigError(`--transport: ${TRANSPORTS.join(', ')}`)
  const target = {
    url,
    transports: chosen,
    ...(device === undefined ? {} : { device }),
    ...(cursor === undefined ? {} : { cursor }),
  }
  if (token !== undefined) return { ...target, token }
  if (config.auth === 'dev') return { ...target, user }
  if (config.jwtSecret === undefined) throw new ConfigError('listen: needs --token (or jwtSecret to make one)')
  return { ...target, token: () => signToken(config, { user, expiresIn: '1h' }, Date.now()) }
}
