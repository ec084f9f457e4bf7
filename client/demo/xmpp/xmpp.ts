// Converse.js against the server that the page comes from. `?over=websocket`: over WebSocket, else BOSH; `?domain=`: its XMPP domain;
// `?sasl=scram`: with the strongest mechanism there is, for which there has to be an account, else PLAIN.

interface Converse {
  readonly env: { readonly Strophe: { readonly SASLPlain: unknown } }
  initialize(settings: Readonly<Record<string, unknown>>): Promise<void>
}

const { converse } = globalThis as unknown as { readonly converse: Converse }
const query = new URLSearchParams(location.search)
const over = query.get('over') === 'websocket' ? 'websocket' : 'bosh'
const domain = query.get('domain') ?? 'localhost'

for (const link of document.querySelectorAll<HTMLAnchorElement>('[data-over]')) {
  const to = link.dataset.over ?? ''
  link.href = `?${new URLSearchParams({ ...Object.fromEntries(query), over: to })}`
  if (to === over) link.setAttribute('aria-current', 'page')
}
const shown = document.querySelector('#domain')
if (shown !== null) shown.textContent = domain

const service =
  over === 'bosh'
    ? { bosh_service_url: new URL('/http-bind', location.href).href }
    : { websocket_url: new URL('/xmpp-websocket', location.href).href.replace(/^http/, 'ws') }

// Converse.js defines only what is not there yet; its own footer shows pictures from elsewhere.
customElements.define('converse-footer', class extends HTMLElement {})

// Everything comes from this server: no discovery, no lists of providers, no players, no sounds.
await converse.initialize({
  ...service,
  assets_path: new URL('.', location.href).pathname.replace(/\/$/, ''),
  authentication: 'login',
  default_domain: domain,
  discover_connection_methods: false,
  connection_options: query.get('sasl') === 'scram' ? {} : { mechanisms: [converse.env.Strophe.SASLPlain] },
  keepalive: true,
  view_mode: 'fullscreen',
  theme: 'classic',
  i18n: 'en',
  locales: ['en'],
  loglevel: 'error',
  allow_registration: false,
  embed_3rd_party_media_players: false,
  render_media: false,
  play_sounds: false,
  show_desktop_notifications: false,
  // What needs services that Holdwire has not got: keys published by PEP, push, registration.
  blacklisted_plugins: ['converse-omemo', 'converse-omemo-views', 'converse-push', 'converse-register'],
})
