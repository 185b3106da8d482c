// What was once written is read for ever: databases as earlier Workers wrote them (tests/fixtures/) answer as they did
// then. What a later Worker wrote is refused, and left alone.

import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ACCOUNT, FIXTURE, NOW, answers } from '../fixtures/fixture.mjs'
import { client, serve } from './harness.mjs'
import { Account, SERVICE_KEY, answered, costing, header, lawful, matches, opened, refused } from './support.mjs'

const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url))
const LATER = '2025-04-03T09:30:00Z'

const folders = []
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })))

/** An empty folder that is removed at the end. */
function freshFolder() {
  const dir = mkdtempSync(join(tmpdir(), 'edge-credits-fixture-'))
  folders.push(dir)
  return dir
}

/** A copy of a fixture, with a change made to the account's database. */
function copied(fixture, change) {
  const dir = freshFolder()
  cpSync(join(fixture, 'disk'), dir, { recursive: true })
  if (change) inDatabase(dir, (database) => database.exec(change))
  return dir
}

/** Runs something on the account's database, among those of all objects. */
function inDatabase(dir, run) {
  for (const file of readdirSync(dir, { recursive: true }).filter((file) => file.endsWith('.sqlite'))) {
    const database = new DatabaseSync(join(dir, file))
    try {
      const isAccounts = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'entries'").get()
      if (isAccounts && database.prepare('SELECT 1 FROM entries WHERE seq = 1 AND instr(body, ?)').get(`"account":"${ACCOUNT}"`)) return run(database)
    } finally {
      database.close()
    }
  }
  throw new Error(`no account's database in ${dir}`)
}

async function serving(dir, run) {
  const server = await serve({ dir })
  try {
    await run(client(server, { key: SERVICE_KEY }), server)
  } finally {
    await server.stop()
  }
}

/** A folder with the account on the plan Max, charged so many credits one by one. */
async function charged(credits) {
  const dir = freshFolder()
  await serving(dir, async (api) => {
    const account = new Account(api, ACCOUNT, NOW)
    answered(await account.put('', { plan: 'max' }), 201)
    for (let count = 0; count < credits; count += 1) await account.charge(costing(1))
  })
  return dir
}

for (const name of readdirSync(FIXTURES).filter((name) => name.startsWith('schema-'))) {
  const fixture = join(FIXTURES, name)
  const recorded = JSON.parse(readFileSync(join(fixture, 'answers.json'), 'utf8'))
  const answersAsThen = async (dir) =>
    serving(dir, async (api) => {
      const account = new Account(api, ACCOUNT, NOW)
      const found = await answers(account)
      for (const [call, answer] of Object.entries(recorded)) matches(found[call], answer, call)
      answered(await account.at(LATER).post('/charges', costing(2)), 201)
      answered(await account.at(LATER).post('/charges', { ...costing(50), on_excess: 'owe' }), 201)
      await lawful(account.at(LATER))
    })

  test(`a database of ${name} answers as it did, and goes on`, () => answersAsThen(copied(fixture)))
  test(`so it does without its snapshots and records, which are caches`, () => answersAsThen(copied(fixture, 'DELETE FROM snapshots; DELETE FROM records')))
  test(`so it does without its snapshots alone`, () => answersAsThen(copied(fixture, 'DELETE FROM snapshots')))
  test(`so it does with snapshots of a form that nobody knows`, () => answersAsThen(copied(fixture, "UPDATE snapshots SET version = 999, body = 'x'")))
}

test('a database of schema-1 that lacks the table for its version is of version 1', () =>
  serving(copied(join(FIXTURES, 'schema-1'), 'DROP TABLE meta'), async (api) => {
    const account = new Account(api, ACCOUNT, LATER)
    answered(await account.post('/charges', costing(2)), 201)
    await lawful(account)
  }))

test('a database is of version 1 until it has what a Worker of that version would pass over', async () => {
  const dir = copied(join(FIXTURES, 'schema-1'))
  const version = () => inDatabase(dir, (database) => database.prepare("SELECT value FROM meta WHERE name = 'schema'").get().value)
  const doing = (call) => serving(dir, async (api) => call(new Account(api, ACCOUNT, LATER)))
  await doing((account) => account.charge(costing(2)))
  assert.equal(version(), 1)
  await doing(async (account) => answered(await account.put('/spend-limits', { day: 500 })))
  assert.equal(version(), 2)
  await doing((account) => account.charge(costing(2)))
  assert.equal(version(), 2)
})

test('snapshots from before spending was counted lose nothing of what was spent this month and today', async () => {
  const dir = freshFolder()
  const limits = { day: 500, month: 900 }
  const spent = async (account) => {
    const { spend_limits: { day, month } } = answered(await account.put('/spend-limits', limits))
    return [day.spent, month.spent]
  }
  await serving(dir, async (api) => {
    const at = (clock) => new Account(api, ACCOUNT, clock)
    answered(await at('2025-01-10T09:00:00Z').put('', { plan: 'free' }), 201)
    await at('2025-01-10T09:00:00Z').grant({ kind: 'pack', credits: 5000 })
    await at('2025-01-11T09:00:00Z').charge(costing(1000))
    await at('2025-02-10T08:00:00Z').charge(costing(300))
    // The month begins within a day, and has another entry than the last snapshot.
    await at('2025-02-10T10:00:00Z').charge(costing(20))
    const { charge } = await at('2025-02-11T10:00:00Z').charge(costing(50))
    for (let count = 0; count < 260; count += 1) await at('2025-02-11T10:00:00Z').refund(charge.id, { credits: 0.1 })
    await at('2025-02-11T10:00:00Z').charge(costing(3))
  })
  const rows = inDatabase(dir, (database) => {
    database.exec("UPDATE entries SET snapshot = '1:' || json_remove(substr(snapshot, 3), '$.spending', '$.spend_limits') WHERE snapshot IS NOT NULL")
    return database.prepare('SELECT count(snapshot) AS count FROM entries').get()
  })
  assert.equal(rows.count, 1)
  await serving(dir, async (api) => {
    const account = new Account(api, ACCOUNT, '2025-02-11T11:00:00Z')
    assert.deepEqual(await spent(account), [27, 47])
    refused(await account.post('/charges', costing(500)), 403, 'spend_limit_reached')
    await lawful(account)
  })
})

test('snapshots that were in a table of their own are in the entries\' rows from the next entry on, and serve there', async () => {
  const dir = await charged(600)
  const snapshots = () => inDatabase(dir, (database) => database.prepare('SELECT seq, snapshot FROM entries WHERE snapshot IS NOT NULL').all())
  const before = snapshots()
  assert.equal(before.length, 2)
  // As it was when the table had them.
  inDatabase(dir, (database) => database.exec("INSERT INTO snapshots SELECT seq, 1, substr(snapshot, 3) FROM entries WHERE snapshot IS NOT NULL; ALTER TABLE entries DROP COLUMN snapshot"))
  const read = async (account) => [await account.balance(), await account.entries(), await account.read(`/balance?at=${NOW}`)]
  let found
  await serving(dir, async (api) => {
    const account = new Account(api, ACCOUNT, NOW)
    found = await read(account)
    assert.equal(found[0].available, 1400)
    await account.charge(costing(1))
  })
  assert.deepEqual(snapshots(), before)
  // Whatever becomes of them, the answers are the same.
  const changes = [
    'SELECT 1', 'UPDATE entries SET snapshot = NULL', "UPDATE entries SET snapshot = '999:x' WHERE seq > 500",
    'DELETE FROM snapshots', "INSERT INTO snapshots VALUES (600, 999, 'x')",
  ]
  for (const change of changes) {
    inDatabase(dir, (database) => database.exec(change))
    await serving(dir, async (api) => {
      const account = new Account(api, ACCOUNT, NOW)
      assert.equal((await lawful(account)).available, 1399)
      assert.deepEqual((await account.entries()).slice(0, -1), found[1])
    })
  }
})

test('a snapshot that an earlier Worker wrote meanwhile serves, too', async () => {
  const dir = await charged(300)
  // Nothing of it can be told from the journal, so that it shows whether the snapshot was read.
  inDatabase(dir, (database) => {
    const [{ seq, snapshot }] = database.prepare('SELECT seq, snapshot FROM entries WHERE snapshot IS NOT NULL').all()
    const state = { ...JSON.parse(snapshot.slice(2)), display_name: 'Grace' }
    database.prepare('INSERT INTO snapshots VALUES (?, 1, ?)').run(seq, JSON.stringify(state))
    database.exec('UPDATE entries SET snapshot = NULL')
  })
  await serving(dir, async (api) => {
    const account = new Account(api, ACCOUNT, NOW)
    matches(await account.read(), { display_name: 'Grace', balance: { available: 1700 } })
  })
})

test('an outbox from before it knew when things are due goes on telling', async () => {
  const old = "CREATE TABLE outbox (kind TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID; INSERT INTO outbox VALUES ('wall', '1')"
  await serving(copied(join(FIXTURES, 'schema-1'), `DROP TABLE IF EXISTS outbox; ${old}`), async (api) => {
    const account = new Account(api, ACCOUNT, LATER)
    answered(await account.patch({ display_name: 'Grace' }))
    answered(await account.put('/alerts', { alerts: [{ id: 'low', type: 'available_below', credits: 20 }] }))
    const { early_birds } = answered(await api.get('/v1/memorial-wall'))
    assert.ok(early_birds.some(({ display_name }) => display_name === 'Grace'), JSON.stringify(early_birds))
  })
})

test('a database that a later Worker wrote is refused, and left alone', async () => {
  const dir = copied(FIXTURE, "UPDATE meta SET value = value + 1 WHERE name = 'schema'")
  await serving(dir, async (api) => {
    const account = new Account(api, ACCOUNT, LATER)
    const calls = [() => account.get(''), () => account.get('/entries'), () => account.post('/charges', costing(1)), () => account.put('', { plan: 'free' }), () => account.patch({ display_name: 'Eve' })]
    for (const call of [...calls, ...calls]) {
      const response = await call()
      refused(response, 503, 'newer_schema')
      assert.equal(header(response, 'retry-after'), '60')
    }
    matches(await lawful(await opened(api, NOW)), { available: 100 })
  })
  const rows = (dir) => inDatabase(dir, (database) => database.prepare('SELECT seq, body FROM entries ORDER BY seq').all())
  assert.deepEqual(rows(dir), rows(copied(FIXTURE)))
})
