import assert from 'node:assert/strict'
import type { ServerSet } from '@mylab-sync/testkit'
import { Cli, type Finished } from './processes.js'

/** Two fresh databases of one name and the CLI between them, as a user has them; `await using` ends and closes all of it. */
export interface CliInstallation extends AsyncDisposable {
  /** The application's connection. */
  readonly app: Awaited<ReturnType<ServerSet['sourceAdmin']>>
  /** The user's connection to the target, as the owner of its database. */
  readonly reader: Awaited<ReturnType<ServerSet['targetOwner']>>
  readonly mylab: Cli
  readonly env: Readonly<Record<string, string>>
  run(...args: string[]): Promise<Finished>
}

export interface CliSettings {
  /** SQL that sets up the source's database. */
  readonly schema?: string
  /** Copies all of it before a test begins. */
  readonly copied?: boolean
  /** Besides the addresses of both databases. */
  readonly env?: Readonly<Record<string, string>>
}

export async function createCliInstallation(
  servers: ServerSet,
  name: string,
  settings: CliSettings = {},
): Promise<CliInstallation> {
  await servers.createDatabases({ source: name, target: name })
  const app = await servers.sourceAdmin(name)
  const reader = await servers.targetOwner(name)
  const env = { ...servers.environment({ source: name, target: name, redis: false }), ...settings.env }
  const mylab = new Cli(env)
  const installation: CliInstallation = {
    app,
    reader,
    mylab,
    env,
    run: (...args) => mylab.run(args),
    async [Symbol.asyncDispose]() {
      await mylab.close()
      await reader.end()
      await app.end()
    },
  }
  try {
    if (settings.schema !== undefined) await app.query(settings.schema)
    if (settings.copied) {
      const copied = await installation.run('initial', '--create-tables')
      assert.equal(copied.code, 0, copied.err)
    }
  } catch (error) {
    await installation[Symbol.asyncDispose]()
    throw error
  }
  return installation
}
