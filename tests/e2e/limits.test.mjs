// Spend limits: the most that an account may spend a day and a month, whoever asks and however many at once.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { Account, answered, core, costing, header, lawful, matches, opened, refused, unique } from './support.mjs'

const NINE = '2025-03-10T09:00:00Z'
const MIDNIGHT = '2025-03-11T00:00:00Z'

let server, api
before(async () => {
  server = await serve({ vars: { SERVICE_KEYS: 'dev-service-key,meter:charge:charging,board:read:reading' } })
  api = client(server)
})
after(() => server?.stop())

const times = (count, run) => Promise.all(Array.from({ length: count }, (_, index) => run(index)))
const statuses = (responses) => responses.reduce((counts, { status }) => ({ ...counts, [status]: (counts[status] ?? 0) + 1 }), {})

/** An account with credits enough, and these limits. */
async function limited(limits, opening) {
  const account = await opened(api, NINE, opening)
  await account.grant({ kind: 'pack', credits: 10_000 })
  answered(await account.put('/spend-limits', limits))
  return account
}

describe('a spend limit', () => {
  test('is told by the account, with what is spent of it', async () => {
    const account = await limited({ day: 100, month: 2000.5 })
    await account.charge(costing(30))
    await account.hold(costing(20))
    const standing = { spent: 30, held: 20 }
    assert.deepEqual((await account.read()).spend_limits, {
      day: { limit: 100, ...standing, resets_at: MIDNIGHT }, month: { limit: 2000.5, ...standing, resets_at: '2025-04-10T09:00:00Z' },
    })
    assert.deepEqual(answered(await account.put('/spend-limits', {})).spend_limits, { day: null, month: null })
    assert.deepEqual(answered(await account.put('/spend-limits', {})), await account.read())
    assert.deepEqual((await account.entries('&kind=updated')).map(({ spend_limits }) => spend_limits), [{ day: 100, month: 2000.5 }, { day: null, month: null }])
  })

  test('refuses holds and charges that would go beyond it, before it asks for credits', async () => {
    const account = await limited({ day: 100 })
    await account.charge(costing(60))
    for (const [path, body] of [['/holds', costing(41)], ['/charges', costing(20_000)]]) {
      const response = await account.post(path, body)
      const { model, usage } = body
      refused(response, 403, 'spend_limit_reached', { limit: 100, spent: 60, held: 0, required: usage.input_tokens / 5000, window: 'day', resets_at: MIDNIGHT })
      matches(answered(await account.post('/estimate', { model, usage }, { idempotencyKey: null })), { access: { allowed: false, code: 'spend_limit_reached' }, draws: [], affordable: { input_tokens: 200_000 } })
    }
    await account.charge(costing(40))
    await account.at(MIDNIGHT).charge(costing(100))
    await lawful(account.at(MIDNIGHT))
  })

  test('never loses what was used already, nor what costs nothing', async () => {
    const account = await limited({ day: 50 }, { plan: 'free', perks: ['early_bird'] })
    const { hold } = await account.hold(costing(50))
    await account.charge(core(400))
    matches(await account.capture(hold.id, { ...costing(70), on_excess: 'reject' }), { charge: { credits: 70, excess: 20 } })
    await account.charge({ ...costing(9), on_excess: 'owe' })
    matches(await account.read(), { spend_limits: { day: { spent: 79, held: 0 } } })
    refused(await account.post('/charges', costing(1)), 403, 'spend_limit_reached')
    await lawful(account)
  })

  test('lets exactly the holds through that fit, though fifty come at once', async () => {
    const account = await limited({ day: 100, month: 500 })
    const responses = await times(50, () => account.post('/holds', costing(10)))
    assert.deepEqual(statuses(responses), { 201: 10, 403: 40 })
    for (const response of responses.filter(({ status }) => status === 403)) {
      refused(response, 403, 'spend_limit_reached', { limit: 100, spent: 0, held: 100, required: 10, window: 'day' })
    }
    const holds = responses.filter(({ status }) => status === 201).map(({ body }) => body.hold.id)
    await Promise.all(holds.map((hold) => account.capture(hold, costing(8))))
    assert.deepEqual(statuses(await times(50, () => account.post('/charges', costing(5)))), { 201: 4, 403: 46 })
    matches((await account.read()).spend_limits.day, { spent: 100, held: 0 })
    await lawful(account)
  })

  test('is not remembered as a refusal: the same key may be tried again the next day', async () => {
    const account = await limited({ day: 10 })
    const key = { idempotencyKey: unique('key') }
    refused(await account.post('/charges', costing(11), key), 403, 'spend_limit_reached')
    answered(await account.put('/spend-limits', { day: 11 }))
    const response = await account.post('/charges', costing(11), key)
    answered(response, 201)
    assert.equal(header(await account.post('/charges', costing(11), key), 'idempotent-replayed'), 'true')
  })

  test('is there after a power cut, with what was spent', async () => {
    const account = await limited({ day: 100 })
    await account.charge(costing(60))
    await account.hold(costing(30))
    const then = await account.read()
    await server.restart()
    assert.deepEqual(await account.read(), then)
    refused(await account.post('/charges', costing(11)), 403, 'spend_limit_reached')
  })

  test('is set by administrators alone', async () => {
    const account = await limited({ day: 10 })
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: account.id, exp: Math.floor(Date.now() / 1000) + 600 })}`
    const token = `${signed}.${createHmac('sha256', 'dev-user-token-secret').update(signed).digest('base64url')}`
    for (const key of [token, 'charging', 'reading']) {
      const own = new Account(client(server, { key }), account.id, NINE)
      refused(await own.put('/spend-limits', { day: 1000 }), 403, 'forbidden')
      matches(await own.read(), { spend_limits: { day: { limit: 10 } } })
    }
    refused(await new Account(api, unique(), NINE).put('/spend-limits', { day: 1 }), 404, 'account_not_found')
    refused(await account.put('/spend-limits', { day: '5' }), 400, 'invalid_credits', { field: 'day' })
    refused(await account.put('/spend-limits', { week: 5 }), 400, 'invalid_request', { field: 'week' })
  })
})
