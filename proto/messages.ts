// The generated protobuf classes under short names, set up so that 64-bit numbers are plain numbers.
// Everything on our wires (times, sequences, limits) stays below 2^53.

export { Reader } from './plain-numbers.js' // before the classes

import { holdwire } from '#messages'

export import v1 = holdwire.v1
