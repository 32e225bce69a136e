/**
 * SQL: whether a role is neither ours, nor the database's owner, nor a superuser. Such a role can change and drop what it
 * owns, and add triggers to it, at any time.
 */
export function isStranger(role: string): string {
  return `(NOT pg_has_role(${role}, 'MEMBER') AND NOT EXISTS (SELECT FROM pg_roles o WHERE o.oid = ${role} AND o.rolsuper)
    AND NOT EXISTS (SELECT FROM pg_database d WHERE d.datname = current_database() AND d.datdba = ${role}))`
}
