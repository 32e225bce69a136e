const DEADLINE_MS = 18_000
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

/** Shutdown of the process: a first signal requests it, a second one or the deadline forces it. */
export interface Shutdown {
  readonly signal: AbortSignal
  /** The exit code of the signal; 0 if the reader of stdout went away; null if neither happened. */
  code(): number | null
  dispose(): void
}

/** Listens until disposed for SIGINT and SIGTERM, and for EPIPE (`| head`), which requests shutdown too. */
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
  // Never removed: the last write may fail after the work has ended.
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
