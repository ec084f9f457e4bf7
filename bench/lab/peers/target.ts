// The path of a request that subscribes to a channel, as a setting of a wire: `{channel}` in it stands for the user's, or for that
// of the topic that the wire is told of.

import type { WireOptions } from '../../wire.js'
import { channelOf } from './channels.js'

export function channelFor({ user, settings }: WireOptions): string {
  return channelOf({ user, topic: settings.topic })
}

export function targetFor(options: WireOptions): string {
  return (options.settings.target ?? '/').replace('{channel}', encodeURIComponent(channelFor(options)))
}
