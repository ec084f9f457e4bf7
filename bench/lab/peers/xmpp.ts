// ejabberd and prosody as the BOSH benchmark starts them: BOSH and WebSocket, messages from a component.

import { PASSWORD } from '../../contestant.js'
import { startEjabberd } from '../../rival-ejabberd.js'
import { startProsody } from '../../rival-prosody.js'
import { COMPONENT, COMPONENT_SECRET, XMPP_WEBSOCKET_PATH, type XmppRival } from '../../xmpp-rival.js'
import type { Contender, Recipe } from '../contender.js'

export const ejabberd: Recipe = {
  name: 'ejabberd',
  start: async ({ users, onStarted }) => contenderOf(await startEjabberd(users, onStarted)),
}

export const prosody: Recipe = {
  name: 'prosody',
  start: async ({ users, onStarted }) => contenderOf(await startProsody(users, onStarted)),
}

function contenderOf({ name, version, recipe, ports, path, domain, componentPort, processes, stop }: XmppRival): Contender {
  const [port = 0] = ports
  const login = { domain, password: PASSWORD }
  return {
    name,
    version,
    recipe: `${recipe}; messages from a component (XEP-0114) to full JIDs; no stream management`,
    wires: {
      bosh: { kind: 'quoted-bosh', port, settings: { ...login, path } },
      'xmpp-websocket': { kind: 'quoted-xmpp-websocket', port, settings: { ...login, path: XMPP_WEBSOCKET_PATH, management: 'off' } },
    },
    sink: {
      kind: 'xmpp-component',
      url: `xmpp://127.0.0.1:${componentPort}`,
      // The resource is the one that the wires bind.
      settings: { component: COMPONENT, secret: COMPONENT_SECRET, domain, resource: 'bench' },
    },
    accounts: 'given',
    processes,
    stop,
  }
}
