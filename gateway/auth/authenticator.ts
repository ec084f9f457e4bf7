// Who a client is: what every way of authentication takes and gives.

import type { CloseReason } from '../close-reason.js'
import { type Config, ConfigError } from '../config.js'
import { DevAuthenticator } from './dev.js'
import { JwtAuthenticator } from './jwt.js'

export interface Identity {
  /** A valid user id. */
  readonly user: string
  /** 1–64 characters. */
  readonly device?: string
  /** Patterns of the topics the session may join; undefined: the token says nothing of topics. */
  readonly topics: readonly string[] | undefined
  /** When the session must end unless a new token came, milliseconds since the epoch (leeway included); Infinity: never. */
  readonly expiresAtMs: number
}

/** What a client presented; '' stands for what it did not. */
export interface Credentials {
  /** `Authorization`, with or without the word `Bearer`. Wins over `queryToken`. */
  readonly bearer: string
  /** `?token=` */
  readonly queryToken: string
  /** `?user=`: only `auth: dev` looks at it. */
  readonly queryUser: string
  /** `?device=`: a claim `device` wins over it. */
  readonly device: string
}

/** Who it is, or why nobody. */
export type Authenticated = Identity | CloseReason

export interface Authenticator {
  /** At once where nothing has to be asked or computed first. Never throws or rejects: what can't be verified is refused with a reason. */
  authenticate(credentials: Credentials): Authenticated | Promise<Authenticated>
}

/** Throws ConfigError when a key can't be used. `now`: milliseconds since the epoch. */
export function createAuthenticator(config: Config, now: () => number = Date.now): Authenticator {
  const hasKey = config.jwtSecret !== undefined || config.jwtPublicKey !== undefined || config.jwksUrl !== undefined
  const tokens = hasKey ? new JwtAuthenticator(config, now) : undefined
  if (config.auth === 'dev') return new DevAuthenticator(tokens)
  if (tokens === undefined) throw new ConfigError('auth: `jwt` needs one of jwtSecret, jwtPublicKey, jwksUrl')
  return tokens
}

/** True for 1–64 characters without control characters. */
export function isDevice(device: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return device.length > 0 && device.length <= 64 && device.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(device)
}
