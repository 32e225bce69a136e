import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'

// The watchdog reads process ids from its starter and acts when the pipe closes, which no way of dying can prevent.
// It kills a process only if that still works below our folder: the process id may have been reused.
// It lists children before the kill, since PostgreSQL's sessions lose their parent by it.
const SCRIPT = `
trap '' INT TERM HUP
folder=$1
watched=
while read -r pid; do watched="$watched $pid"; done
for pid in $watched; do
  case "$(readlink "/proc/$pid/cwd")" in
    "$folder"/*)
      children=$(cat "/proc/$pid/task/$pid/children")
      kill -KILL "$pid" $children ;;
  esac
done
tries=0
until rm -rf "$folder" || [ $tries -ge 50 ]; do tries=$((tries + 1)); sleep 0.1; done
`

/**
 * A separate process that kills a set's servers and removes their folder as soon as their starter ends: by exit or by any
 * signal, even SIGKILL. It keeps no process from exiting.
 */
export class Watchdog {
  readonly #process: ChildProcess
  readonly #exited: Promise<void>

  constructor(folder: string) {
    // A separate session: Ctrl-C at the terminal only reaches its starter, which may stop in order.
    this.#process = spawn('/bin/sh', ['-c', SCRIPT, 'watchdog', folder], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    this.#exited = new Promise((resolve) => {
      this.#process.once('exit', () => resolve())
      this.#process.once('error', () => resolve())
    })
    this.#process.unref()
    const pipe = this.#process.stdin
    pipe?.on('error', () => {})
    if (pipe instanceof Socket) pipe.unref()
  }

  watch(pid: number): void {
    this.#process.stdin?.write(`${pid}\n`)
  }

  /** Kills the processes that it still watches, removes the folder, and returns when both are done. */
  async release(): Promise<void> {
    this.#process.ref()
    this.#process.stdin?.end()
    await this.#exited
  }
}
