/**
 * SQL: whether this role is nobody whom the administrators of the database have put there: neither ours, nor the database's
 * owner, nor a superuser. What it owns it can change, drop and give triggers at any time.
 */
export function isStranger(role: string): string {
  return `(NOT pg_has_role(${role}, 'MEMBER') AND NOT EXISTS (SELECT FROM pg_roles o WHERE o.oid = ${role} AND o.rolsuper)
    AND NOT EXISTS (SELECT FROM pg_database d WHERE d.datname = current_database() AND d.datdba = ${role}))`
}
