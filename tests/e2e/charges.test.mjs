// Charging in one step, what is owed, and giving back.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { SERVICE_KEY, answered, byGrant, costing, lawful, lawfulCharge, matches, opened, refused, sameTime, sum } from './support.mjs'

let server, api
before(async () => {
  server = await serve({})
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const NINE = '2025-03-10T09:00:00Z'
const NEXT_DAY = '2025-03-11T09:00:00Z'

/** A free account that owes so many credits, and the charge that it owes them for. */
async function owing(credits, clock = NINE) {
  const account = await opened(api, clock)
  const { charge } = await account.charge({ ...costing(100 + credits), on_excess: 'owe' })
  return { account, charge }
}

describe('a charge', () => {
  test('deducts corresponding credits based on consumption', async () => {
    const account = await opened(api, NINE)
    const [daily] = (await account.balance()).grants
    const { charge, balance } = await account.charge({ model: 'gpt-4o', usage: { input_tokens: 1000, output_tokens: 500 } })
    matches(charge, {
      credits: 3, list_credits: 3, owed: 0, forgiven: 0, from_hold: 0, late: false, waived: false,
      draws: [{ grant: daily.id, credits: 3 }],
      lines: [
        { model: 'gpt-4o', meter: 'input_tokens', quantity: 1000, per: 5000, rate: 7, credits: 1.4 },
        { model: 'gpt-4o', meter: 'output_tokens', quantity: 500, per: 5000, rate: 7, credits: 0.7 },
      ],
      rounding: 0.9,
    })
    assert.equal(typeof charge.id, 'string')
    assert.equal(typeof charge.catalog, 'string')
    sameTime(charge.at, NINE)
    matches(balance, { available: 97, held: 0, owed: 0 })
    lawfulCharge(charge)
    await lawful(account)
  })

  test('of nothing costs nothing', async () => {
    const account = await opened(api, NINE)
    for (const request of [{ model: 'kimi-k2', usage: {} }, costing(0), { items: [{ credits: 0, description: 'a' }] }]) {
      matches(await account.charge(request), { charge: { credits: 0, draws: [], rounding: 0 }, balance: { available: 100 } })
    }
    await lawful(account)
  })

  test('takes the last credit, and not one more', async () => {
    const account = await opened(api, NINE)
    refused(await account.post('/charges', costing(101)), 402, 'insufficient_credits', { required: 101, available: 100, owed: 0, shortfall: 1 })
    matches(await account.charge(costing(100)), { balance: { available: 0 } })
    refused(await account.post('/charges', costing(1)), 402, 'insufficient_credits', { required: 1, available: 0, owed: 0, shortfall: 1 })
    refused(await account.post('/charges', { items: [{ credits: 999_999_999, description: 'a' }] }), 402, 'insufficient_credits', { shortfall: 999_999_999 })
    await lawful(account)
  })

  const policies = [
    [undefined, null],
    ['reject', null],
    ['owe', { credits: 130, owed: 30, forgiven: 0 }],
    ['forgive', { credits: 100, owed: 0, forgiven: 30 }],
  ]
  for (const [on_excess, expected] of policies) {
    test(`above the balance under ${on_excess ?? 'no policy'} is ${expected ? 'made' : 'refused'}`, async () => {
      const account = await opened(api, NINE)
      const request = { ...costing(130), ...(on_excess && { on_excess }) }
      if (!expected) {
        refused(await account.post('/charges', request), 402, 'insufficient_credits', { required: 130, available: 100, owed: 0, shortfall: 30 })
        matches(await lawful(account), { available: 100, owed: 0 })
      } else {
        const { charge, balance } = await account.charge(request)
        matches(charge, { ...expected, list_credits: 130, rounding: 0 })
        matches(balance, { available: 0, held: 0, owed: expected.owed })
        assert.equal(sum(charge.draws, (draw) => draw.credits), 100)
        lawfulCharge(charge)
        await lawful(account)
      }
    })
  }

  test('that is malformed is refused', async () => {
    const account = await opened(api, NINE)
    const bad = [[{ ...costing(1), on_excess: 'ignore' }, 'invalid_request', 'on_excess'], [{ ...costing(1), on_excess: null }, 'invalid_request', 'on_excess'],
      [{ ...costing(1), ttl_seconds: 60 }, 'invalid_request', 'ttl_seconds'], [{ items: [] }, 'invalid_request', 'items'],
      [{ model: 'gpt-9', usage: {} }, 'unknown_model', 'model'], [{ model: 'veo-3', usage: { images: 1 } }, 'unknown_meter', 'usage.images'],
      [{ items: [costing(1), { credits: -1, description: 'a' }] }, 'invalid_credits', 'items[1].credits']]
    for (const [body, code, field] of bad) refused(await account.post('/charges', body), 400, code, { field })
    matches(await account.balance(), { available: 100 })
  })
})

describe('while anything is owed', () => {
  test('no hold and no charge under `reject` is authorised, but zero ones', async () => {
    const { account } = await owing(30)
    const figures = { required: 5, available: 0, owed: 30, shortfall: 35 }
    refused(await account.post('/charges', costing(5)), 402, 'insufficient_credits', figures)
    refused(await account.post('/holds', costing(5)), 402, 'insufficient_credits', figures)
    matches(await account.charge(costing(0)), { charge: { credits: 0 } })
    matches(await account.hold(costing(0)), { hold: { credits: 0 }, balance: { held: 0, owed: 30 } })
    matches(await account.charge({ ...costing(5), on_excess: 'owe' }), { charge: { credits: 5, owed: 5 }, balance: { available: 0, owed: 35 } })
    matches(await account.charge({ ...costing(5), on_excess: 'forgive' }), { charge: { credits: 0, forgiven: 5 }, balance: { available: 0, owed: 35 } })
    await lawful(account)
  })

  test('scoped credits do not pay it, nor make a call possible', async () => {
    const { account } = await owing(30)
    matches(await account.grant({ kind: 'bonus', credits: 500, scope: ['video'] }), { balance: { available: 500, owed: 30 } })
    refused(await account.post('/charges', { model: 'seedance-1-pro', usage: { seconds: 1 } }), 402, 'insufficient_credits', { required: 14, available: 500, owed: 30 })
    await lawful(account)
  })

  test('the next daily credits pay it first, once', async () => {
    const { account } = await owing(30)
    const midnight = account.at('2025-03-11T00:00:00Z')
    matches(await midnight.balance(), { available: 70, owed: 0, daily: { credits: 100, remaining: 70 } })
    await midnight.charge(costing(70))
    matches(await lawful(midnight), { available: 0, owed: 0 })
    matches(await account.at('2025-03-12T00:00:00Z').balance(), { available: 100, owed: 0 })
  })

  test('every day\'s refresh counts, so that looking more often changes nothing', async () => {
    const silent = (await owing(250)).account
    const watched = (await owing(250)).account
    const days = [['2025-03-11T08:00:00Z', 0, 150], ['2025-03-12T08:00:00Z', 0, 50], ['2025-03-13T08:00:00Z', 50, 0]]
    for (const [clock, available, owed] of days) {
      matches(await watched.at(clock).balance(), { available, owed })
      answered(await watched.at(clock).patch({ display_name: clock }))
      matches(await watched.at(clock).balance(), { available, owed })
      matches(await silent.at(clock).balance(), { available, owed })
    }
    const then = silent.at('2025-03-13T09:00:00Z')
    matches(await then.charge(costing(50)), { balance: { available: 0, owed: 0 } })
    await lawful(then)
  })

  test('a grant pays it, oldest debt first', async () => {
    const { account, charge: oldest } = await owing(30)
    const { charge: newest } = await account.charge({ ...costing(40), on_excess: 'owe' })
    matches(await account.grant({ kind: 'adjustment', credits: 50 }), { balance: { available: 0, owed: 20 } })
    matches(await account.refund(newest.id), { refund: { charge: newest.id, credits: 40, owed_cancelled: 20 } })
    matches(await account.refund(oldest.id), { refund: { charge: oldest.id, credits: 130, owed_cancelled: 0 } })
    matches(await lawful(account), { owed: 0, available: 150 })
  })

  test('a grant of more than is owed leaves the rest, and the next one is whole', async () => {
    const { account } = await owing(30)
    matches(await account.grant({ kind: 'pack', credits: 100 }), { balance: { available: 70, owed: 0 } })
    matches(await account.grant({ kind: 'pack', credits: 10 }), { balance: { available: 80, owed: 0 } })
    await lawful(account)
  })

  test('what a hold gives back pays it', async () => {
    const account = await opened(api, NINE)
    const { hold: first } = await account.hold(costing(50))
    const { hold: second } = await account.hold(costing(40))
    await account.charge({ ...costing(60), on_excess: 'owe' })
    matches(await account.balance(), { available: 0, held: 90, owed: 50 })
    matches(await account.release(second.id), { balance: { available: 0, held: 50, owed: 10 } })
    matches(await account.at('2025-03-10T09:15:00Z').balance(), { available: 40, held: 0, owed: 0 })
    matches(await account.capture(first.id, costing(20)), { charge: { credits: 20, owed: 0 }, balance: { available: 20, held: 0, owed: 0 } })
    await lawful(account)
  })
})

describe('a refund', () => {
  test('gives back a part, then the rest, and never more than the charge', async () => {
    const account = await opened(api, NINE)
    const [daily] = (await account.balance()).grants
    const { charge } = await account.charge(costing(40))
    const { refund, balance } = await account.refund(charge.id, { credits: 10 })
    matches(refund, { charge: charge.id, credits: 10, owed_cancelled: 0 })
    assert.deepEqual(byGrant(refund.draws), { [daily.id]: 10 })
    assert.equal(typeof refund.id, 'string')
    matches(balance, { available: 70, held: 0, owed: 0 })
    refused(await account.post(`/charges/${charge.id}/refund`, { credits: 30.000001 }), 409, 'refund_exceeds_charge')
    matches(await account.refund(charge.id, { credits: 0.5 }), { refund: { credits: 0.5 }, balance: { available: 70.5 } })
    matches(await account.refund(charge.id), { refund: { credits: 29.5 }, balance: { available: 100 } })
    refused(await account.post(`/charges/${charge.id}/refund`), 409, 'refund_exceeds_charge')
    matches(await lawful(account), { available: 100 })
  })

  test('of the whole is made once', async () => {
    const account = await opened(api, NINE)
    const { charge } = await account.charge(costing(40))
    matches(await account.refund(charge.id), { refund: { credits: 40 }, balance: { available: 100 } })
    refused(await account.post(`/charges/${charge.id}/refund`), 409, 'refund_exceeds_charge')
    refused(await account.post(`/charges/${charge.id}/refund`, { credits: 0.000001 }), 409, 'refund_exceeds_charge')
  })

  test('of a captured hold is that of its charge', async () => {
    const account = await opened(api, NINE)
    const { hold } = await account.hold(costing(40))
    const { charge } = await account.capture(hold.id, costing(30))
    matches(await account.refund(charge.id), { refund: { charge: charge.id, credits: 30 }, balance: { available: 100, held: 0 } })
    await lawful(account)
  })

  test('of a charge that cost nothing is a conflict', async () => {
    const account = await opened(api, NINE)
    const { charge } = await account.charge(costing(0))
    refused(await account.post(`/charges/${charge.id}/refund`), 409, 'refund_exceeds_charge')
    refused(await account.post(`/charges/${charge.id}/refund`, { credits: 1 }), 409, 'refund_exceeds_charge')
  })

  test('goes back along the draws, in reverse order of burning', async () => {
    const account = await opened(api, NINE)
    const { grant: first } = await account.grant({ kind: 'pack', credits: 20, priority: 1 })
    const { grant: second } = await account.grant({ kind: 'pack', credits: 20, priority: 2 })
    const { charge } = await account.charge(costing(30))
    matches(charge.draws, [{ grant: first.id, credits: 20 }, { grant: second.id, credits: 10 }])
    const { refund } = await account.refund(charge.id, { credits: 15 })
    assert.deepEqual(byGrant(refund.draws), { [second.id]: 10, [first.id]: 5 })
    const left = Object.fromEntries((await lawful(account)).grants.map(({ id, remaining }) => [id, remaining]))
    matches(left, { [first.id]: 5, [second.id]: 20 })
  })

  test('of credits that have ended becomes a grant of 30 days', async () => {
    const account = await opened(api, NINE)
    const [daily] = (await account.balance()).grants
    const { charge } = await account.charge(costing(30))
    const then = account.at(NEXT_DAY)
    const { refund, balance } = await then.refund(charge.id)
    matches(refund, { credits: 30, owed_cancelled: 0 })
    matches(balance, { available: 130, held: 0, owed: 0 })
    const given = (await lawful(then)).grants.find(({ kind }) => kind === 'refund')
    matches(given, { credits: 30, remaining: 30, held: 0, category: 'promo', priority: daily.priority, scope: daily.scope })
    sameTime(given.effective_at, NEXT_DAY)
    sameTime(given.expires_at, '2025-04-10T09:00:00Z')
    matches(await account.at('2025-04-10T08:59:59Z').balance(), { available: 130 })
    matches(await account.at('2025-04-10T09:00:00Z').balance(), { available: 100 })
  })

  test('of a grant that was voided keeps its priority, category and scope', async () => {
    const account = await opened(api, NINE)
    const { grant } = await account.grant({ kind: 'pack', credits: 50, priority: 7, scope: ['video'] })
    const { charge } = await account.charge({ model: 'seedance-1-lite', usage: { seconds: 2 } })
    assert.deepEqual(byGrant(charge.draws), { [grant.id]: 20 })
    answered(await account.post(`/grants/${grant.id}/void`))
    matches(await account.refund(charge.id), { refund: { credits: 20 }, balance: { available: 120 } })
    const given = (await lawful(account)).grants.find(({ kind }) => kind === 'refund')
    matches(given, { remaining: 20, priority: 7, category: 'paid', scope: ['video'] })
  })

  test('cancels first what the charge left owed', async () => {
    const { account, charge } = await owing(30)
    const { refund, balance } = await account.refund(charge.id, { credits: 20 })
    matches(refund, { credits: 20, owed_cancelled: 20, draws: [] })
    matches(balance, { available: 0, held: 0, owed: 10 })
    matches(await account.refund(charge.id), { refund: { credits: 110, owed_cancelled: 10 }, balance: { available: 100, owed: 0 } })
    refused(await account.post(`/charges/${charge.id}/refund`), 409, 'refund_exceeds_charge')
    await lawful(account)
  })

  test('pays what other charges left owed', async () => {
    const account = await opened(api, NINE)
    const { charge } = await account.charge(costing(60))
    await account.charge({ ...costing(70), on_excess: 'owe' })
    matches(await account.refund(charge.id), { refund: { credits: 60, owed_cancelled: 0 }, balance: { available: 30, owed: 0 } })
    await lawful(account)
  })

  test('goes back also to what paid the debt later', async () => {
    const { account, charge } = await owing(30)
    const { grant } = await account.grant({ kind: 'pack', credits: 30 })
    const { refund, balance } = await account.refund(charge.id)
    matches(refund, { credits: 130, owed_cancelled: 0 })
    assert.equal(byGrant(refund.draws)[grant.id], 30)
    matches(balance, { available: 130, owed: 0 })
    await lawful(account)
  })

  test('does not give back what was forgiven', async () => {
    const account = await opened(api, NINE)
    const { charge } = await account.charge({ ...costing(130), on_excess: 'forgive' })
    refused(await account.post(`/charges/${charge.id}/refund`, { credits: 101 }), 409, 'refund_exceeds_charge')
    matches(await account.refund(charge.id), { refund: { credits: 100 }, balance: { available: 100 } })
  })

  test('that is malformed, or of no charge of the account, is refused', async () => {
    const account = await opened(api, NINE)
    const { charge } = await account.charge(costing(10))
    for (const credits of [-1, 0.0000001, '5', null]) refused(await account.post(`/charges/${charge.id}/refund`, { credits }), 400, null, { field: 'credits' })
    refused(await account.post(`/charges/${charge.id}/refund`, { amount: 5 }), 400, 'invalid_request', { field: 'amount' })
    const other = await opened(api, NINE)
    refused(await other.post(`/charges/${charge.id}/refund`), 404, 'charge_not_found')
    refused(await account.post('/charges/nothing/refund'), 404, 'charge_not_found')
    matches(await lawful(account), { available: 90 })
  })
})
