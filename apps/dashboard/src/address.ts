import { placeText, SyncError } from '@mylab-sync/core'
import { isIP } from 'node:net'

/** An address of IPv4 may be written as one of IPv6. */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^::ffff:(?=\d+\.)/i, '')
  if (address === 'localhost' || /^(?:0{0,4}:){2,7}0{0,3}1$/.test(address)) return true
  return isIP(address) === 4 && address.startsWith('127.')
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
  return `http://${placeText(host, port)}/`
}
