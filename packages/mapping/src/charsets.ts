import iconv from 'iconv-lite'
import { wellFormed } from './well-formed.js'

/** Bytes of a column's character set <-> text. */
export interface Charset {
  decode(bytes: Buffer): string
  encode(text: string): Buffer
}

const UTF8: Charset = { decode: (bytes) => wellFormed(bytes).toString('utf8'), encode: (text) => Buffer.from(text) }

/** UTF-8 without these characters, which encode to a question mark, as on the server. */
function without(characters: RegExp): Charset {
  return { decode: UTF8.decode, encode: (text) => Buffer.from(text.replace(characters, '?')) }
}

const ASCII = without(/[^\0-\x7f]/gu)
const UTF8MB3 = without(/[\u{10000}-\u{10ffff}]/gu)

/** iconv-lite's names of the server's character sets. */
const NAMES: Readonly<Record<string, string>> = {
  latin1: 'windows1252',
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

const controls = (first: number, last: number): readonly [number, string] => [
  first,
  String.fromCharCode(...Array.from({ length: last - first + 1 }, (_, at) => first + at)),
]

/** Bytes that the server's 8-bit sets decode otherwise than iconv-lite's: characters from a byte on (measured: `charsets.test.ts`). */
const BYTES: Readonly<Record<string, readonly (readonly [byte: number, characters: string])[]>> = {
  latin1: [0x81, 0x8d, 0x8f, 0x90, 0x9d].map((byte) => controls(byte, byte)),
  greek: [[0xa1, '\u02bd\u02bc']],
  hebrew: [[0xaf, '\u203e']],
  macroman: [
    [0xbd, '\u03a9'],
    [0xdb, '\u20ac'],
    [0xf0, '\uf8ff'],
  ],
  koi8u: [[0x95, '\u2022']],
  armscii8: [
    [0xa1, '\u2741\u00a7'],
    [0xad, '\u055f'],
    [0xfe, "\u2019'"],
  ],
  cp866: [[0xfc, '\u207f\u00b2']],
  tis620: [controls(0x80, 0x9f)],
}

const JIS: readonly (readonly [string, string])[] = [
  ['\u301c', '\uff5e'],
  ['\u2016', '\u2225'],
  ['\u2212', '\uff0d'],
  ['\u00a2', '\uffe0'],
  ['\u00a3', '\uffe1'],
  ['\u00ac', '\uffe2'],
]

/** Pairs: iconv-lite's character and the one that the server uses instead. */
const CHARACTERS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  sjis: JIS,
  ujis: JIS,
  gb2312: [
    ['\u30fb', '\u00b7'],
    ['\u2015', '\u2014'],
  ],
}

const known = new Map<string, Charset | null>()

/** A character set of the source; null if it cannot be decoded here. */
export function charsetOf(name: string | null): Charset | null {
  if (name === null) return null
  const found = known.get(name)
  if (found !== undefined) return found
  const made = makeCharset(name.toLowerCase())
  known.set(name, made)
  return made
}

function makeCharset(name: string): Charset | null {
  if (name === 'ascii') return ASCII
  if (name.startsWith('utf8')) return name === 'utf8mb4' ? UTF8 : UTF8MB3
  const encoding = NAMES[name]
  if (encoding === undefined || !iconv.encodingExists(encoding)) return null
  const bytes = BYTES[name]
  if (bytes) return singleByte(encoding, bytes)
  const pairs = CHARACTERS[name]
  const corrected = pairs ? swapped(pairs) : (text: string): string => text
  const plain = { stripBOM: false }
  return {
    decode: (value) => corrected(iconv.decode(value, encoding, plain)),
    encode: (text) => iconv.encode(corrected(text), encoding, { addBOM: false }),
  }
}

function singleByte(encoding: string, exceptions: readonly (readonly [byte: number, characters: string])[]): Charset {
  const decoded = iconv.decode(Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), encoding)
  const table = Array.from(decoded)
  for (const [first, characters] of exceptions)
    for (const [at, character] of Array.from(characters).entries()) table[first + at] = character
  const codes = new Map<string, number>()
  // If two bytes decode to one character, the server encodes it as the first.
  for (const [byte, character] of table.entries()) if (!codes.has(character)) codes.set(character, byte)
  return {
    decode: (value) => Array.from(value, (byte) => table[byte] ?? '\ufffd').join(''),
    encode: (text) => Buffer.from(Array.from(text, (character) => codes.get(character) ?? 0x3f)),
  }
}

/** Swaps the two characters of each pair. */
function swapped(pairs: readonly (readonly [string, string])[]): (text: string) => string {
  const other = new Map(pairs.flatMap(([a, b]) => [[a, b], [b, a]])) // biome-ignore format: both ways
  return (text) => Array.from(text, (character) => other.get(character) ?? character).join('')
}
