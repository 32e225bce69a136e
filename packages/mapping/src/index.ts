/**
 * The rules of TYPES: how tables, columns, values, keys and schema objects of the source map to the target. Performs no I/O.
 */
export { mapTables } from './tables.js'
export { leftBehind } from './left-behind.js'
export { isKeyOf } from './key-form.js'
export { keyText } from './key-text.js'
export { keyMapping } from './keys.js'
export { type EdgeGraph, edges } from './edges.js'
export { type ObjectsContext, tableObjects } from './objects.js'
export { RelationNames } from './relation-names.js'
export { type ValueOutcome, valueOutcomes } from './sanitising.js'
export { type NameStyle, quotePg, quoteText, targetName } from './names.js'
export {
  type ColumnOption,
  type ColumnRules,
  columnRules,
  defaultMappingOptions,
  type MappingOptions,
  typeName,
} from './options.js'
