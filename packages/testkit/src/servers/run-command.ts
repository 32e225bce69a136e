import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Finished {
  readonly code: number | null
  /** Both output streams, in the order of arrival. */
  readonly output: string
}

export interface CommandOptions {
  readonly environment?: Record<string, string>
  readonly calledAs?: string
}

/** Runs a program until it exits, with any exit code, and with English messages. Rejects if it cannot be started. */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  const child = spawn(program, args, {
    argv0: options.calledAs ?? program,
    cwd: '/',
    env: { ...process.env, LC_ALL: 'C', LANGUAGE: 'C', DEBIAN_FRONTEND: 'noninteractive', ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()))
  await once(child, 'close')
  return { code: child.exitCode, output }
}

/** As runCommand, but throws an Error with the end of the output if the exit code is not 0. */
export async function mustRun(
  program: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<string> {
  const { code, output } = await runCommand(program, args, { environment })
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} failed (${code}):\n${output.slice(-2000)}`)
  return output
}
