// Replaces what is in the tables of an account's database by a history of that many entries.
//
//     node fill.mjs <database> <account> <entries>

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { Failure, ROOT, main, read } from '../../scripts/tools.mjs'

async function fill(file, account, entries) {
  const store = read(join(ROOT, 'worker', 'src', 'store.rs'))
  const constant = (name) => store.match(new RegExp(`const ${name}: \\S+ = "?([^";]+)"?;`))[1].replaceAll('_', '')
  const writer = spawn(join(ROOT, 'bench', 'target', 'release', 'journal'), [
    account, entries, String(Date.now()), constant('ENTRIES_PER_SNAPSHOT'), constant('SNAPSHOT_FORM'),
  ], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => writer.on('close', resolve))

  const database = new DatabaseSync(file)
  database.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; BEGIN')
  for (const table of ['entries', 'records', 'catalogs']) database.exec(`DELETE FROM ${table}`)
  const inserts = new Map()
  for await (const line of createInterface({ input: writer.stdout })) {
    const [table, ...values] = line.split('\t')
    let insert = inserts.get(table)
    if (!insert) {
      insert = database.prepare(`INSERT OR REPLACE INTO ${table} VALUES (${values.map(() => '?').join(',')})`)
      inserts.set(table, insert)
    }
    // Columns of integers take text that is one.
    insert.run(...values.map((value) => (value === '\\N' ? null : value)))
  }
  if ((await ended) !== 0) throw new Failure('the history could not be made')
  database.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)')
  const [{ written }] = database.prepare('SELECT count(*) AS written FROM entries').all()
  database.close()
  if (written < Number(entries)) throw new Failure(`${account} has ${written} entries, not ${entries}`)
}

await main(() => fill(...process.argv.slice(2)))
