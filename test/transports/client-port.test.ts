import t from 'tap'
import { clientPortSuite } from './client-port.js'

t.jobs = 2
await Promise.all([
  t.test('the client port on node', { buffered: true }, (t) => clientPortSuite(t, 'node')),
  t.test('the client port on uWebSockets.js', { buffered: true }, (t) => clientPortSuite(t, 'uws')),
])
