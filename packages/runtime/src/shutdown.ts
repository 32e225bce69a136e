const DEADLINE_MS = 18_000
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

/** The process's own end: a first signal asks, a second one or the deadline forces. */
export interface Shutdown {
  readonly signal: AbortSignal
  /** The exit code that the signal asks for, null while none came. */
  code(): number | null
  dispose(): void
}

/** Listens for SIGINT and SIGTERM until disposed. */
export function listenForShutdown(): Shutdown {
  const controller = new AbortController()
  let code: number | null = null
  let timer: NodeJS.Timeout | undefined
  const onSignal = (name: NodeJS.Signals): void => {
    const asked = name === 'SIGINT' ? EXIT_CODES.SIGINT : EXIT_CODES.SIGTERM
    if (code !== null) process.exit(asked)
    code = asked
    timer = setTimeout(() => process.exit(asked), DEADLINE_MS)
    timer.unref()
    controller.abort()
  }
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
