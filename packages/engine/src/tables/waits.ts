/** How the problem of a table begins that goes on once somebody has run what follows. */
const WAITS = 'waits for: '

export function waitsFor(statements: readonly string[]): string {
  return `${WAITS}${statements.join('; ')}`
}

/** True where a table goes on only once somebody has acted. */
export function waitsForSomebody({ problem }: { readonly problem: string | null }): boolean {
  return problem?.startsWith(WAITS) ?? false
}
