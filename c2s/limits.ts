// Every bound of a c2s worker, with the values the configuration starts from.

export interface WorkerLimits {
  /** Sessions one worker keeps; a full worker takes no more until some have ended. */
  readonly sessions: number
  /** A session that said nothing for so long is forgotten; its next request makes the gateway open it again. */
  readonly sessionIdleMs: number
  /** Requests being answered or waiting, in the worker and of one session; beyond it they are `rate_limited`. */
  readonly queuedRequests: number
  readonly queuedRequestsPerSession: number
  /** A last answer longer than this is not kept for repetition: it is worked out again. */
  readonly keptReplyBytes: number
  /** Of a client's message id. */
  readonly idBytes: number
  /** Of a presence note. */
  readonly noteBytes: number
  /** Of the presence stanza of an XMPP client, which goes to all who see the user. */
  readonly presenceBytes: number
  /** Addresses that were sent presence directly, of one session. */
  readonly directedPerSession: number
  /** Of all of them: they are part of the context, which goes to the gateway with every change. */
  readonly directedBytesPerSession: number
  /** Presence stanzas of others in the answer to the first one of a session; more are sent after it. */
  readonly answeredPresenceBytes: number
  readonly contactsPerUser: number
  /** Unanswered requests to see a user's presence. */
  readonly requestsPerUser: number
  readonly groupsPerContact: number
  /** Of a contact's name and of a group's. */
  readonly nameBytes: number
  readonly topicsPerUser: number
  readonly subscribersPerTopic: number
  readonly historyDefault: number
  readonly historyMax: number
  /** A page of history ends at the message that goes over this. */
  readonly historyBytes: number
  /** Users looked at in one sweep (see sweep.ts). */
  readonly sweptUsers: number
}

export const DEFAULT_LIMITS: WorkerLimits = {
  sessions: 200_000,
  sessionIdleMs: 3_600_000,
  queuedRequests: 20_000,
  queuedRequestsPerSession: 8,
  keptReplyBytes: 4096,
  idBytes: 128,
  noteBytes: 1024,
  presenceBytes: 8192,
  directedPerSession: 256,
  directedBytesPerSession: 16 * 1024,
  answeredPresenceBytes: 64 * 1024,
  contactsPerUser: 1000,
  requestsPerUser: 1000,
  groupsPerContact: 32,
  nameBytes: 256,
  topicsPerUser: 1000,
  subscribersPerTopic: 100_000,
  historyDefault: 50,
  historyMax: 200,
  historyBytes: 128 * 1024,
  sweptUsers: 1_000_000,
}
