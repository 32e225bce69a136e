import { type DashboardOptions, runDashboard } from '@mylab-sync/dashboard'
import type { EngineContext } from '@mylab-sync/engine'
import type { ServerSet } from '@mylab-sync/testkit'
import { connect, OPTIONS } from './connect.js'

export async function contextOf(servers: ServerSet, name: string): Promise<EngineContext> {
  return { ...(await connect(servers, name)), options: OPTIONS }
}

export async function closeContext({ source, target }: EngineContext): Promise<void> {
  await source.close()
  await target.close()
}

export interface RunningDashboard extends AsyncDisposable {
  readonly url: string
}

/** Starts the dashboard on a free loopback port, over the databases of this name. */
export async function startDashboard(
  servers: ServerSet,
  name: string,
  options: Partial<DashboardOptions> = {},
): Promise<RunningDashboard> {
  const ended = new AbortController()
  let onListening = (_url: string): void => {}
  const listening = new Promise<string>((resolve) => (onListening = resolve))
  const running = runDashboard(
    {
      host: '127.0.0.1',
      port: 0,
      user: 'admin',
      password: null,
      mode: 'direct',
      title: `${name} → ${name}`,
      open: async () => {
        const context = await contextOf(servers, name)
        return { context, close: () => closeContext(context) }
      },
      ...options,
      onListening,
    },
    ended.signal,
  )
  const url = await Promise.race([listening, running.then(() => Promise.reject(new Error('it ended')))])
  return {
    url,
    async [Symbol.asyncDispose]() {
      ended.abort()
      await running
    },
  }
}
