// Faults of ours, made on purpose inside the account object (worker/src/fault.rs): before, in the middle of, and after a
// write; as an error, as a statement that SQLite refuses, and as a panic.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { SERVICE_KEY, answered, costing, header, lawful, matches, opened, refused } from './support.mjs'

let server, api
before(async () => {
  server = await serve({ vars: { FAULTS: 'on' } })
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const NINE = '2025-03-10T09:00:00Z'

/** Each fault, and whether what it was asked with is in the journal afterwards. */
const FAULTS = [
  ['before-write', false], ['in-transaction', false], ['storage-error', false], ['after-write', true],
  ['panic', false], ['panic-in-transaction', false], ['panic-after-write', true],
]

/** A commit that only a fault stands against: it answers within the time, by a 500 that says what to do. */
async function failed(account, rest, body, key, fault) {
  const start = Date.now()
  const response = await account.post(rest, body, { idempotencyKey: key, headers: { 'Inject-Fault': fault } })
  refused(response, 500, 'internal')
  assert.match(response.body.detail, /safe to try again with the same Idempotency-Key/)
  assert.ok(Date.now() - start < 5000, 'a caller does not wait until the runtime gives up')
}

for (const [fault, isWritten] of FAULTS) {
  describe(`a fault ${fault}`, () => {
    test('the retry has one effect, and the journal and the balance agree before it and after it', async () => {
      const account = await opened(api, NINE, { plan: 'max' })
      const { hold } = await account.hold(costing(100))
      const calls = [
        ['/charges', costing(10), -10], ['/holds', costing(20), -20], [`/holds/${hold.id}/capture`, costing(40), 60],
        ['/grants', { kind: 'pack', credits: 7 }, 7], ['/entitlements/file_uploads/use', { quantity: 3 }, 0],
      ]
      for (const [rest, body, change] of calls) {
        const key = randomUUID()
        const [earlier, { length }] = [await account.balance(), await account.entries()]
        await failed(account, rest, body, key, fault)
        matches(await lawful(account), { available: earlier.available + (isWritten ? change : 0) })
        assert.equal((await account.entries()).length, length + (isWritten ? 1 : 0), 'all of it was written, or nothing')

        const retried = await account.post(rest, body, { idempotencyKey: key })
        assert.ok(retried.status < 300, JSON.stringify(retried.body))
        assert.equal(header(retried, 'idempotent-replayed'), isWritten ? 'true' : null, rest)
        matches(await lawful(account), { available: earlier.available + change })
        const again = await account.post(rest, body, { idempotencyKey: key })
        assert.deepEqual([again.body, header(again, 'idempotent-replayed')], [retried.body, 'true'])
        assert.equal((await account.entries()).length, length + 1)
      }
    })

    test('an account whose opening failed can be opened', async () => {
      const name = `fault-${randomUUID()}`
      refused(await api.put(`/v1/accounts/${name}`, { plan: 'free' }, { clock: NINE, headers: { 'Inject-Fault': fault } }), 500, 'internal')
      const account = await api.get(`/v1/accounts/${name}`, { clock: NINE })
      assert.equal(account.status, isWritten ? 200 : 404)
      answered(await api.put(`/v1/accounts/${name}`, { plan: 'free' }, { clock: NINE }), isWritten ? 200 : 201)
      assert.equal((await api.get(`/v1/accounts/${name}/entries?kind=opened`, { clock: NINE })).body.entries.length, 1)
    })

    test('other accounts, and other callers of the same account, lose nothing that was answered', async () => {
      const [account, other] = [await opened(api, NINE, { plan: 'max' }), await opened(api, NINE, { plan: 'max' })]
      const keys = Array.from({ length: 40 }, () => randomUUID())
      const charge = (index) => (index % 2 ? account : other).post('/charges', costing(1), { idempotencyKey: keys[index] })
      const asked = keys.map((_, index) => charge(index))
      await failed(account, '/charges', costing(5), randomUUID(), fault)
      const answers = await Promise.all(asked)
      for (const [index, answer] of answers.entries()) {
        // A panic takes with it what is under way in its isolate, whoever's it is; those callers are told to try again.
        if (!fault.startsWith('panic')) answered(answer, 201)
        else if (answer.status !== 201) refused(answer, 500, 'internal')
        const retried = await charge(index)
        answered(retried, 201)
        if (answer.status === 201) assert.deepEqual([retried.body, header(retried, 'idempotent-replayed')], [answer.body, 'true'])
      }
      assert.equal((await account.entries('&kind=charged')).length, 20 + (isWritten ? 1 : 0))
      matches(await lawful(account), { available: 2000 - 20 - (isWritten ? 5 : 0) })
      assert.equal((await other.entries('&kind=charged')).length, 20)
      matches(await lawful(other), { available: 1980 })
    })

    test('what is on the disk is what was said', async () => {
      const account = await opened(api, NINE)
      await failed(account, '/charges', costing(10), randomUUID(), fault)
      const [balance, entries] = [await account.balance(), await account.entries()]
      await server.restart()
      assert.deepEqual([await account.balance(), await account.entries()], [balance, entries])
      await lawful(account)
    })
  })
}

test('a fault that there is not is refused', async () => {
  const account = await opened(api, NINE)
  refused(await account.post('/charges', costing(1), { headers: { 'Inject-Fault': 'earthquake' } }), 400, 'invalid_request')
})

for (const vars of [{}, { FAULTS: 'off' }]) {
  test(`with the variables ${JSON.stringify(vars)} the header is ignored`, async () => {
    const plain = await serve({ vars })
    try {
      const account = await opened(client(plain, { key: SERVICE_KEY }), NINE)
      for (const fault of [...FAULTS.map(([name]) => name), 'earthquake']) answered(await account.post('/charges', costing(1), { headers: { 'Inject-Fault': fault } }), 201)
      matches(await lawful(account), { available: 100 - FAULTS.length - 1 })
    } finally {
      await plain.stop()
    }
  })
}
