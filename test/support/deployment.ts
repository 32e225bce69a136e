import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './run.js'

/** A command line of ours without the program's name, and the file that contains it. */
export interface CommandLine {
  readonly file: string
  readonly args: readonly string[]
}

export const readText = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

/** Paths, relative to the root, of all files below `folder` whose names end with `ends`. */
export function filesBelow(folder: string, ends: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ends))
    .map((name) => join(folder, name))
    .sort()
}

/** Reads units, supervisor programs and crontabs: the text after the program's path. */
export function programLines(files: readonly string[]): CommandLine[] {
  return files.flatMap((file) =>
    [...readText(file).matchAll(/^(?![#;]).*mylab-sync\.js +(.*?)(?: *(?:>|\||2>).*)?$/gm)].map(([, args = '']) => ({
      file,
      args: words(args),
    })),
  )
}

/** Reads the code of documents: every line that begins with the command, after `$`, `npx` or neither. */
export function documentLines(files: readonly string[]): CommandLine[] {
  return files.flatMap((file) =>
    [...readText(file).matchAll(/(?:^|`)(?:\$ )?(?:sudo -u mylab-sync )?(?:npx )?mylab-sync ([a-z][^`\n#|>]*)/gm)].map(
      ([, args = '']) => ({ file, args: words(args) }),
    ),
  )
}

/** Code blocks below a heading of a document that are marked `sql source` or `sql target`, in order. */
export function sqlBlocks(file: string, heading: string): { side: string; text: string }[] {
  const section =
    readText(file)
      .split(/^## /m)
      .find((part) => part.startsWith(`${heading}\n`)) ?? ''
  return [...section.matchAll(/^ *```sql (source|target)\n(.*?)^ *```$/gms)].map(([, side = '', text = '']) => ({
    side,
    text,
  }))
}

function words(line: string): string[] {
  return line.trim().split(/ +/)
}

interface ComposeService {
  readonly image?: string
  readonly command?: readonly string[]
  readonly healthcheck?: Record<string, unknown>
  readonly ports?: readonly string[]
  readonly [key: string]: unknown
}

export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>
}

interface Container {
  readonly args?: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly livenessProbe?: { readonly exec?: unknown; readonly httpGet?: { readonly path: string } }
  readonly securityContext?: Record<string, unknown>
  readonly volumeMounts?: readonly unknown[]
  readonly resources?: { readonly requests?: unknown; readonly limits?: unknown }
}

export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec?: {
    readonly template?: {
      readonly spec: {
        readonly containers: readonly Container[]
        readonly volumes?: readonly unknown[]
        readonly securityContext: Record<string, unknown>
      }
    }
  }
}
