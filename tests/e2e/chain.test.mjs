// The journal shows when somebody changed it.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { opened } from './support.mjs'

const NOON = '2026-03-02T12:00:00Z'
const kimi = { model: 'kimi-k2', usage: { input_tokens: 1200, output_tokens: 777 } }

let server, api
before(async () => {
  server = await serve()
  api = client(server)
})
after(() => server.stop())

async function busyAccount() {
  const account = await opened(api, NOON)
  await account.post('/grants', { kind: 'pack', credits: 12.345678 })
  const { body: { hold } } = await account.post('/holds', kimi)
  await account.post(`/holds/${hold.id}/capture`, { items: [kimi, { credits: 0.000001, description: 'a crumb – “quoted”' }] })
  await account.post('/charges', { model: 'veo-3', usage: { seconds: 1.5 }, on_excess: 'owe' })
  return account
}

describe('the chain of the journal', () => {
  test('a browser can check an entry by JSON.stringify of all but its hash', async () => {
    const account = await busyAccount()
    const { body: { entries } } = await account.get('/entries?order=asc')
    assert.ok(entries.length >= 6)
    let previous = '0'.repeat(64)
    for (const { hash, ...content } of entries) {
      assert.equal(content.previous, previous)
      assert.equal(hash, createHash('sha256').update(JSON.stringify(content)).digest('hex'))
      previous = hash
    }
  })

  test('verifying an honest journal finds nothing', async () => {
    const account = await busyAccount()
    const { body: { entries } } = await account.get('/entries')
    const { status, body } = await account.get('/entries/verify')
    assert.equal(status, 200)
    assert.deepEqual(body, { verified: true, entries: entries.length, head: entries[0].hash, findings: [], next_cursor: null })
  })

  for (const [what, change, finding] of [
    ['a changed amount', (body) => body.replace('"available":112.345678', '"available":912.345678'), /hash/],
    ['a changed amount with a new hash', (body) => sealedAgain(body.replace('"available":112.345678', '"available":912.345678')), /balance|names? the hash/],
    ['a cheaper line', (body) => sealedAgain(body.replace(/"rate":2,"credits":0.48/, '"rate":1,"credits":0.24')), /price|names? the hash/],
  ]) {
    test(`${what} is found`, async () => {
      const account = await busyAccount()
      await server.kill()
      tamper(server.dir, account.id, change)
      await server.restart()
      const { body } = await account.get('/entries/verify')
      assert.equal(body.verified, false)
      assert.match(JSON.stringify(body.findings), finding)
    })
  }
})

/** A forger who knows the rule makes each entry agree with itself, but not with the next. */
function sealedAgain(body) {
  const { hash, ...content } = JSON.parse(body)
  const text = JSON.stringify(content)
  return text.slice(0, -1) + `,"hash":"${createHash('sha256').update(text).digest('hex')}"}`
}

/** Changes entries of an account's database behind the server's back. */
function tamper(dir, account, change) {
  for (const file of readdirSync(dir, { recursive: true }).filter((name) => name.endsWith('.sqlite'))) {
    const database = new DatabaseSync(join(dir, file))
    const isAccounts = database.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name = 'entries'").get().n
    const first = isAccounts && database.prepare('SELECT body FROM entries WHERE seq = 1').get()
    if (first && JSON.parse(first.body).account === account) {
      let changed = 0
      for (const { seq, body } of database.prepare('SELECT seq, body FROM entries').all()) {
        const forged = change(body)
        if (forged === body) continue
        database.prepare('UPDATE entries SET body = ? WHERE seq = ?').run(forged, seq)
        changed++
      }
      assert.ok(changed > 0, 'something was changed')
    }
    database.close()
  }
}
