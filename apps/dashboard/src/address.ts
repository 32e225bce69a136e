import { isLoopback, placeText, SyncError } from '@mylab-sync/core'

/** The page shows table names and lets its viewers act on tables, so beyond this machine it requires a password. */
export function requireSafeAddress(host: string, password: string | null): void {
  if (password !== null || isLoopback(host)) return
  throw new SyncError(
    'configuration',
    `dashboard: --host ${host} is reachable from other machines and no password is set: set SYNC_DASHBOARD_PASSWORD or SYNC_DASHBOARD_PASSWORD_FILE, or leave --host out`,
  )
}

export function urlOf(
  scheme: 'http' | 'https',
  { host, port }: { readonly host: string; readonly port: number },
): string {
  return `${scheme}://${placeText(host, port)}/`
}
