import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'

export interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export async function run(
  command: string,
  args: readonly string[],
  options: { readonly env?: Record<string, string | undefined>; readonly cwd?: string } = {},
): Promise<Outcome> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { code: code as number | null, out, err }
}

export function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

export const ROOT = new URL('../../../', import.meta.url).pathname
export const CLI = join(ROOT, 'apps/cli/bin/mylab-sync.js')

export function cli(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  return run(process.execPath, [CLI, ...args], { env: { ...process.env, ...env } })
}
