import iconv from 'iconv-lite'

/** Bytes of a column's character set <-> text. */
export interface Charset {
  decode(bytes: Buffer): string
  encode(text: string): Buffer
}

const UTF8: Charset = { decode: (bytes) => bytes.toString('utf8'), encode: (text) => Buffer.from(text) }

/** iconv-lite's names of the server's character sets. */
const NAMES: Readonly<Record<string, string>> = {
  latin2: 'iso88592',
  latin5: 'iso88599',
  latin7: 'iso885913',
  greek: 'iso88597',
  hebrew: 'iso88598',
  macce: 'maccenteuro',
  macroman: 'macroman',
  ujis: 'eucjp',
  eucjpms: 'eucjp',
  ucs2: 'utf16be',
  utf16: 'utf16be',
  utf16le: 'utf16le',
  utf32: 'utf32be',
  koi8r: 'koi8r',
  koi8u: 'koi8u',
  armscii8: 'armscii8',
  big5: 'big5',
  cp1250: 'cp1250',
  cp1251: 'cp1251',
  cp1256: 'cp1256',
  cp1257: 'cp1257',
  cp850: 'cp850',
  cp852: 'cp852',
  cp866: 'cp866',
  cp932: 'cp932',
  sjis: 'sjis',
  euckr: 'euckr',
  gb2312: 'gb2312',
  gbk: 'gbk',
  gb18030: 'gb18030',
  tis620: 'tis620',
}

const known = new Map<string, Charset | null>()

/** A character set of the source; null: none that can be decoded here. */
export function charsetOf(name: string | null): Charset | null {
  if (name === null) return null
  const found = known.get(name)
  if (found !== undefined) return found
  const made = makeCharset(name.toLowerCase())
  known.set(name, made)
  return made
}

function makeCharset(name: string): Charset | null {
  if (name.startsWith('utf8') || name === 'ascii') return UTF8
  if (name === 'latin1') return latin1()
  const encoding = NAMES[name]
  if (encoding === undefined || !iconv.encodingExists(encoding)) return null
  const plain = { stripBOM: false }
  return {
    decode: (bytes) => iconv.decode(bytes, encoding, plain),
    encode: (text) => iconv.encode(text, encoding, { addBOM: false }),
  }
}

/** The server's latin1 is windows-1252 with C1 controls where that has no character. */
function latin1(): Charset {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  const decoded = iconv.decode(bytes, 'windows1252')
  const table = Array.from({ length: 256 }, (_, byte) => {
    const character = decoded[byte] ?? '\ufffd'
    return character === '\ufffd' ? String.fromCharCode(byte) : character
  })
  const codes = new Map(table.map((character, byte) => [character, byte]))
  return {
    decode: (value) => Array.from(value, (byte) => table[byte] ?? '\ufffd').join(''),
    encode: (text) => Buffer.from(Array.from(text, (character) => codes.get(character) ?? 0x3f)),
  }
}
