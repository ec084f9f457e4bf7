// Sets protobufjs up so that 64-bit numbers are plain numbers. Has to be evaluated before the generated classes, whose
// default values are made when they are loaded: with the optional `long` package around they would be Long objects.

import protobuf from 'protobufjs/minimal.js'

protobuf.util.Long = null as never
protobuf.configure()

export const { Reader } = protobuf
