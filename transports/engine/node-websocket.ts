// A WebSocket for clients in Node, which has none of its own before version 22.

export { WebSocket } from 'ws'
