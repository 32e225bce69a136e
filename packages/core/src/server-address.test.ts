import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AddressRefused, parsePlace, parseServerUrl, type Place, placeText } from './server-address.js'

const PLACES: readonly (readonly [string, Place])[] = [
  ['db', { host: 'db' }],
  ['db.example.org', { host: 'db.example.org' }],
  ['my_db-1:3307', { host: 'my_db-1', port: 3307 }],
  ['10.0.0.1', { host: '10.0.0.1' }],
  ['10.0.0.1:5433', { host: '10.0.0.1', port: 5433 }],
  ['::1', { host: '::1' }],
  ['[::1]', { host: '::1' }],
  ['[::1]:6380', { host: '::1', port: 6380 }],
  ['2001:db8::8:800:200c:417a', { host: '2001:db8::8:800:200c:417a' }],
  ['1:2:3:4:5:6:7:8', { host: '1:2:3:4:5:6:7:8' }],
  ['::ffff:127.0.0.1', { host: '::ffff:127.0.0.1' }],
  ['[::ffff:10.0.0.1]:1', { host: '::ffff:10.0.0.1', port: 1 }],
  ['fe80::1%eth0', { host: 'fe80::1%eth0' }],
  ['[fe80::1%25eth0]:3306', { host: 'fe80::1%eth0', port: 3306 }],
  ['/run/mysqld/mysqld.sock', { socket: '/run/mysqld/mysqld.sock' }],
  ['%2Frun%2Fmysqld%2Fmysqld.sock', { socket: '/run/mysqld/mysqld.sock' }],
  ['%2frun%2fa%20b', { socket: '/run/a b' }],
  ['unix:/run/redis.sock', { socket: '/run/redis.sock' }],
  ['unix:///run/redis.sock', { socket: '/run/redis.sock' }],
]

test('a host is a name, an address or a socket, in any spelling', () => {
  for (const [text, place] of PLACES) assert.deepEqual(parsePlace(text), place, text)
})

test('an invalid host is refused and never quoted', () => {
  for (const text of ['', 'a b', 'Sesame@db', '[::1', '[Sesame]', ':::', '1:2:3', '12345::1', '::1::', '256.1.1.1', '1.2.3', 'db:', 'db:0', 'db:65536', 'db:Sesame', '[::1]3306', '-db', '%zz']) // biome-ignore format: one line
    assert.throws(
      () => parsePlace(text),
      (error: Error) => error instanceof AddressRefused && !error.message.includes('Sesame'),
      text,
    )
})

test('a URL is split into account, host, database and parameters', () => {
  assert.deepEqual(parseServerUrl('mysql://u%40x:p%2F%3A%40@[::1]:3307/my%20shop'), {
    scheme: 'mysql',
    user: 'u@x',
    password: 'p/:@',
    host: '::1',
    port: 3307,
    database: 'my shop',
    parameters: [],
  })
  assert.deepEqual(parseServerUrl('postgres://%2Fvar%2Frun%2Fpostgresql/shop?schema=a%26b&x'), {
    scheme: 'postgres',
    socket: '/var/run/postgresql',
    database: 'shop',
    parameters: [
      ['schema', 'a&b'],
      ['x', ''],
    ],
  })
  assert.deepEqual(parseServerUrl('POSTGRES:///shop'), { scheme: 'postgres', database: 'shop', parameters: [] })
  assert.deepEqual(parseServerUrl('mysql://u:a@b@db'), { scheme: 'mysql', user: 'u', password: 'a@b', host: 'db', parameters: [] }) // biome-ignore format: one line
  assert.deepEqual(parseServerUrl('redis+unix://:pw@/run/redis.sock?db=2'), {
    scheme: 'redis+unix',
    password: 'pw',
    database: 'run/redis.sock',
    parameters: [['db', '2']],
  })
  assert.deepEqual(parseServerUrl('unix:/run/r.sock'), { scheme: 'unix', database: 'run/r.sock', parameters: [] })
})

test('a host is printed the way people write it', () => {
  assert.equal(placeText('db', 1), 'db:1')
  assert.equal(placeText('::1', 3306), '[::1]:3306')
  assert.equal(placeText('/var/run/postgresql', 5432), '/var/run/postgresql')
})

const TEXT = fc.string({ unit: 'binary', maxLength: 12 })
const PORT = fc.integer({ min: 1, max: 65_535 })
const HOSTS: fc.Arbitrary<readonly [written: string, place: Place]> = fc.oneof(
  fc.constantFrom('db', 'my_db-1', 'db.example.org', '10.0.0.1').map((host) => [host, { host }] as const),
  fc.ipV6().map((host) => [`[${host}]`, { host }] as const),
  TEXT.map((name) => [encodeURIComponent(`/run/${name}`), { socket: `/run/${name}` }] as const),
)

test('each part of a URL comes back as it was, whatever characters it has', () => {
  const parts = fc.record({ user: TEXT, password: TEXT, database: TEXT, name: TEXT, value: TEXT, port: PORT })
  fc.assert(
    fc.property(HOSTS, parts, ([written, place], { user, password, database, name, value, port }) => {
      const withPort = 'host' in place
      const url = `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${written}${withPort ? `:${port}` : ''}/${encodeURIComponent(database)}?${encodeURIComponent(name)}=${encodeURIComponent(value)}`
      assert.deepEqual(parseServerUrl(url), {
        scheme: 'mysql',
        ...(user === '' ? {} : { user }),
        ...(password === '' ? {} : { password }),
        ...place,
        ...(withPort ? { port } : {}),
        ...(database === '' ? {} : { database }),
        parameters: [[name, value]],
      })
    }),
    { numRuns: 300 },
  )
})

test('no address is refused with a word of it, and none with another error', () => {
  const unit = fc.constantFrom(
    'Sesame',
    'mysql://',
    ':',
    '@',
    '/',
    '[',
    ']',
    '%',
    '%2F',
    '?',
    '#',
    '&',
    '=',
    '::',
    '7',
    ' ',
  )
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 9 }), (text) => {
      for (const parse of [parsePlace, parseServerUrl])
        try {
          parse(text)
        } catch (error) {
          assert.ok(error instanceof AddressRefused, String(error))
          assert.doesNotMatch(error.message, /Sesame/)
        }
    }),
    { numRuns: 1_000 },
  )
})

test('a password that is not encoded is refused or stays a password', () => {
  const raw = fc.string({
    unit: fc.constantFrom('Sesame', ':', '@', '/', '[', ']', '%41', '?', '#', '=', '7'),
    maxLength: 9,
  })
  fc.assert(
    fc.property(raw, (text) => {
      try {
        const { password, ...others } = parseServerUrl(`mysql://u:Sesame${text}@db/shop?x=a=b`)
        assert.equal(password, `Sesame${text.replaceAll('%41', 'A')}`)
        assert.deepEqual(others, {
          scheme: 'mysql',
          user: 'u',
          host: 'db',
          database: 'shop',
          parameters: [['x', 'a=b']],
        })
      } catch (error) {
        assert.ok(error instanceof AddressRefused, String(error))
      }
    }),
    { numRuns: 500 },
  )
})

test('a place that is shown is read back as the same place', () => {
  fc.assert(
    fc.property(HOSTS, PORT, ([, { host, socket }], port) => {
      const shown = placeText(socket ?? host ?? '', port)
      assert.deepEqual(parsePlace(shown), socket === undefined ? { host, port } : { socket })
    }),
  )
})
