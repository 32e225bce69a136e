import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import type { RowBlock } from '@mylab-sync/core'
import fc from 'fast-check'
import { createConnection } from 'mysql2'
import { RowBlocks } from './row-blocks.js'
import { onRowPackets } from './row-packets.js'

type Values = readonly (Buffer | null)[]

const LONGEST_PACKET = 0xffffff

/** A payload as packets: one of the greatest length is followed by another. */
function packets(first: number, payload: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0, number = first; ; number++) {
    const part = payload.subarray(at, at + LONGEST_PACKET)
    const head = Buffer.alloc(4)
    head.writeUIntLE(part.length, 0, 3)
    head[3] = number & 0xff
    parts.push(head, part)
    at += part.length
    if (part.length < LONGEST_PACKET) return Buffer.concat(parts)
  }
}

function encoded(value: Buffer | null): Buffer {
  if (value === null) return Buffer.from([0xfb])
  const { length } = value
  const head = Buffer.alloc(length < 0xfb ? 1 : length < 1 << 16 ? 3 : length < 1 << 24 ? 4 : 9)
  if (head.length === 1) head[0] = length
  else if (head.length < 9) head.writeUIntLE(length, 1, head.length - 1)
  else head.writeBigUInt64LE(BigInt(length), 1)
  if (head.length > 1) head[0] = head.length === 3 ? 0xfc : head.length === 4 ? 0xfd : 0xfe
  return Buffer.concat([head, value])
}

const GREETING = Buffer.concat([
  Buffer.from('\u000a8.0.30\0\u0001\0\0\0abcdefgh\0', 'latin1'),
  Buffer.from([0xff, 0xf7, 45, 2, 0, 0xff, 0x00, 21]),
  Buffer.from(`${'\0'.repeat(10)}ijklmnopqrst\0mysql_native_password\0`, 'latin1'),
])
const OK = Buffer.from([0, 0, 0, 2, 0, 0, 0])
const END = Buffer.from([0xfe, 0, 0, 2, 0])
const COLUMN = Buffer.concat([
  ...['def', '', '', '', 'v', ''].map((text) => encoded(Buffer.from(text))),
  Buffer.from([0x0c, 45, 0, 0xff, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0]),
])

function resultOf(rows: readonly Values[], columns: number): Buffer {
  const payloads = [
    Buffer.from([columns]),
    ...Array.from({ length: columns }, () => COLUMN),
    END,
    ...rows.map((values) => Buffer.concat(values.map(encoded))),
    END,
  ]
  let number = 1
  return Buffer.concat(
    payloads.map((payload) => {
      const sent = packets(number, payload)
      number += 1 + Math.floor(payload.length / LONGEST_PACKET)
      return sent
    }),
  )
}

/** A server of one result, sent in pieces of this size. */
async function serve(socket: Socket, result: Buffer, piece: number): Promise<void> {
  socket.on('error', () => {}).write(packets(0, GREETING))
  await once(socket, 'data')
  socket.write(packets(2, OK))
  await once(socket, 'data')
  for (let at = 0; at < result.length; at += piece) {
    socket.write(result.subarray(at, at + piece))
    // Otherwise the pieces would arrive as one.
    if (piece < 1000) await new Promise(setImmediate)
  }
}

function valuesOf({ bytes, bounds, rows, columns }: RowBlock): (string | null)[][] {
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (__, column) => {
      const at = 2 * (row * columns + column)
      return bounds[at] === -1 ? null : bytes.toString('latin1', bounds[at], bounds[at + 1])
    }),
  )
}

/** Rows as the installed driver receives them. */
async function received(rows: readonly Values[], columns: number, piece: number): Promise<(string | null)[][]> {
  const server = createServer((socket) => void serve(socket, resultOf(rows, columns), piece)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const connection = createConnection({ host: '127.0.0.1', port, user: 'u' })
  try {
    const blocks = new RowBlocks(columns, false)
    const command = connection.query({ sql: 'SELECT', rowsAsArray: true, typeCast: false })
    command.on('result', () => assert.fail('the driver made a row of a packet'))
    onRowPackets(command, (bytes, start, end) => blocks.add(bytes, start, end))
    await once(command, 'end')
    blocks.complete()
    const found: (string | null)[][] = []
    for (let block = blocks.take(); block !== undefined; block = blocks.take()) {
      found.push(...valuesOf(block))
      blocks.giveBack(block)
    }
    assert.equal(blocks.bytes, 0)
    return found
  } finally {
    connection.destroy()
    server.close()
  }
}

const textsOf = (rows: readonly Values[]): (string | null)[][] =>
  rows.map((values) => values.map((value) => value?.toString('latin1') ?? null))

test('the installed driver hands out the packets of rows, however they arrive', { timeout: 60_000 }, async () => {
  const length = fc.oneof(fc.nat(20), fc.constantFrom(250, 251, 252, 65_535, 65_536, 70_000))
  const value = fc.option(
    fc.tuple(length, fc.nat(255)).map(([size, byte]) => Buffer.alloc(size, byte)),
    { nil: null },
  )
  const columns = 3
  const rows = fc.array(fc.tuple(value, value, value), { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(rows, fc.constantFrom(7, 500, 1_460, 65_536), async (sent, size) => {
      const piece = size < 1000 && sent.some((row) => row.some((each) => (each?.length ?? 0) > 1000)) ? 1_460 : size
      assert.deepEqual(await received(sent, columns, piece), textsOf(sent))
    }),
    { numRuns: 40 },
  )
})

test('rows larger than a packet, and more rows than a block begins with, arrive whole', {
  timeout: 60_000,
}, async () => {
  const large = [[Buffer.alloc(17 << 20, 'x')], [null], [Buffer.alloc(LONGEST_PACKET - 4, 'y')], [Buffer.from('z')]]
  assert.deepEqual(await received(large, 1, 65_536), textsOf(large))
  const many = Array.from({ length: 30_000 }, (_, at) => [Buffer.from(String(at % 10))])
  assert.deepEqual(await received(many, 1, 65_536), textsOf(many))
})

test('a packet that is no row of so many columns is an error', () => {
  const blocks = new RowBlocks(2, true)
  const row = Buffer.concat([encoded(Buffer.from('k')), encoded(null)])
  assert.equal(blocks.add(row, 0, row.length), false)
  const refused = { code: 'internal' }
  assert.throws(() => blocks.add(row, 0, row.length - 1), refused)
  assert.throws(() => blocks.add(Buffer.from([1, 0x6b, 1, 0x6b, 0]), 0, 5), refused)
  assert.throws(() => blocks.add(Buffer.from([1, 0x6b, 0xff]), 0, 3), refused)
  assert.throws(() => blocks.add(Buffer.from([0xfb, 0]), 0, 2), { code: 'truncated-read' })
})
