// Makes protobufjs use plain numbers for 64-bit fields: everything on our wires (times, sequences, limits) stays below 2^53.
// Must run before the generated code, which takes its default values from here.

import protobuf from 'protobufjs/minimal.js'

protobuf.util.Long = null as never
protobuf.configure()
