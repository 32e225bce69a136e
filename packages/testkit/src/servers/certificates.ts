import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { chown, rename, writeFile } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { ownedFolder, serverUser } from './server-user.js'

/** Paths of PEM files. Only its server may read the key: PostgreSQL rejects any other. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
}

export interface CertificateOptions {
  /** Default: `DNS:localhost` and `IP:127.0.0.1`. */
  readonly names?: readonly string[]
  /** It expired yesterday. */
  readonly expired?: boolean
  /** Validity from now, instead of a day: MySQL loads no certificate that has already expired. */
  readonly validMs?: number
}

interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const THIS_MACHINE = ['DNS:localhost', 'IP:127.0.0.1', 'IP:::1']
const DAY_MS = 86_400_000
const YES = Buffer.from([0x01, 0x01, 0xff])
/** Object identifiers of RFC 5280 and RFC 5758. */
const ECDSA_SHA256 = '2a8648ce3d040302'
const COMMON_NAME = '550403'
const SUBJECT_ALT_NAME = '551d11'
const BASIC_CONSTRAINTS = '551d13'
const KEY_USAGE = '551d0f'
const SUBJECT_KEY = '551d0e'
const AUTHORITY_KEY = '551d23'
/** keyCertSign and cRLSign, the last bit unused. */
const SIGNS = Buffer.from([0x03, 0x02, 0x01, 0x06])

/**
 * A test's own certificate authority. Needs no openssl, which a machine with servers may lack. The server's user must be able
 * to enter the folder.
 */
export class Authority {
  readonly #folder: string
  readonly #name: string
  readonly #keys: KeyPair

  private constructor(folder: string, name: string) {
    this.#folder = folder
    this.#name = name
    this.#keys = newKeys()
  }

  static async create(folder: string, name = 'authority'): Promise<Authority> {
    ownedFolder(folder, serverUser())
    const authority = new Authority(folder, name)
    const usage = [extension(BASIC_CONSTRAINTS, sequence(YES), true), extension(KEY_USAGE, SIGNS, true)]
    await write(authority.certificate, authority.#signed({ name, keys: authority.#keys, extensions: usage }))
    return authority
  }

  /** The path of its certificate, for clients to trust. */
  get certificate(): string {
    return this.#files(this.#name).certificate
  }

  /** Issues a certificate for a server or client of this name; issuing it again replaces both files. */
  async issue(
    name: string,
    { names = THIS_MACHINE, expired = false, validMs = DAY_MS }: CertificateOptions = {},
  ): Promise<Certificate> {
    const { certificate, key } = this.#files(name)
    const keys = newKeys()
    const extensions = [extension(SUBJECT_ALT_NAME, sequence(...names.map(generalName)))]
    await write(key, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    await write(certificate, this.#signed({ name, keys, extensions, validMs: expired ? -DAY_MS : validMs }))
    return { certificate, key }
  }

  #files(name: string): Certificate {
    return { certificate: join(this.#folder, `${name}.pem`), key: join(this.#folder, `${name}.key`) }
  }

  #signed({ name, keys, extensions, validMs = DAY_MS }: Wanted): string {
    const untilMs = Date.now() + validMs
    const algorithm = sequence(oid(ECDSA_SHA256))
    const ids = [
      extension(SUBJECT_KEY, der(0x04, keyId(keys.publicKey))),
      extension(AUTHORITY_KEY, sequence(der(0x80, keyId(this.#keys.publicKey)))),
    ]
    const body = sequence(
      der(0xa0, der(0x02, Buffer.from([2]))),
      der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
      algorithm,
      distinguishedName(this.#name),
      sequence(time(untilMs - 2 * DAY_MS), time(untilMs)),
      distinguishedName(name),
      keys.publicKey.export({ type: 'spki', format: 'der' }),
      der(0xa3, sequence(...extensions, ...ids)),
    )
    const signature = sign('sha256', body, { key: this.#keys.privateKey, dsaEncoding: 'der' })
    return pem(sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature]))))
  }
}

interface Wanted {
  readonly name: string
  readonly keys: KeyPair
  readonly extensions: readonly Buffer[]
  readonly validMs?: number
}

function newKeys(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

/** Replaces the file atomically: readers get the old or the new one. */
async function write(path: string, content: string): Promise<void> {
  const user = serverUser()
  await writeFile(`${path}.new`, content, { mode: path.endsWith('.key') ? 0o600 : 0o644 })
  if (user) await chown(`${path}.new`, user.uid, user.gid)
  await rename(`${path}.new`, path)
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [YES] : []), der(0x04, value))
}

function distinguishedName(commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid(COMMON_NAME), der(0x0c, Buffer.from(commonName)))))
}

/** `DNS:localhost`, `IP:127.0.0.1` or `IP:::1`. */
function generalName(name: string): Buffer {
  const [, kind, value = ''] = /^(DNS|IP):(.+)$/.exec(name) ?? []
  if (kind === undefined) throw new Error(`${name}: neither DNS:.. nor IP:..`)
  if (kind === 'DNS') return der(0x82, Buffer.from(value, 'latin1'))
  return der(0x87, isIPv6(value) ? ipv6Bytes(value) : Buffer.from(value.split('.').map(Number)))
}

function ipv6Bytes(address: string): Buffer {
  const [before = [], after = []] = address.split('::').map((half) => half.split(':').filter((group) => group !== ''))
  const groups = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

function time(atMs: number): Buffer {
  return der(0x18, Buffer.from(new Date(atMs).toISOString().replace(/[-:T]|\.\d+/g, ''), 'latin1'))
}

function keyId(publicKey: KeyObject): Buffer {
  return createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
}

function pem(content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
