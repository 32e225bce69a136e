import { ServerSet, type ServerSetOptions } from './servers/server-set.js'

let closers: (() => unknown)[] | undefined

/**
 * Shares a resource among all tests of a file and ends it after the last one, in reverse order of sharing. Call it at the top
 * level of the file, where `await using` would end the resource before the first test begins.
 */
export async function shared<T extends AsyncDisposable>(resource: T | Promise<T>): Promise<T>
export async function shared<T>(resource: T | Promise<T>, end: (resource: T) => unknown): Promise<T>
export async function shared<T>(
  resource: T | Promise<T>,
  end = (value: T): unknown => (value as AsyncDisposable)[Symbol.asyncDispose](),
): Promise<T> {
  if (closers === undefined) {
    const open: (() => unknown)[] = (closers = [])
    // Not imported at the top: the demo uses this package too, without a test runner.
    const { after } = await import('node:test')
    after(async () => {
      for (const close of open.reverse()) await close()
    })
  }
  const value = await resource
  closers.push(() => end(value))
  return value
}

/** Starts the servers of a file's tests. */
export function sharedServers(options: ServerSetOptions = { services: ['mariadb', 'postgres'] }): Promise<ServerSet> {
  return shared(ServerSet.start(options))
}
