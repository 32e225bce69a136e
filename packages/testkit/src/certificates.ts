import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'

/** A certificate and its key, both PEM. */
export interface Identity {
  readonly certificate: string
  readonly key: string
}

export interface Wanted {
  /** Names and addresses that it is for; the first is its common name. */
  readonly names: readonly [string, ...string[]]
  /** From a day ago to a day from now, unless it is given. */
  readonly validUntil?: Date
}

const DAY_MS = 86_400_000
const ECDSA_SHA256 = '2a8648ce3d040302'
const COMMON_NAME = '550403'
const SUBJECT_ALT_NAME = '551d11'
const BASIC_CONSTRAINTS = '551d13'
const KEY_USAGE = '551d0f'
const SUBJECT_KEY = '551d0e'
const AUTHORITY_KEY = '551d23'

/** An authority of a test's own, with which it makes certificates at once and without any program. RFC 5280, P-256. */
export class CertificateAuthority {
  readonly certificate: string
  readonly #name: string
  readonly #key: KeyObject
  readonly #id: Buffer

  constructor(name = 'Authority of a test') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#name = name
    this.#key = privateKey
    this.#id = keyId(publicKey)
    const constraints = [
      extension(BASIC_CONSTRAINTS, sequence(der(0x01, Buffer.from([0xff]))), true),
      // keyCertSign and cRLSign
      extension(KEY_USAGE, der(0x03, Buffer.from([1, 0x06])), true),
    ]
    this.certificate = this.#signed({ names: [name] }, publicKey, constraints)
  }

  issue(wanted: Wanted): Identity {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const names = extension(SUBJECT_ALT_NAME, sequence(...wanted.names.map(generalName)))
    const certificate = this.#signed(wanted, publicKey, [names])
    return { certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
  }

  #signed({ names, validUntil }: Wanted, publicKey: KeyObject, extensions: readonly Buffer[]): string {
    const until = validUntil ?? new Date(Date.now() + DAY_MS)
    const from = new Date(Math.min(Date.now(), until.getTime()) - DAY_MS)
    const algorithm = sequence(oid(ECDSA_SHA256))
    const ids = [
      extension(SUBJECT_KEY, der(0x04, keyId(publicKey))),
      extension(AUTHORITY_KEY, sequence(der(0x80, this.#id))),
    ]
    const body = sequence(
      der(0xa0, der(0x02, Buffer.from([2]))),
      der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
      algorithm,
      distinguishedName(this.#name),
      sequence(time(from), time(until)),
      distinguishedName(names[0]),
      publicKey.export({ type: 'spki', format: 'der' }),
      der(0xa3, sequence(...extensions, ...ids)),
    )
    const signature = sign('sha256', body, { key: this.#key, dsaEncoding: 'der' })
    return pem(sequence(body, algorithm, bits(signature)))
  }
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

function bits(content: Buffer): Buffer {
  return der(0x03, Buffer.concat([Buffer.from([0]), content]))
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value))
}

function distinguishedName(commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid(COMMON_NAME), der(0x0c, Buffer.from(commonName)))))
}

function generalName(name: string): Buffer {
  const family = isIP(name)
  if (family === 0) return der(0x82, Buffer.from(name, 'latin1'))
  if (family === 6) throw new Error(`${name}: only addresses of IPv4 are made here`)
  return der(0x87, Buffer.from(name.split('.').map(Number)))
}

function time(at: Date): Buffer {
  return der(0x18, Buffer.from(at.toISOString().replace(/[-:T]|\.\d+/g, ''), 'latin1'))
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
