// The record of the bucket `presence`: what those who may see a user were told last.

import { v1 } from '../proto/messages.js'
import { isStatus, type Shown } from './status.js'
import type { Codec } from './store.js'

export interface PresenceRecord extends Shown {
  /** Of the last change between offline and not, milliseconds since the epoch. */
  readonly lastSeen: number
}

export const presenceCodec: Codec<PresenceRecord> = {
  encode: (record) => v1.PresenceRecord.encode(record).finish(),
  decode(data) {
    const { status, note, lastSeen } = v1.PresenceRecord.decode(data)
    return { status: isStatus(status) ? status : 'offline', note, lastSeen }
  },
}
