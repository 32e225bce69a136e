import type { Source } from '@mylab-sync/core'
import { MysqlCapture } from './capture/capture.js'
import { MysqlChangeLog } from './capture/change-log.js'
import { MysqlWrites } from './capture/writes.js'
import { readServer } from './catalog/catalog.js'
import { MysqlCatalog } from './catalog/catalog-reader.js'
import { SessionPool } from './connection/pool.js'
import { MysqlAdmin } from './ddl/admin.js'
import type { SourceSettings } from './settings.js'
import { DefinitionWatch } from './snapshot/definitions.js'
import { openSnapshot } from './snapshot/snapshot.js'

/** Connects once, so that a wrong address or password fails at the start. */
export async function createSource(given: SourceSettings): Promise<Source> {
  const pool = new SessionPool(given)
  const { server, database } = await pool.with(async (session) => {
    // Where the server folds names to lower case, another spelling connects but matches no name in the storage's views.
    const [row] = await session.rows('SELECT DATABASE()')
    return { server: await readServer(session), database: row?.[0] ?? given.database }
  })
  const settings = { ...given, database }
  const context = { pool, settings, server, watch: new DefinitionWatch(settings, server) }
  return {
    catalog: new MysqlCatalog(context),
    capture: new MysqlCapture(context),
    log: new MysqlChangeLog(context),
    writes: new MysqlWrites(context),
    admin: new MysqlAdmin(context),
    openSnapshot: () => openSnapshot(context),
    close: () => pool.close(),
  }
}
