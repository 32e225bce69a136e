import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listErrors } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import { copyAll, createInstallation, drainNow, type Installation, settle, states } from '../support/installation.js'

const servers = await sharedServers()

/** Every character of these can be told apart in a key. */
const WHOLE =
  'latin1 latin2 latin5 latin7 greek hebrew macce macroman koi8r koi8u armscii8 cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 tis620 ucs2 utf16 utf16le utf32 utf8mb3 utf8mb4'.split(
    ' ',
  )
/** The server decodes some characters of these differently from us. */
const PARTLY = ['ujis', 'eucjpms', 'big5', 'cp932', 'sjis', 'euckr', 'gb2312', 'gbk']
const WIDTH: Readonly<Record<string, number>> = { ucs2: 2, utf16: 2, utf16le: 2, utf32: 4 }

function* codes(charset: string): Iterable<string> {
  const width = WIDTH[charset] ?? 1
  for (let code = 1; code < 256; code++) yield code.toString(16).padStart(2 * width, '0')
  const wide = width > 1 || PARTLY.includes(charset)
  if (wide) for (let code = 0x8101; code < 0x10000; code += 47) yield code.toString(16).padStart(2 * width, '0')
  if (charset.startsWith('utf8')) for (const hex of ['c3a9', 'e282ac', 'eda080', 'f09f9880']) yield hex
}

/** One key for each character of the set, with the server's own decoding. */
async function fill({ app }: Installation, charset: string): Promise<void> {
  await app.query(`CREATE TABLE \`${charset}\` (k VARCHAR(9) CHARACTER SET ${charset} COLLATE ${charset}_bin PRIMARY KEY, h VARCHAR(20)) ENGINE=InnoDB;
    CREATE TEMPORARY TABLE given (h VARCHAR(20)) CHARSET=ascii; SET SESSION sql_mode = ''`)
  await app.query(`INSERT INTO given VALUES ${[...codes(charset)].map((hex) => `('${hex}')`).join()}`)
  await app.query(
    `INSERT IGNORE INTO \`${charset}\` SELECT UNHEX(h), h FROM given; DELETE FROM \`${charset}\` WHERE HEX(k) <> h; DROP TEMPORARY TABLE given`,
  )
}

/** Characters that the set does not define or defines twice, and halves of surrogate pairs. */
const notTold = (charset: string): string =>
  `SELECT h FROM \`${charset}\` WHERE CONVERT(k USING utf8mb4) = '?' AND HEX(k) NOT LIKE '%3F' OR HEX(CONVERT(CONVERT(k USING utf8mb4) USING ${charset})) <> h OR HEX(CONVERT(k USING utf8mb4)) RLIKE '^ED[AB]'`

test('a key in any charset is found by its bytes, or its row is refused and reported', async () => {
  await using installation = await createInstallation(servers, 'charsets')
  for (const charset of [...WHOLE, ...PARTLY]) await fill(installation, charset)
  await copyAll(installation.context)
  for (const charset of [...WHOLE, ...PARTLY]) {
    const texts = await textRows(installation.app, `SELECT CONVERT(k USING utf8mb4), h FROM \`${charset}\` ORDER BY h`)
    const source = new Map(texts.map(([text, hex]) => [hex, text]))
    const carried = await installation.rows(`SELECT k, h FROM "${charset}" ORDER BY h`)
    for (const [text, hex] of carried) assert.equal(text, source.get(hex ?? null), `${charset} ${hex}`)
    const refused = await listErrors(installation.context, { tables: [charset], limit: 10_000, history: false })
    assert.equal(carried.length + refused.length, texts.length, charset)
    if (WHOLE.includes(charset)) {
      const untold = (await textRows(installation.app, notTold(charset))).length
      assert.ok(refused.length <= untold, `${charset}: ${refused.length} refused of ${untold}`)
    } else assert.ok(refused.length < texts.length / 2, `${charset}: ${refused.length} refused`)
  }
  // each by its own entry: what is not found again stays
  for (const charset of [...WHOLE, ...PARTLY])
    await installation.app.query(`UPDATE \`${charset}\` SET k = CONCAT(k, k, k)`)
  await drainNow(installation)
  for (const charset of [...WHOLE, ...PARTLY]) {
    const tripled = await installation.rows(`SELECT count(*) FROM "${charset}" WHERE length(k) % 3 <> 0`)
    assert.deepEqual(tripled, [['0']], charset)
    await installation.app.query(`DELETE FROM \`${charset}\``)
  }
  await settle(installation)
  for (const charset of [...WHOLE, ...PARTLY])
    assert.deepEqual(await installation.rows(`SELECT count(*) FROM "${charset}"`), [['0']], charset)
  assert.deepEqual(await listErrors(installation.context, { tables: [], limit: 10, history: false }), [])
  assert.deepEqual([...new Set(Object.values(await states(installation)))], ['live'])
})
