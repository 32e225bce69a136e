import type { Server } from '../catalog/catalog.js'
import type { Session } from '../connection/session.js'

/**
 * Switches the session to the roles that a trigger of its account runs with, whatever is active now: on MariaDB (10.11)
 * none, not even default roles; on MySQL (9.7) the default roles, without mandatory ones and those that
 * activate_all_roles_on_login adds. Measured: a trigger created through another role fails every write with 1142.
 */
export async function actAsDefiner(session: Session, server: Server): Promise<void> {
  if (server.vendor === 'mariadb') return void (await session.run('SET ROLE NONE'))
  if (Number.parseInt(server.version, 10) >= 8) await session.run('SET ROLE DEFAULT')
}
