import { execFileSync } from 'node:child_process'

const UNUSED_MAC = '02:00:00:00:00:01'
let made = 0

/** One link between this host and a namespace: an address at each end, and its name at both. */
interface Line {
  readonly host: string
  readonly inside: string
  readonly outerDevice: string
  readonly innerDevice: string
}

/**
 * A separate network host with one link per name to this one. A cut link silently drops every packet in both directions: no
 * FIN, no reset, no ICMP error. Needs root on Linux, and what `obstacle` names.
 */
export class NetworkNamespace {
  readonly name: string
  readonly #lines: ReadonlyMap<string, Line>

  private constructor(name: string, lines: ReadonlyMap<string, Line>) {
    this.name = name
    this.#lines = lines
  }

  /** Why no namespace can be created here; null if one can. */
  static obstacle(): string | null {
    if (process.platform !== 'linux') return 'network namespaces need Linux'
    if (process.getuid?.() !== 0) return 'network namespaces need root'
    const probe = `ms${process.pid}p`
    try {
      ip('netns', 'add', probe)
      ip('netns', 'del', probe)
      return null
    } catch (error) {
      const { code, stderr } = error as { readonly code?: unknown; readonly stderr?: Buffer }
      if (code === 'ENOENT') return "network namespaces need the program ip (Debian's package iproute2)"
      return `no network namespace can be created here, although this is root: ${String(stderr ?? error).trim()}`
    }
  }

  static create(lines: readonly string[]): NetworkNamespace {
    const id = `ms${process.pid.toString(36)}${made++}`
    ip('netns', 'add', id)
    const namespace = new NetworkNamespace(id, new Map(lines.map((line, at) => [line, newLine(id, at)])))
    try {
      for (const line of namespace.#lines.values()) connectLine(id, line)
      return namespace
    } catch (error) {
      namespace.close()
      throw error
    }
  }

  /** This host's address on the link, for programs inside. */
  addressOf(line: string): string {
    return this.#line(line).host
  }

  /** Command line prefix that runs a program inside. */
  get prefix(): readonly string[] {
    return ['ip', 'netns', 'exec', this.name]
  }

  cut(line: string): void {
    const { host, inside, outerDevice, innerDevice } = this.#line(line)
    ip('-n', this.name, 'neigh', 'replace', host, 'lladdr', UNUSED_MAC, 'dev', innerDevice, 'nud', 'permanent')
    ip('neigh', 'replace', inside, 'lladdr', UNUSED_MAC, 'dev', outerDevice, 'nud', 'permanent')
  }

  restore(line: string): void {
    const { host, inside, outerDevice, innerDevice } = this.#line(line)
    ip('-n', this.name, 'neigh', 'del', host, 'dev', innerDevice)
    ip('neigh', 'del', inside, 'dev', outerDevice)
  }

  /** Programs still inside keep running without a network. */
  close(): void {
    for (const { outerDevice } of this.#lines.values()) quietly('link', 'del', outerDevice)
    quietly('netns', 'del', this.name)
  }

  #line(name: string): Line {
    const line = this.#lines.get(name)
    if (line) return line
    throw new Error(`no line ${name} to the namespace ${this.name}`)
  }
}

function newLine(id: string, at: number): Line {
  // 198.18.0.0/15 is reserved for network tests; two addresses per link, by process id, so that sets can run side by side
  const pair = ((process.pid % 4096) * 8 + at) * 4
  const address = (offset: number): string => `198.18.${(pair >> 8) & 255}.${(pair & 255) + offset}`
  return { host: address(1), inside: address(2), outerDevice: `${id}o${at}`, innerDevice: `${id}i${at}` }
}

function connectLine(id: string, { host, inside, outerDevice, innerDevice }: Line): void {
  ip('link', 'add', outerDevice, 'type', 'veth', 'peer', 'name', innerDevice, 'netns', id)
  ip('addr', 'add', `${host}/30`, 'dev', outerDevice)
  ip('link', 'set', outerDevice, 'up')
  ip('-n', id, 'addr', 'add', `${inside}/30`, 'dev', innerDevice)
  ip('-n', id, 'link', 'set', innerDevice, 'up')
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

function quietly(...args: readonly string[]): void {
  try {
    ip(...args)
  } catch {
    // it no longer exists
  }
}
