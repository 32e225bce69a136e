export interface AddedVariables {
  readonly text: string
  readonly added: readonly string[]
  /** Already present with another value, which was kept. */
  readonly kept: readonly string[]
  /** The value cannot be expressed in `.env`. */
  readonly impossible: readonly string[]
}

/** Adds these variables to the text of `.env`. Keeps existing ones unless `replace`, and all other lines unchanged. */
export function addVariables(
  text: string,
  variables: Readonly<Record<string, string>>,
  options: { readonly replace: boolean },
): AddedVariables {
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n')
  const outcome = { added: [] as string[], kept: [] as string[], impossible: [] as string[] }
  for (const [name, value] of Object.entries(variables)) {
    const quoted = quotedValue(value)
    if (quoted === null) {
      outcome.impossible.push(name)
      continue
    }
    const line = `${name}=${quoted}`
    const at = lines.findIndex((each) => new RegExp(`^\\s*(export\\s+)?${name}\\s*=`).test(each))
    if (at === -1) lines.push(line)
    else if (options.replace) lines[at] = line
    else if (![line, `${name}=${value}`, `${name}='${value}'`].includes(lines[at]?.trim() ?? '')) {
      outcome.kept.push(name)
      continue
    } else continue
    outcome.added.push(name)
  }
  return { ...outcome, text: lines.length === 0 ? '' : `${lines.join('\n')}\n` }
}

/** `.env` has no escapes, so the quotes must be ones that the value does not contain. */
function quotedValue(value: string): string | null {
  if (/[\n\r]/.test(value)) return null
  if (!value.includes('"')) return `"${value}"`
  return /'|\s#/.test(value) ? null : `'${value}'`
}
