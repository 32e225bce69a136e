import { ServerSet, type ServerSetOptions } from './servers/server-set.js'

let closers: (() => unknown)[] | undefined

/**
 * What all tests of a file share, and what ends with its last one: the last that was shared first. To be called at the top level of the
 * file, where `await using` would end it before the first test begins.
 */
export async function shared<T extends AsyncDisposable>(resource: T | Promise<T>): Promise<T>
export async function shared<T>(resource: T | Promise<T>, end: (resource: T) => unknown): Promise<T>
export async function shared<T>(
  resource: T | Promise<T>,
  end = (value: T): unknown => (value as AsyncDisposable)[Symbol.asyncDispose](),
): Promise<T> {
  if (closers === undefined) {
    const open: (() => unknown)[] = (closers = [])
    // Not imported at the top: the demo stands on this package too, and has no test runner.
    const { after } = await import('node:test')
    after(async () => {
      for (const close of open.reverse()) await close()
    })
  }
  const value = await resource
  closers.push(() => end(value))
  return value
}

/** The servers of a file's tests. */
export function sharedServers(options: ServerSetOptions = { services: ['mariadb', 'postgres'] }): Promise<ServerSet> {
  return shared(ServerSet.start(options))
}
