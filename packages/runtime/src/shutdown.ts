const DEADLINE_MS = 18_000
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

/** The process's own end: a first signal asks, a second one or the deadline forces. */
export interface Shutdown {
  readonly signal: AbortSignal
  /** The exit code that the signal asks for, 0 for a reader that went away, null while none came. */
  code(): number | null
  dispose(): void
}

/** Listens for SIGINT and SIGTERM until disposed, and for a reader of stdout that goes away (`| head`), which asks for the end too. */
export function listenForShutdown(): Shutdown {
  const controller = new AbortController()
  let code: number | null = null
  let asked = false
  let timer: NodeJS.Timeout | undefined
  const onSignal = (name: NodeJS.Signals): void => {
    const exit = name === 'SIGINT' ? EXIT_CODES.SIGINT : EXIT_CODES.SIGTERM
    if (asked) process.exit(exit)
    asked = true
    code = exit
    timer = setTimeout(() => process.exit(exit), DEADLINE_MS)
    timer.unref()
    controller.abort()
  }
  const onLost = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error
    code ??= 0
    controller.abort()
  }
  // Never taken off: what was written last may fail after the work has ended.
  process.stdout.on('error', onLost)
  process.stderr.on('error', onLost)
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    signal: controller.signal,
    code: () => code,
    dispose: () => {
      clearTimeout(timer)
      process.removeListener('SIGINT', onSignal)
      process.removeListener('SIGTERM', onSignal)
    },
  }
}
