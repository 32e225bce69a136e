import type { Server } from './catalog/catalog.js'
import type { SessionPool } from './connection/pool.js'
import type { SourceSettings } from './settings.js'
import type { DefinitionWatch } from './snapshot/definitions.js'

/** What every part of the source shares. */
export interface SourceContext {
  readonly pool: SessionPool
  readonly settings: SourceSettings
  readonly server: Server
  readonly watch: DefinitionWatch
}
