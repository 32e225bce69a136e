import type { BlockStream, TableMapping, TargetRow, TargetTransaction } from '@mylab-sync/core'
import { BlockEncoder } from './copy/block-encoder.js'
import { COPY_BYTES } from './copy/copy-buffer.js'
import { copyPieces } from './copy/copy-text.js'
import { Transaction } from './transaction.js'

/** The texts of a query's values, as seen by this transaction: for comparisons that share no code with the product. */
export async function textsOf(transaction: TargetTransaction, query: string): Promise<(string | null)[][]> {
  if (!(transaction instanceof Transaction)) throw new TypeError('not a transaction of this package')
  const result = await transaction.session.client.query<(string | null)[]>({ text: query, rowMode: 'array' })
  return result.rows
}

/** COPY's text of converted rows. */
export function copyTextOf(rows: readonly TargetRow[]): Buffer {
  return Buffer.concat([...copyPieces(rows, COPY_BYTES)])
}

/** COPY's text of undecoded rows, sent in pieces that are overwritten afterwards. */
export async function blockTextOf(table: TableMapping, stream: BlockStream): Promise<{ text: Buffer; rows: number }> {
  const encoder = new BlockEncoder(table, stream)
  const pieces: Buffer[] = []
  const send = async (data: Buffer): Promise<boolean> => {
    pieces.push(Buffer.from(data))
    return true
  }
  for await (const block of stream.blocks) await encoder.encode(block, send)
  await encoder.flush(send)
  return { text: Buffer.concat(pieces), rows: encoder.rows }
}
