import type { Env } from './environment.js'
import { fault } from './fault.js'
import { oneOf } from './one-of.js'

export const REPAIRS = ['report', 'auto'] as const

export interface VerifySettings {
  /** Share of the time that verification by itself works, 0 to 1; 0: it does not. */
  readonly share: number
  /** `auto`: rows that it finds to differ are repaired at once. */
  readonly repair: (typeof REPAIRS)[number]
}

const DEFAULT_SHARE = 0.01

export const SHARE_EXPECTED = 'a percentage such as 1%, a fraction such as 0.01, or 0 to turn it off'

/** Parses a share of the time; undefined if it is none. Refuses a bare 1, which people mean as a percentage and a fraction. */
export function shareOf(given: unknown): number | undefined {
  const [, digits, sign] = /^(\d+(?:\.\d+)?|\.\d+)\s*(%?)$/.exec(String(given).trim()) ?? []
  if (digits === undefined || (typeof given !== 'string' && typeof given !== 'number')) return undefined
  const share = Number(digits) / (sign === '%' ? 100 : 1)
  return share < 1 || (share === 1 && sign === '%') ? share : undefined
}

export function verifyOf(
  file: { readonly background?: unknown; readonly repair?: VerifySettings['repair'] | undefined } | undefined,
  env: Env,
): VerifySettings {
  const background = env['SYNC_VERIFY_BACKGROUND']
  const share = background === undefined ? shareOf(file?.background ?? DEFAULT_SHARE) : shareOf(background)
  if (share === undefined)
    throw fault(`environment: SYNC_VERIFY_BACKGROUND: found ${background}, expected ${SHARE_EXPECTED}`)
  return { share, repair: oneOf(env['SYNC_VERIFY_REPAIR'], 'SYNC_VERIFY_REPAIR', REPAIRS) ?? file?.repair ?? 'report' }
}
