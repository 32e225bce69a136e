const MANTISSA_BITS = 52n
const EXPONENT_BIAS = 1075

/** The 16 hexadecimal digits by which a key names a double, little-endian; -0 has those of 0, since the source treats them as one key. */
export function bitsOfDouble(value: number): string {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(value === 0 ? 0 : value)
  return bytes.toString('hex').toUpperCase()
}

/** The double that 16 hexadecimal digits name. */
export function doubleOfBits(bits: string): number {
  return Buffer.from(bits, 'hex').readDoubleLE()
}

/**
 * A number as the source shows it with `digits` digits after the point: its exact value, halves to the even digit
 * (measured on MariaDB 10.11, 11.8 and MySQL 9.7: a FLOAT(9,2) of 1234567.625 is shown as 1234567.62). JavaScript's toFixed rounds
 * halves away from zero. -0.00 becomes 0.00, as in keys.
 */
export function shownText(value: number, digits: number): string {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(Math.abs(value))
  const bits = bytes.readBigUInt64BE()
  const exponent = Number(bits >> MANTISSA_BITS)
  const mantissa = (bits & ((1n << MANTISSA_BITS) - 1n)) | (exponent === 0 ? 0n : 1n << MANTISSA_BITS)
  const shift = Math.max(exponent, 1) - EXPONENT_BIAS
  const scaled = mantissa * 10n ** BigInt(digits)
  const rounded = shift >= 0 ? scaled << BigInt(shift) : halfToEven(scaled, BigInt(-shift))
  return decimalText(value < 0 ? -rounded : rounded, digits)
}

/** value / 2^shift. */
function halfToEven(value: bigint, shift: bigint): bigint {
  const whole = value >> shift
  const rest = value - (whole << shift)
  const half = 1n << (shift - 1n)
  return rest > half || (rest === half && (whole & 1n) === 1n) ? whole + 1n : whole
}

/** `units`, counted in the last of `digits` digits after the point. */
function decimalText(units: bigint, digits: number): string {
  const text = (units < 0n ? -units : units).toString().padStart(digits + 1, '0')
  const sign = units < 0n ? '-' : ''
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`
}
