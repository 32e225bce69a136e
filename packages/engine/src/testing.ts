/** The conversion of rows, for comparisons with other ways of writing them. */
export { convertRows, SanitisedTally } from './rows/convert-rows.js'
