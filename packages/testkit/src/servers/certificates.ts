import { chmodSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { mustRun } from './run-command.js'
import { ownedFolder, serverUser } from './server-user.js'

/** Paths of PEM files. The key is its server's alone: PostgreSQL takes no other. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
}

export interface CertificateOptions {
  /** As `DNS:localhost` and `IP:127.0.0.1`, which are the names unless given. */
  readonly names?: readonly string[]
  /** Since yesterday. */
  readonly expired?: boolean
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
const THIS_MACHINE = ['DNS:localhost', 'IP:127.0.0.1', 'IP:::1']

/** An authority of a test's own. The folder must be one that a server's user may enter. */
export class Authority {
  readonly #folder: string
  readonly #name: string

  private constructor(folder: string, name: string) {
    this.#folder = folder
    this.#name = name
  }

  static async create(folder: string, name = 'authority'): Promise<Authority> {
    ownedFolder(folder, serverUser())
    const authority = new Authority(folder, name)
    const { certificate, key } = authority.#files(name)
    const usage = 'keyUsage=critical,keyCertSign,cRLSign'
    const request = ['req', '-x509', ...KEY, '-keyout', key, '-out', certificate, '-subj', `/CN=${name}`]
    await mustRun('openssl', [...request, '-days', '2', '-addext', usage])
    return authority
  }

  /** The path of its own certificate: what a client trusts. */
  get certificate(): string {
    return this.#files(this.#name).certificate
  }

  /** For a server or a client of this name; issued again under the same name, both files are replaced. */
  async issue(name: string, { names = THIS_MACHINE, expired = false }: CertificateOptions = {}): Promise<Certificate> {
    const { certificate, key } = this.#files(name)
    const request = join(this.#folder, `${name}.csr`)
    const wanted = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names.join(',')}`]
    await mustRun('openssl', ['req', ...KEY, '-keyout', key, '-out', request, ...wanted])
    const own = this.#files(this.#name)
    const signing = ['x509', '-req', '-in', request, '-CA', own.certificate, '-CAkey', own.key, '-CAcreateserial']
    const days = expired ? '-1' : '2'
    await mustRun('openssl', [...signing, '-days', days, '-copy_extensions', 'copyall', '-out', certificate])
    chmodSync(key, 0o600)
    const user = serverUser()
    if (user) chownSync(key, user.uid, user.gid)
    return { certificate, key }
  }

  #files(name: string): Certificate {
    return { certificate: join(this.#folder, `${name}.pem`), key: join(this.#folder, `${name}.key`) }
  }
}
