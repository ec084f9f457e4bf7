import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { type Config, ConfigError, configWarnings, loadConfig, readApiKeys } from '../../gateway/config.js'
import { configDocsFresh, configJson, configYaml } from '../../gateway/config-docs.js'
import { SETTINGS } from '../../gateway/config-schema.js'
import { isLoopback } from '../../gateway/networks.js'

interface Given {
  argv?: string[]
  env?: Record<string, string>
  files?: Record<string, string>
}

function load({ argv = [], env = {}, files = {} }: Given): Config {
  const readFile = (path: string) => {
    const text = files[path]
    if (text === undefined) throw new Error('ENOENT')
    return text
  }
  return loadConfig({ argv, env, readFile, hostname: 'node.example' })
}

function refused(t: Test, given: Given, message: RegExp, name?: string): void {
  t.throws(() => load(given), { name: 'ConfigError', message }, name ?? String(message))
}

t.test('defaults are those of the documented surface', async (t) => {
  t.match(load({}), {
    host: '127.0.0.1',
    clientPort: 8000,
    internalPort: 9000,
    natsUrl: [],
    dataDir: undefined,
    nodeId: 'node.example',
    engine: 'auto',
    auth: 'dev',
    resumeSeconds: 60,
    pingSeconds: 25,
    drainSeconds: 30,
    xmppDomain: 'localhost',
    maxFrameBytes: 131072,
    maxBodyBytes: 262144,
    inboxMaxMessages: 1000,
    inboxMaxAgeSeconds: 604800,
    allowedOrigins: ['*'],
    boshInactivitySeconds: 30,
    boshWaitSeconds: 60,
    anyTopic: true,
  })
})

t.test('flags win over the environment, that over the file, that over the defaults', async (t) => {
  const files = { 'c.yaml': 'clientPort: 1\ninternalPort: 2\nhost: localhost\n' }
  const env = { HOLDWIRE_CONFIG: 'c.yaml', HOLDWIRE_CLIENT_PORT: '3', HOLDWIRE_HOST: '127.0.0.2', HOLDWIRE_NODE_ID: '', PATH: 'x' }
  t.match(load({ files, env, argv: ['--host', '127.0.0.3'] }), {
    clientPort: 3,
    internalPort: 2,
    host: '127.0.0.3',
    pingSeconds: 25,
    nodeId: 'node.example',
  })
  const other = { ...files, 'd.json': '{"clientPort": 9, "apiKeys": ["k"]}' }
  t.match(load({ files: other, env, argv: ['--config=d.json'] }), { clientPort: 3, internalPort: 9000, apiKeys: ['k'] })
})

t.test('flags: both forms, switches, repeated lists', async (t) => {
  const argv = ['--client-port=0', '--internal-port', '0', '--deflate', '--no-public-metrics', '--api-keys', 'a,b', '--api-keys=c']
  t.match(load({ argv }), { clientPort: 0, internalPort: 0, deflate: true, publicMetrics: false, apiKeys: ['a', 'b', 'c'] })
  t.match(load({ argv: ['--deflate', 'false', '--xmpp-domain', 'true'] }), { deflate: false, xmppDomain: 'true' })
  t.match(load({ argv: ['--deflate=1', '--jwt-secret=a=b='] }), { deflate: true, jwtSecret: 'a=b=' })
})

t.test('lists: text, arrays, spaces; the config file may nest', async (t) => {
  t.same(load({ env: { HOLDWIRE_NATS_URL: 'nats://a:4222, nats://b:4222,' } }).natsUrl, ['nats://a:4222', 'nats://b:4222'])
  const files = { c: 'nats:\n  url: [nats://a, nats://b]\n  partitions: 4\nbosh: {wait: {seconds: 7}}\nxmppDomain:\nempty: {}\n' }
  t.match(load({ files, argv: ['--config', 'c'] }), { natsUrl: ['nats://a', 'nats://b'], natsPartitions: 4, boshWaitSeconds: 7 })
  t.match(load({ files: { c: '' }, argv: ['--config', 'c'] }), { clientPort: 8000 }, 'an empty file is fine')
})

t.test('an unknown key stops the start and says which', async (t) => {
  refused(t, { argv: ['--client-prot', '1'] }, /unknown flag --client-prot \(did you mean --client-port\?\)/)
  refused(t, { argv: ['--clientPort', '1'] }, /unknown flag --clientPort \(did you mean --client-port\?\)/)
  refused(t, { argv: ['serve'] }, /unknown flag serve/)
  refused(t, { argv: ['--no-client-port'] }, /unknown flag/)
  refused(t, { argv: ['--no-deflate=true'] }, /unknown flag/)
  refused(t, { argv: ['--client-port'] }, /needs a value/)
  refused(
    t,
    { env: { HOLDWIRE_CLIENTPORT: '1' } },
    /unknown environment variable HOLDWIRE_CLIENTPORT \(did you mean HOLDWIRE_CLIENT_PORT\?\)/,
  )
  refused(t, { env: { HOLDWIRE_SOMETHING_ELSE: '1' } }, /unknown environment variable HOLDWIRE_SOMETHING_ELSE$/)
  refused(
    t,
    { env: { HOLDWIRE_CLINET_PORT: '1' } },
    /unknown environment variable HOLDWIRE_CLINET_PORT \(did you mean HOLDWIRE_CLIENT_PORT\?\)/,
  )
  refused(t, { env: { HOLDWIRE_CLIENT_PORT_FILE: 'x' } }, /unknown environment variable HOLDWIRE_CLIENT_PORT_FILE/)
  refused(t, { files: { c: 'client_port: 1' }, argv: ['--config', 'c'] }, /unknown key client_port in c \(did you mean clientPort\?\)/)
  refused(t, { files: { c: 'nats: {uri: x}' }, argv: ['--config', 'c'] }, /unknown key natsUri in c \(did you mean natsUrl\?\)/)
  refused(t, { files: { c: 'port: 1' }, argv: ['--config', 'c'] }, /unknown key port in c \(did you mean clientPort or internalPort\?\)/)
  refused(t, { files: { c: '__proto__: {x: 1}' }, argv: ['--config', 'c'] }, /unknown key|map/)
})

t.test('a config file that is none', async (t) => {
  refused(t, { argv: ['--config', 'nowhere'] }, /cannot read nowhere: ENOENT/)
  refused(t, { files: { c: '[1, 2]' }, argv: ['--config', 'c'] }, /must hold a map/)
  refused(t, { files: { c: 'text' }, argv: ['--config', 'c'] }, /must hold a map/)
  refused(t, { files: { c: '{"a": ' }, argv: ['--config', 'c'] }, /neither YAML nor JSON/)
  refused(t, { files: { c: 'bosh: {waitSeconds: 1}\nboshWaitSeconds: 2' }, argv: ['--config', 'c'] }, /twice/)
})

t.test('wrong values: all of them are told, with their source', async (t) => {
  refused(t, { argv: ['--client-port', 'x'], env: { HOLDWIRE_ENGINE: 'fast' } }, /clientPort \(flag --client-port\): .*\n?/)
  refused(t, { argv: ['--client-port', 'x'], env: { HOLDWIRE_ENGINE: 'fast' } }, /engine \(HOLDWIRE_ENGINE\): /)
  for (const text of ['1e3', '0x10', '1.5', '', ' ', 'NaN', '65536', '-1']) {
    t.throws(() => load({ argv: ['--client-port', text] }), ConfigError, `port ${JSON.stringify(text)}`)
  }
  refused(t, { argv: ['--deflate=yes'] }, /deflate \(flag --deflate\)/)
  refused(t, { argv: ['--allowed-origins', 'https://a.example/'] }, /origin like/)
  refused(t, { argv: ['--jwks-url', 'ftp://x'] }, /http or https/)
  refused(t, { argv: ['--node-id', 'a b'] }, /characters/)
  refused(t, { files: { c: 'clientPort: [1]' }, argv: ['--config', 'c'] }, /clientPort \(c\)/)
  refused(t, { argv: ['--max-frame-bytes', '300000'] }, /maxBodyBytes: must be at least maxFrameBytes/)
})

t.test('each number keeps its limits, to the unit', async (t) => {
  for (const setting of SETTINGS.filter(({ kind }) => kind === 'number')) {
    const [, min = Number.NaN, max = Number.NaN] = (/ ([\d.]+)–(\d+)$/.exec(setting.type) ?? []).map(Number)
    const error = (value: number) => {
      try {
        load({ argv: [`${setting.flag}=${value}`] })
        return ''
      } catch (caught) {
        return caught instanceof ConfigError ? caught.message : 'another error'
      }
    }
    // A limit may contradict another setting, but never its own range.
    t.notMatch(error(min), new RegExp(`${setting.key} \\(`), `${setting.key} ${min}`)
    t.notMatch(error(max), new RegExp(`${setting.key} \\(`), `${setting.key} ${max}`)
    t.match(error(min - 1), new RegExp(`${setting.key} \\(`), `${setting.key} ${min - 1}`)
    t.match(error(max + 1), new RegExp(`${setting.key} \\(`), `${setting.key} ${max + 1}`)
  }
})

t.test('the duplicate window never outlasts the messages', async (t) => {
  t.match(load({ argv: ['--inbox-max-age-seconds', '30'] }), { duplicateWindowSeconds: 30, inboxMaxAgeSeconds: 30 })
})

t.test('dev is for loopback only', async (t) => {
  refused(t, { argv: ['--host', '0.0.0.0'] }, /`dev` lets everybody be anybody/)
  refused(t, { argv: ['--host', '::', '--auth', 'dev'] }, /loopback only/)
  refused(t, { argv: ['--host', '10.0.0.1', '--auth', 'dev', '--jwt-secret', 'x'.repeat(32)] }, /loopback only/)
  refused(t, { argv: ['--host', '127.evil.example'] }, /loopback only/)
  refused(t, { argv: ['--auth', 'jwt'] }, /needs one of/)
  refused(t, { argv: ['--auth', 'none'] }, /auth \(flag --auth\)/)
  t.match(load({ argv: ['--host', '0.0.0.0', '--jwt-secret', 'x'.repeat(32)] }), { auth: 'jwt', anyTopic: false, allowedOrigins: [] })
  t.match(load({ argv: ['--jwks-url', 'https://id.example/jwks'] }), { auth: 'jwt' }, 'a key is enough to ask for tokens')
  t.match(load({ argv: ['--auth', 'dev', '--jwt-secret', 'x'] }), { auth: 'dev' })
  t.match(load({ argv: ['--jwt-secret', 'x', '--any-topic', '--allowed-origins', 'https://a.example'] }), {
    anyTopic: true,
    allowedOrigins: ['https://a.example'],
  })
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost', 'LocalHost']) t.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '128.0.0.1', '127.0.0.1.example', 'localhost.example', '']) t.notOk(isLoopback(host), host)
})

t.test('secrets may come from files', async (t) => {
  const files = { '/run/secret': `${'s'.repeat(40)}\n`, '/run/keys': 'one\ntwo\n' }
  const config = load({ files, env: { HOLDWIRE_JWT_SECRET_FILE: '/run/secret', HOLDWIRE_API_KEYS_FILE: '/run/keys' } })
  t.match(config, { jwtSecret: 's'.repeat(40), apiKeys: ['one', 'two'], auth: 'jwt' })
  refused(t, { files, env: { HOLDWIRE_JWT_SECRET_FILE: '/run/secret', HOLDWIRE_JWT_SECRET: 'x' } }, /both set/)
  refused(t, { files, env: { HOLDWIRE_JWT_SECRET_FILE: '/nowhere' } }, /HOLDWIRE_JWT_SECRET_FILE: cannot read/)
  const pem = '-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----'
  t.equal(load({ env: { HOLDWIRE_JWT_PUBLIC_KEY: pem } }).jwtPublicKey, pem.replaceAll('\\n', '\n'), 'a PEM on one line')
})

t.test('variables that Kubernetes makes for a service are none of ours', async (t) => {
  const env = {
    HOLDWIRE_SERVICE_HOST: '10.0.0.1',
    HOLDWIRE_SERVICE_PORT: '8000',
    HOLDWIRE_SERVICE_PORT_CLIENT: '8000',
    HOLDWIRE_PORT: 'tcp://10.0.0.1:8000',
    HOLDWIRE_PORT_8000_TCP: 'tcp://10.0.0.1:8000',
    HOLDWIRE_PORT_8000_TCP_ADDR: '10.0.0.1',
    HOLDWIRE_CLIENT_PORT: 'tcp://10.0.0.1:8000',
    HOLDWIRE_CLIENT_SERVICE_HOST: '10.0.0.1',
  }
  t.match(load({ env }), { clientPort: 8000 })
})

t.test('warnings', async (t) => {
  t.same(configWarnings(load({})), [])
  const env = { HOLDWIRE_JWT_SECRET: 'short', HOLDWIRE_API_KEYS: 'shop:push:k' }
  t.match(configWarnings(load({ env })), [/32 bytes/, /16 characters/])
  t.same(configWarnings(load({ env: { HOLDWIRE_JWKS_URL: 'https://id.example/' } })).length, 1)
  t.match(configWarnings(load({ argv: ['--jwks-url', 'http://id.example/', '--auth', 'dev'] })), [/not https/])
  t.match(configWarnings(load({ argv: ['--nats-url', 'nats://a', '--data-dir', 'd'] })), [/dataDir is not used/])
  t.same(configWarnings(load({ argv: ['--jwks-url', 'http://127.0.0.1/'], env: { HOLDWIRE_API_KEYS: 'k'.repeat(16) } })), [])
})

t.test('secrets on the command line are seen by others', async (t) => {
  const argv = ['--jwt-secret', 'word-secret'.repeat(4), '--api-keys', 'shop:push:key-number-secret']
  for (const server of ['nats://me:word-secret@a', 'nats://word-secret@a', 'me:word-secret@a', 'nats://a,nats://me:word-secret@b']) {
    const warnings = configWarnings(load({ argv: [...argv, '--nats-url', server] }))
    t.match(
      warnings,
      [/^--jwt-secret: .*HOLDWIRE_JWT_SECRET_FILE/, /^--api-keys: .*_FILE/, /^--nats-url: .*HOLDWIRE_NATS_URL_FILE/],
      server,
    )
    t.notMatch(warnings.join(), /word-secret|key-number/)
  }
  t.same(configWarnings(load({ argv: ['--nats-url', 'nats://a'] })), [])
})

t.test('no error tells a secret', async (t) => {
  const told = (given: Given) => String(t.throws(() => load(given), { name: 'ConfigError' }))
  const files = {
    quote: 'jwtSecret: "word-secret\nx: 1',
    alias: 'jwtSecret: *word-secret',
    nested: 'jwtSecret: word-secret: x',
    list: 'jwtSecret: [word-secret]',
  }
  for (const config of Object.keys(files)) t.notMatch(told({ files, argv: ['--config', config] }), /word-secret/, config)
  t.match(told({ files, argv: ['--config', 'nested'] }), /BLOCK_AS_IMPLICIT_KEY, line 1/, 'but where it is')
  t.notMatch(told({ env: { HOLDWIRE_JWT_SECRET_FILE: 'word-secret' } }), /word-secret/, 'the secret in place of its file')
  t.notMatch(told({ argv: ['--api-keys', 'me:pusj:word-secret'] }), /word-secret/)
  t.notMatch(told({ argv: ['--api-keys', 'k'.repeat(65537)] }), /kkk/)
})

t.test('listeners: TLS in pairs, one way of trusting proxies, dev on loopback at both ports', async (t) => {
  const jwt = ['--jwt-secret', 'x'.repeat(32)]
  refused(t, { argv: ['--client-tls-cert', 'c'] }, /clientTlsCert and clientTlsKey: both/)
  refused(t, { argv: ['--internal-tls-key', 'k'] }, /internalTlsCert and internalTlsKey: both/)
  refused(t, { argv: ['--internal-tls-client-ca', 'ca'] }, /needs internalTlsCert/)
  refused(t, { argv: ['--client-tls-cert', 'c', '--client-tls-key', 'k', '--engine', 'uws'] }, /cannot reload certificates/)
  refused(t, { argv: ['--trust-proxy', '1', '--trusted-proxies', '10.0.0.0/8'] }, /only one of them/)
  refused(t, { argv: ['--trusted-proxies', 'proxy.example'] }, /trustedProxies .*address or a network/)
  refused(t, { argv: ['--internal-host', '0.0.0.0'] }, /internalHost is 0\.0\.0\.0/)
  refused(t, { argv: ['--host', '0.0.0.0', '--internal-host', '127.0.0.1'] }, /host is 0\.0\.0\.0/)
  t.match(load({ argv: ['--host', '10.0.0.1', ...jwt] }), { internalHost: '10.0.0.1' })
  t.match(load({ argv: ['--host', '10.0.0.1', '--internal-host', '::1', ...jwt] }), { host: '10.0.0.1', internalHost: '::1' })
  t.match(load({ argv: ['--trusted-proxies', '10.0.0.0/8, ::1'] }), { trustedProxies: ['10.0.0.0/8', '::1'] })
})

t.test('API keys: in text, and as maps in a file', async (t) => {
  const files = { c: 'apiKeys:\n  - plain\n  - {name: shop, scopes: [push, read], key: "a,b:c"}\n', bad: 'apiKeys: [{name: shop, key: x}]' }
  t.match(load({ files, argv: ['--config', 'c'] }).apiKeys, ['plain', 'shop:push+read:a,b:c'])
  refused(t, { files, argv: ['--config', 'bad'] }, /apiKeys \(bad\)/)
  refused(t, { argv: ['--api-keys', 'shop:push+fly:key'] }, /entry 1 has a scope that there is not/)
  t.same(
    readApiKeys('one\nshop:push:two\n').map(({ key }) => key),
    ['one', 'two'],
  )
  t.throws(() => readApiKeys('\n'), { name: 'ConfigError' }, 'an empty file is a mistake')
  const file = load({ files: { '/run/keys': 'one\n' }, env: { HOLDWIRE_API_KEYS_FILE: '/run/keys' } })
  t.equal(file.apiKeysFile, '/run/keys')
  t.equal(
    load({ files: { '/run/keys': 'one' }, env: { HOLDWIRE_API_KEYS_FILE: '/run/keys' }, argv: ['--api-keys', 'x'] }).apiKeysFile,
    undefined,
  )
})

t.test('what is printed tells everything but the secrets, and can be loaded again', async (t) => {
  const argv = [
    '--jwt-secret',
    'very-secret',
    '--api-keys',
    'key-secret',
    '--nats-url',
    'nats://me:word-secret@a:4222,me:word-secret@b',
    '--deflate',
  ]
  const config = load({ argv })
  for (const text of [configYaml(config), configJson(config)]) {
    t.notMatch(text, /very-secret|key-secret|word-secret/)
    for (const { key, flag, env, description } of SETTINGS) {
      t.ok(text.includes(key) && text.includes(flag) && text.includes(env) && text.includes(description), key)
    }
  }
  t.same(load({ files: { c: configYaml(load({})) }, argv: ['--config', 'c'] }), load({}))
  t.match(parse(configYaml(config)), { deflate: true, natsPartitions: 16 })
  const printed = JSON.parse(configJson(config)) as { key: string; value: unknown }[]
  t.match(
    printed.find(({ key }) => key === 'jwtSecret'),
    { value: '***' },
  )
  t.match(
    printed.find(({ key }) => key === 'natsUrl'),
    { value: ['nats://***@a:4222', '***@b'] },
  )
})

t.test('docs/configuration.md is fresh', async (t) => {
  const path = join(import.meta.dirname, '../../../docs/configuration.md')
  t.ok(configDocsFresh(readFileSync(path, 'utf8')), 'else run node dist/gateway/config-docs.js')
})
