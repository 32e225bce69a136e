import { SyncError } from '@mylab-sync/core'
import { isIP, isIPv6 } from 'node:net'

export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true
  return isIP(host) === 4 && host.startsWith('127.')
}

/** Whoever reaches the page sees names of tables and may pause them: beyond this machine that takes a password. */
export function requireSafeAddress(host: string, password: string | null): void {
  if (password !== null || isLoopback(host)) return
  throw new SyncError(
    'configuration',
    `dashboard: --host ${host} is reachable from other machines and no password is set: set SYNC_DASHBOARD_PASSWORD or SYNC_DASHBOARD_PASSWORD_FILE, or leave --host out`,
  )
}

export function urlOf(host: string, port: number): string {
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}/`
}
