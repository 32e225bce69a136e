import type { Server } from '../catalog/catalog.js'
import type { Session } from '../connection/session.js'

/**
 * Gives the session the rights that a trigger of its account runs with, whatever roles are active now: on MariaDB (10.11)
 * those of no role, default ones included; on MySQL (9.7) those of default roles, and neither mandatory ones nor what
 * activate_all_roles_on_login adds. Measured: a trigger that was made by another role fails every write with 1142.
 */
export async function actAsDefiner(session: Session, server: Server): Promise<void> {
  if (server.vendor === 'mariadb') return void (await session.run('SET ROLE NONE'))
  if (Number.parseInt(server.version, 10) >= 8) await session.run('SET ROLE DEFAULT')
}
