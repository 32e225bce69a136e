/** The bytes of the character beyond ASCII that begins here; 0 if it is not well-formed: https://www.unicode.org/versions/Unicode16.0.0/core-spec/chapter-3/#G27506 */
export function characterWidth(from: Uint8Array, at: number, end: number): 0 | 2 | 3 | 4 {
  const first = from[at] ?? 0
  if (first < 0xc2 || first > 0xf4) return 0
  const width = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
  if (at + width > end || !isSecond(first, from[at + 1] ?? 0)) return 0
  for (let next = at + 2; next < at + width; next++) if (((from[next] ?? 0) & 0xc0) !== 0x80) return 0
  return width
}

/** Neither longer than needed, nor half a surrogate pair, nor beyond U+10FFFF. */
function isSecond(first: number, second: number): boolean {
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  return second >= least && second <= most
}
