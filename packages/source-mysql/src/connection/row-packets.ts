import { sourceError } from './errors.js'

interface RowPacket {
  readonly buffer: Buffer
  readonly offset: number
  readonly end: number
  isEOF(): boolean
}

/**
 * Hands out the rows of a query as their packets arrive: each one's payload, valid until the call returns. The driver has no option for that: it makes an array of Buffers of each row.
 * Its command calls a method `row` with each packet after the columns, the end of the rows among them, and goes on with the method
 * that the call returns. `row-packets.test.ts` fails if another version of the driver does otherwise. While `isWanted` returns false,
 * rows are handed out as usual.
 */
export function onRowPackets(
  command: object,
  onRow: (bytes: Buffer, start: number, end: number) => void,
  isWanted: () => boolean = () => true,
): void {
  const inherited: unknown = Reflect.get(command, 'row')
  if (typeof inherited !== 'function') throw sourceError('internal', 'the driver reads rows otherwise than expected')
  const row = (packet: RowPacket, connection: unknown): unknown => {
    if (packet.isEOF() || !isWanted()) return Reflect.apply(inherited, command, [packet, connection])
    onRow(packet.buffer, packet.offset, packet.end)
    return row
  }
  Reflect.set(command, 'row', row)
}
