// What the embedded bus remembers, as a list of changes: replayed in order they make the state again.

/** Everything before it is void (buckets aside): a new store of inboxes begins. */
export interface EpochRecord {
  readonly kind: 'epoch'
  readonly epoch: string
}

export interface MessageRecord {
  readonly kind: 'message'
  readonly seq: number
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly user: string
  /** For the duplicate window; undefined in a snapshot, where the window has records of its own. */
  readonly id: string | undefined
  readonly data: Uint8Array
}

/** Snapshot: where an inbox stands; follows its messages. */
export interface InboxRecord {
  readonly kind: 'inbox'
  readonly user: string
  readonly lastSeq: number
  readonly evictedThrough: number
}

/** Snapshot: one id in the duplicate window. */
export interface DuplicateRecord {
  readonly kind: 'duplicate'
  readonly key: string
  readonly seq: number
  readonly time: number
}

/** Snapshot: the counters of the whole store. */
export interface CountersRecord {
  readonly kind: 'counters'
  readonly lastSeq: number
  readonly forgottenThrough: number
}

export interface BucketRecord {
  readonly kind: 'bucket'
  readonly name: string
  /** 0: entries stay. */
  readonly ttlMs: number
  readonly revision: number
}

/** `value` undefined: the key was deleted. */
export interface EntryRecord {
  readonly kind: 'entry'
  readonly bucket: string
  readonly key: string
  readonly revision: number
  readonly time: number
  readonly value: Uint8Array | undefined
}

export type StoreRecord = EpochRecord | MessageRecord | InboxRecord | DuplicateRecord | CountersRecord | BucketRecord | EntryRecord
