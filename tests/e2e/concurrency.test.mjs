// Many callers at once, callers who try again, and a power cut between.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { Account, SERVICE_KEY, answered, costing, header, lawful, matches, opened, refused, send, sum, unique } from './support.mjs'

let server, api
before(async () => {
  server = await serve({})
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const NINE = '2025-03-10T09:00:00Z'
const times = (count, run) => Promise.all(Array.from({ length: count }, (_, index) => run(index)))
const statuses = (responses) => responses.reduce((counts, { status }) => ({ ...counts, [status]: (counts[status] ?? 0) + 1 }), {})
const replayed = (response) => header(response, 'idempotent-replayed') === 'true'
const keyed = (idempotencyKey = randomUUID()) => ({ idempotencyKey })

describe('at the same time', () => {
  const second = { model: 'seedance-1-pro', usage: { seconds: 1 } } // 14 credits; 100 pay for seven

  test('twenty holds on a balance that pays for seven: seven are made', async () => {
    const account = await opened(api, NINE)
    const responses = await times(20, () => account.post('/holds', second))
    assert.deepEqual(statuses(responses), { 201: 7, 402: 13 })
    for (const response of responses.filter(({ status }) => status === 402)) {
      refused(response, 402, 'insufficient_credits', { required: 14, owed: 0 })
    }
    assert.equal(new Set(responses.filter(({ status }) => status === 201).map(({ body }) => body.hold.id)).size, 7)
    matches(await lawful(account), { available: 2, held: 98 })
  })

  test('twenty charges on a balance that pays for seven: seven are made', async () => {
    const account = await opened(api, NINE)
    assert.deepEqual(statuses(await times(20, () => account.post('/charges', second))), { 201: 7, 402: 13 })
    matches(await lawful(account), { available: 2, held: 0 })
  })

  test('ten captures of one hold: one is made', async () => {
    const account = await opened(api, NINE)
    const { hold } = await account.hold(costing(10))
    const responses = await times(10, (n) => account.post(`/holds/${hold.id}/capture`, costing(n + 1)))
    assert.deepEqual(statuses(responses), { 200: 1, 409: 9 })
    const [{ body }] = responses.filter(({ status }) => status === 200)
    matches(await lawful(account), { available: 100 - body.charge.credits, held: 0 })
  })

  test('a capture and a release of one hold: one of them is made', async () => {
    for (let round = 0; round < 5; round += 1) {
      const account = await opened(api, NINE)
      const { hold } = await account.hold(costing(10))
      const responses = await Promise.all([account.post(`/holds/${hold.id}/capture`, costing(10)), account.post(`/holds/${hold.id}/release`)])
      assert.deepEqual(statuses(responses), { 200: 1, 409: 1 })
      matches(await lawful(account), { available: responses[0].status === 200 ? 90 : 100, held: 0 })
    }
  })

  test('ten refunds of one charge: one is made', async () => {
    const account = await opened(api, NINE)
    const { charge } = await account.charge(costing(40))
    assert.deepEqual(statuses(await times(10, () => account.post(`/charges/${charge.id}/refund`))), { 200: 1, 409: 9 })
    matches(await lawful(account), { available: 100 })
  })

  test('ten openings of one account: it is opened once', async () => {
    const account = new Account(api, unique(), NINE)
    assert.deepEqual(statuses(await times(10, () => account.put('', { plan: 'free' }))), { 200: 9, 201: 1 })
    assert.equal((await account.entries('&kind=opened')).length, 1)
  })
})

describe('trying again', () => {
  test('fifty charges with one key are one charge, and one answer', async () => {
    const account = await opened(api, NINE)
    const key = keyed()
    const responses = await times(50, () => account.post('/charges', costing(10), key))
    assert.deepEqual(statuses(responses), { 201: 50 })
    assert.equal(responses.filter(replayed).length, 49)
    for (const { body } of responses) assert.deepEqual(body, responses[0].body)
    assert.equal((await account.entries('&kind=charged')).length, 1)
    matches(await lawful(account), { available: 90 })
  })

  test('the first answer comes again, whatever has happened since', async () => {
    const account = await opened(api, NINE)
    const key = keyed()
    const first = await account.post('/holds', costing(10), key)
    assert.equal(replayed(first), false)
    await account.release(answered(first, 201).hold.id)
    const again = await account.at('2025-06-01T00:00:00Z').post('/holds', costing(10), key)
    assert.deepEqual([again.status, again.body, replayed(again)], [201, first.body, true])
    matches(await lawful(account), { available: 100, held: 0 })
  })

  test('every call that moves credits can be tried again', async () => {
    const account = await opened(api, NINE)
    const { hold: captured } = await account.hold(costing(10))
    const { hold: released } = await account.hold(costing(5))
    const { charge } = await account.charge(costing(20))
    const { grant } = await account.grant({ kind: 'pack', credits: 7 })
    const calls = [
      [`/holds/${captured.id}/capture`, costing(4)], [`/holds/${released.id}/release`, {}], [`/charges/${charge.id}/refund`, { credits: 3 }],
      ['/grants', { kind: 'bonus', credits: 11 }], [`/grants/${grant.id}/void`, {}], ['/entitlements/file_uploads/use', { quantity: 60 }],
      ['/entitlements/file_uploads/return', { quantity: 50 }],
    ]
    for (const [rest, body] of calls) {
      const key = keyed()
      const first = await account.post(rest, body, key)
      assert.ok(first.status === 200 || first.status === 201, `${rest}: ${JSON.stringify(first.body)}`)
      const again = await account.post(rest, body, key)
      assert.deepEqual([again.status, again.body, replayed(again)], [first.status, first.body, true], rest)
    }
    matches(await lawful(account), { available: 100 - 4 - 20 + 3 + 11, held: 0 })
    matches(await account.read('/entitlements'), { features: { file_uploads: { used: 10 } } })
  })

  test('the content counts, not its spelling', async () => {
    const account = await opened(api, NINE)
    const post = (body, key) => send(server, 'POST', account.path('/charges'), { body, key: SERVICE_KEY, headers: { 'Test-Clock': NINE, 'Idempotency-Key': key } })
    const key = randomUUID()
    const first = await post('{"model":"gpt-oss-120b","usage":{"input_tokens":5000}}', key)
    answered(first, 201)
    for (const spelled of ['{ "usage" : {"input_tokens":5e3}, "model" : "gpt-oss-120b" }', '{"model":"gpt\\u002doss-120b","usage":{"input_tokens":5000.0}}']) {
      const again = await post(spelled, key)
      assert.deepEqual([again.status, again.body, replayed(again)], [201, first.body, true], spelled)
    }
    refused(await post('{"model":"gpt-oss-120b","usage":{"input_tokens":5001}}', key), 422, 'idempotency_key_reused')
    refused(await post('{"model":"gpt-oss-120b","usage":{"output_tokens":5000}}', key), 422, 'idempotency_key_reused')
    matches(await lawful(account), { available: 99 })
  })

  test('a key is of one call of one account', async () => {
    const account = await opened(api, NINE)
    const key = keyed()
    const { hold } = answered(await account.post('/holds', costing(10), key), 201)
    const { hold: other } = await account.hold(costing(10))
    const capture = keyed()
    answered(await account.post(`/holds/${hold.id}/capture`, costing(1), capture))
    refused(await account.post('/charges', costing(10), key), 422, 'idempotency_key_reused')
    refused(await account.post('/grants', { kind: 'pack', credits: 1 }, key), 422, 'idempotency_key_reused')
    refused(await account.post(`/holds/${other.id}/capture`, costing(1), capture), 422, 'idempotency_key_reused')
    refused(await account.post(`/holds/${hold.id}/release`, {}, capture), 422, 'idempotency_key_reused')
    const elsewhere = await opened(api, NINE)
    const response = await elsewhere.post('/charges', costing(10), key)
    assert.deepEqual([response.status, replayed(response)], [201, false])
    matches(await lawful(account), { available: 89, held: 10 })
  })

  test('a key that was used says so before anything else is found wrong with the call', async () => {
    const account = await opened(api, NINE)
    const key = keyed()
    const first = await account.post('/charges', costing(10), key)
    answered(first, 201)
    const wrong = [
      ['/charges', costing(90_000)], ['/charges', { model: 'gpt-9', usage: {} }], ['/charges', { items: [] }], ['/charges', {}],
      ['/holds/hold_999/capture', costing(1)], ['/charges/charge_999/refund', {}], ['/grants/nothing/void', {}],
      ['/grants', { kind: 'pack', credits: -1 }], ['/entitlements/file_uploads/use', { quantity: 1_000 }], ['/entitlements/nothing/use', { quantity: 1 }],
    ]
    for (const [rest, body] of wrong) refused(await account.post(rest, body, key), 422, 'idempotency_key_reused')
    const again = await account.post('/charges', costing(10), key)
    assert.deepEqual([again.status, again.body, replayed(again)], [201, first.body, true])
    matches(await lawful(account), { available: 90 })
  })

  test('a refusal is not remembered: the same key may be tried again once the account has credits', async () => {
    const account = await opened(api, NINE)
    const key = keyed()
    refused(await account.post('/charges', costing(130), key), 402, 'insufficient_credits')
    refused(await account.post('/charges', costing(130), key), 402, 'insufficient_credits')
    await account.grant({ kind: 'pack', credits: 50 })
    const response = await account.post('/charges', costing(130), key)
    assert.equal(replayed(response), false)
    matches(answered(response, 201), { balance: { available: 20 } })
    assert.equal(replayed(await account.post('/charges', costing(130), key)), true)
    const wrong = keyed()
    refused(await account.post('/charges', { model: 'gpt-9', usage: {} }, wrong), 400, 'unknown_model')
    answered(await account.post('/charges', costing(1), wrong), 201)
  })

  test('a call that moves credits needs a key', async () => {
    const account = await opened(api, NINE)
    const { hold } = await account.hold(costing(10))
    const { charge } = await account.charge(costing(10))
    const { grant } = await account.grant({ kind: 'pack', credits: 5 })
    const calls = [['/holds', costing(1)], ['/charges', costing(1)], [`/holds/${hold.id}/capture`, costing(1)], [`/holds/${hold.id}/release`, {}],
      [`/charges/${charge.id}/refund`, {}], ['/grants', { kind: 'pack', credits: 5 }], [`/grants/${grant.id}/void`, {}],
      ['/entitlements/file_uploads/use', { quantity: 1 }]]
    for (const [rest, body] of calls) {
      refused(await account.post(rest, body, { idempotencyKey: null }), 400, 'idempotency_key_required')
    }
    for (const key of ['', 'x'.repeat(256), 'caf\u00e9', 'a\tb']) {
      refused(await send(server, 'POST', account.path('/charges'),
        { body: JSON.stringify(costing(1)), key: SERVICE_KEY, headers: { 'Test-Clock': NINE, 'Idempotency-Key': key } }), 400, 'idempotency_key_required')
    }
    for (const key of ['!', 'x'.repeat(255), '~ a,b "c"']) answered(await account.post('/charges', costing(1), { idempotencyKey: key }), 201)
    matches(await lawful(account), { available: 100 - 10 - 10 + 5 - 3, held: 10 })
  })
})

describe('after a power cut', () => {
  const cut = async () => {
    await server.kill()
    await server.restart()
  }

  test('a hold is there, and can be captured', async () => {
    const account = await opened(api, NINE)
    const { hold, balance } = await account.hold(costing(40))
    await cut()
    assert.deepEqual((await account.read(`/holds/${hold.id}`)).hold, hold)
    matches(await account.balance(), balance)
    matches(await account.capture(hold.id, costing(30)), { charge: { credits: 30, from_hold: 30 }, balance: { available: 70, held: 0 } })
    await cut()
    refused(await account.post(`/holds/${hold.id}/capture`, costing(30)), 409, 'hold_not_open')
    matches(await lawful(account), { available: 70, held: 0 })
  })

  test('answers come again as they were, and the journal reads the same', async () => {
    const account = await opened(api, NINE, { plan: 'starter' })
    const key = keyed()
    const first = await account.post('/charges', costing(10), key)
    const [balance, entries, entitlements] = [await account.balance(), await account.entries(), await account.read('/entitlements')]
    await cut()
    const again = await account.post('/charges', costing(10), key)
    assert.deepEqual([again.status, again.body, replayed(again)], [201, first.body, true])
    refused(await account.post('/charges', costing(11), key), 422, 'idempotency_key_reused')
    assert.deepEqual(await account.balance(), balance)
    assert.deepEqual(await account.entries(), entries)
    assert.deepEqual(await account.read('/entitlements'), entitlements)
  })

  test('what was answered was kept, and nothing was done twice', async () => {
    const account = await opened(api, NINE, { plan: 'max' })
    const keys = Array.from({ length: 60 }, () => randomUUID())
    const charge = (key) => account.post('/charges', costing(1), { idempotencyKey: key }).catch(() => null)
    const asked = keys.map((key, index) => new Promise((resolve) => setTimeout(() => resolve(charge(key)), index * 3)))
    await asked[20]
    await server.kill()
    const answers = await Promise.all(asked)
    await server.restart()
    const kept = answers.filter((response) => response?.status === 201)
    assert.ok(kept.length > 0, 'some were answered before the cut')
    for (const [index, key] of keys.entries()) {
      const response = await account.post('/charges', costing(1), { idempotencyKey: key })
      answered(response, 201)
      if (answers[index]?.status === 201) assert.deepEqual([response.body, replayed(response)], [answers[index].body, true])
    }
    const charged = await account.entries('&kind=charged')
    assert.equal(charged.length, 60)
    assert.equal(sum(charged, ({ credits }) => credits), -60)
    matches(await lawful(account), { available: 1940 })
  })
})
