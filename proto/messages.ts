// The generated protobuf classes under short names, set up so that 64-bit numbers are plain numbers.
// Everything on our wires (times, sequences, limits) stays below 2^53.

import protobuf from 'protobufjs/minimal.js'
import { holdwire } from '#messages'

// With the optional `long` package around, protobufjs would hand out Long objects instead of numbers.
protobuf.util.Long = null as never
protobuf.configure()

export import v1 = holdwire.v1
export const { Reader } = protobuf
