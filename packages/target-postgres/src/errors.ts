import { BatchRefused, ConstraintViolated, SyncError } from '@mylab-sync/core'
import pg from 'pg'

const LOST = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNREFUSED', '57P01', '57P02', '57P03', '08006', '08003', '08001', '25P03'])
const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', '28P01', '28000', '3D000', '53300', '57P03'])

export function sqlState(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** A row that PostgreSQL cannot hold as it is. */
export function isRowRefusal(error: unknown): error is pg.DatabaseError {
  const code = sqlState(error)
  return error instanceof pg.DatabaseError && (code.startsWith('22') || code.startsWith('54') || code === '23502')
}

export function connectError(error: unknown, place: string): SyncError {
  const code = sqlState(error)
  if (UNREACHABLE.has(code) || code === '') {
    return new SyncError('cannot-connect', `target ${place}: cannot connect${code === '' ? '' : ` (${code})`}`, {
      remedy: 'check PGSQL_HOST, PGSQL_PORT, PGSQL_DATABASE, PGSQL_USERNAME and PGSQL_PASSWORD, and that the server runs',
      cause: error,
    })
  }
  return new SyncError('internal', `target ${place}: ${code}`, { cause: error })
}

/** A driver's error as one of ours, by its SQLSTATE; the driver's own text quotes row data and stays in `cause`. */
export function mapped(error: unknown): Error {
  if (error instanceof SyncError || error instanceof ConstraintViolated || error instanceof BatchRefused) return error
  const code = sqlState(error)
  const fields = error instanceof pg.DatabaseError ? error : undefined
  const place = [fields?.table && `table ${fields.table}`, fields?.column && `column ${fields.column}`, fields?.constraint && `constraint ${fields.constraint}`]
  const where = place.filter(Boolean).join(', ')
  if (code === '55P03' || code === '57014' || code === '40P01') return new SyncError('lock-timeout', `target: a lock was not got in time (${code}) ${where}`.trim(), { cause: error })
  if (code === '42501' || code === '25006') return new SyncError('missing-right', `target: a right is missing or the database is read-only (${code}) ${where}`.trim(), { remedy: 'grant the user CREATE and write access, or name another target', cause: error })
  if (code === '42P01' || code === '3F000') return new SyncError('not-migrated', `target: a table of ours is missing (${code})`, { remedy: 'mylab-sync migrate', cause: error })
  if (fields?.table && fields.constraint && ['23503', '23505', '23514', '23P01'].includes(code)) {
    return new ConstraintViolated(fields.table, fields.constraint, code === '23503' ? 'foreign-key' : code === '23514' ? 'check' : 'unique')
  }
  if (LOST.has(code) || !fields) return new SyncError('lost-connection', `target: the connection was lost${code === '' ? '' : ` (${code})`}`, { cause: error })
  return new SyncError('internal', `target: SQLSTATE ${code} ${where}`.trim(), { cause: error })
}
