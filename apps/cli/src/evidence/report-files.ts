import { access, link, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { SyncError } from '@mylab-sync/core'
import { reportText, type SealedReport } from '@mylab-sync/engine'
import { reportPage } from './report-page.js'

/** Where a report is written: the JSON, and beside it a page that shows the same. */
export interface ReportPlace {
  readonly file: string
  readonly page: string
  readonly overwrite: boolean
}

/** Throws SyncError usage before any work if the report could not be written there. */
export async function reportPlace(file: string, overwrite: boolean): Promise<ReportPlace> {
  const place = { file, page: pageOf(file), overwrite }
  const folder = dirname(file)
  const found = await orAbsent(stat(folder)).catch((cause: unknown) => {
    throw new SyncError('usage', `--report: ${folder} cannot be read (${codeOf(cause)})`, { cause })
  })
  if (!found?.isDirectory()) throw new SyncError('usage', `--report: there is no directory ${folder}`)
  for (const each of [place.file, place.page]) if (!overwrite && (await exists(each))) throw taken(each)
  return place
}

function pageOf(file: string): string {
  return `${file.replace(/\.json$/i, '')}.html`
}

function taken(file: string, cause?: unknown): SyncError {
  const remedy = 'name another file; --yes overwrites it, and breaks the chain if it is an earlier report'
  return new SyncError('usage', `--report: ${file} exists already`, { remedy, cause })
}

/** Writes both files: each is there as a whole and on disk, or not at all. */
export async function keepReport({ file, page, overwrite }: ReportPlace, report: SealedReport): Promise<void> {
  await keep(page, reportPage(report), overwrite)
  await keep(file, reportText(report), overwrite)
}

async function keep(path: string, text: string, overwrite: boolean): Promise<void> {
  const folder = dirname(path)
  const part = join(folder, `.${basename(path)}.${process.pid}.part`)
  try {
    await onDisk(part, 'w', (file) => file.writeFile(text))
    // A link refuses to replace a file that has appeared since; some file systems have none.
    if (overwrite || !(await linked(part, path))) await rename(part, path)
    await onDisk(folder, 'r', async () => {})
  } catch (error) {
    if (error instanceof SyncError) throw error
    throw new SyncError('usage', `--report: ${path} cannot be written (${codeOf(error)})`, { cause: error })
  } finally {
    await rm(part, { force: true })
  }
}

type OpenFile = Awaited<ReturnType<typeof open>>

async function onDisk(path: string, flags: string, work: (file: OpenFile) => Promise<void>): Promise<void> {
  const file = await open(path, flags)
  try {
    await work(file)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Returns false if the file system has no links. */
async function linked(part: string, path: string): Promise<boolean> {
  try {
    await link(part, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw taken(path, error)
    if (await exists(path)) throw taken(path, error)
    return false
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}

/** Reads the files of a chain. Throws SyncError usage if one cannot be read. */
export async function readReports(
  files: readonly string[],
): Promise<{ readonly file: string; readonly text: string }[]> {
  return await Promise.all(
    files.map(async (file) => {
      try {
        return { file, text: await readFile(file, 'utf8') }
      } catch (cause) {
        throw new SyncError('usage', `--check-report: ${file} cannot be read (${codeOf(cause)})`, { cause })
      }
    }),
  )
}

/** The page beside a report; null: there is none. Throws SyncError usage if it cannot be read. */
export async function readPage(file: string): Promise<string | null> {
  const page = pageOf(file)
  return await orAbsent(readFile(page, 'utf8')).catch((cause: unknown) => {
    throw new SyncError('usage', `--check-report: ${page} cannot be read (${codeOf(cause)})`, { cause })
  })
}

/** Returns null if the file or its folder does not exist. */
async function orAbsent<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null
    throw error
  }
}
