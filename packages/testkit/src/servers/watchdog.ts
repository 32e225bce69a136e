import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'

// It reads what to watch from its starter and acts when the pipe closes, which no way of dying can prevent.
// A process is killed only if it still works below our folder: its number may have gone to somebody else's.
// Children are asked for before the kill: PostgreSQL's sessions are nobody's children afterwards.
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
 * A process of its own that kills the servers of a set and removes their folder as soon as the process that started
 * them is gone: by exit, by any signal, SIGKILL included. It keeps nobody from exiting.
 */
export class Watchdog {
  readonly #process: ChildProcess
  readonly #exited: Promise<void>

  constructor(folder: string) {
    // Its own session: a Ctrl-C at the terminal is for its starter, which may want to stop in good order.
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

  /** Kills what it still watches, removes the folder, and returns when both are done. */
  async release(): Promise<void> {
    this.#process.ref()
    this.#process.stdin?.end()
    await this.#exited
  }
}
