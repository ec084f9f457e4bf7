// The generated protobuf classes under short names, with plain numbers for 64-bit fields.

import './plain-numbers.js'

import protobuf from 'protobufjs/minimal.js'
import { holdwire } from '#messages'

export import v1 = holdwire.v1
export const { Reader } = protobuf
