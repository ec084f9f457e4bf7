// Where a message goes in a server that knows only channels: a user's own, or a topic's; and the NATS subjects of the same, which have
// a dot where channels have a colon.

import { encodeToken } from '../../../bus/user-token.js'

interface Recipient {
  readonly user: string
  readonly topic: string | undefined
}

const TOPIC = 'topic:'

export function channelOf({ user, topic }: Recipient): string {
  return topic === undefined ? `user:${encodeToken(user)}` : `${TOPIC}${encodeToken(topic)}`
}

export function subjectOf(recipient: Recipient): string {
  return subjectOfChannel(channelOf(recipient))
}

export function subjectOfChannel(channel: string): string {
  return channel.replace(':', '.')
}

export function isTopic(channel: string): boolean {
  return channel.startsWith(TOPIC)
}
