/** A double as the source prints it: up to 17 digits, exponents only beyond 15 places on either side of the point. */
export function doubleText(value: number): string {
  if (value === 0) return '0'
  const [mantissa = '0', exponentText = '0'] = Math.abs(value).toExponential().split('e')
  const digits = mantissa.replace('.', '')
  const exponent = Number(exponentText)
  const sign = value < 0 ? '-' : ''
  const point = exponent + 1
  if (point < -14 || point > 15) return `${sign}${mantissa}e${exponent}`
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (digits.length <= point) return sign + digits.padEnd(point, '0')
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}
