// Holding the credits of a call, and capturing what it came to.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { SERVICE_KEY, answered, byGrant, core, costing, figures, lawful, lawfulCharge, matches, opened, refused, sameTime, sum } from './support.mjs'

let server, api
before(async () => {
  server = await serve({})
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const NINE = '2025-03-10T09:00:00Z'
const at = (time) => `2025-03-10T${time}Z`

/** A free account (100 daily credits) with a hold of so many. */
async function holding(credits, options = {}, opening = undefined) {
  const account = await opened(api, NINE, opening)
  const { hold } = await account.hold({ ...costing(credits), ...options })
  return { account, hold, capture: `/holds/${hold.id}/capture` }
}

describe('a hold', () => {
  test('reserves the credits of a call before it is made', async () => {
    const account = await opened(api, NINE)
    const [daily] = (await account.balance()).grants
    const body = await account.hold(costing(10))
    matches(body, {
      hold: {
        status: 'held', credits: 10, list_credits: 10, waived: false, draws: [{ grant: daily.id, kind: 'daily', credits: 10 }],
        lines: [{ model: 'gpt-oss-120b', meter: 'input_tokens', quantity: 50_000, per: 5000, rate: 1, credits: 10 }],
      },
      balance: { available: 90, held: 10, owed: 0 },
    })
    assert.equal(typeof body.hold.id, 'string')
    assert.equal(body.hold.catalog, answered(await account.post('/estimate', costing(10))).catalog)
    sameTime(body.hold.created_at, NINE)
    sameTime(body.hold.expires_at, at('09:15:00'))
    assert.deepEqual((await account.read(`/holds/${body.hold.id}`)).hold, body.hold)
    matches((await lawful(account)).grants, [{ id: daily.id, credits: 100, remaining: 90, held: 10 }])
  })

  test('what is held cannot be spent', async () => {
    const { account } = await holding(60)
    refused(await account.post('/charges', costing(41)), 402, 'insufficient_credits', { required: 41, available: 40, owed: 0, shortfall: 1 })
    refused(await account.post('/holds', costing(41)), 402, 'insufficient_credits', { required: 41, available: 40, owed: 0, shortfall: 1 })
    matches(await account.hold(costing(40)), { balance: { available: 0, held: 100, owed: 0 } })
    await lawful(account)
  })

  test('that the balance does not pay for is refused, and changes nothing', async () => {
    const account = await opened(api, NINE)
    const journal = await account.entries()
    refused(await account.post('/holds', costing(130)), 402, 'insufficient_credits', { required: 130, available: 100, owed: 0, shortfall: 30 })
    assert.deepEqual(await account.entries(), journal)
    assert.deepEqual((await account.read('/holds')).holds, [])
  })

  test('of a workflow is rounded once', async () => {
    const account = await opened(api, NINE)
    const items = Array(3).fill({ model: 'gpt-oss-120b', usage: { output_tokens: 2000 } })
    matches(await account.hold({ items }), { hold: { credits: 2, list_credits: 2 }, balance: { available: 98, held: 2 } })
  })

  test('lives as long as it is asked to, from a second to a day', async () => {
    for (const [ttl_seconds, until] of [[1, at('09:00:01')], [86_400, '2025-03-11T09:00:00Z']]) {
      sameTime((await holding(1, { ttl_seconds })).hold.expires_at, until)
    }
    const account = await opened(api, NINE)
    for (const ttl_seconds of [0, -1, 1.5, 86_401, '60', null]) {
      refused(await account.post('/holds', { ...costing(1), ttl_seconds }), 400, null, { field: 'ttl_seconds' })
    }
    refused(await account.post('/holds', { ...costing(1), ttl: 60 }), 400, 'invalid_request', { field: 'ttl' })
    refused(await account.post('/holds', { model: 'gpt-9', usage: {} }), 400, 'unknown_model', { field: 'model' })
    matches(await account.balance(), { available: 100, held: 0 })
  })
})

describe('a capture', () => {
  const PLENTY = 100
  const cases = [
    // hold, price, policy, what the charge says, what is left
    ['below the hold gives the rest back', 10, 4, undefined, { credits: 4, from_hold: 4, excess: 0, owed: 0, forgiven: 0 }, [96, 0]],
    ['at the hold takes it all', 10, 10, undefined, { credits: 10, from_hold: 10, excess: 0, owed: 0, forgiven: 0 }, [90, 0]],
    ['above the hold burns what is available', 10, 30, undefined, { credits: 30, from_hold: 10, excess: 20, owed: 0, forgiven: 0 }, [70, 0]],
    ['above the hold is taken under `reject` where the balance pays', 10, 100, 'reject', { credits: 100, from_hold: 10, excess: 90 }, [0, 0]],
    ['above the balance is owed unless said otherwise', 90, 130, undefined, { credits: 130, from_hold: 90, excess: 40, owed: 30, forgiven: 0 }, [0, 30]],
    ['above the balance is owed where the policy is `owe`', 90, 130, 'owe', { credits: 130, from_hold: 90, excess: 40, owed: 30, forgiven: 0 }, [0, 30]],
    ['above the balance is given up under `forgive`', 90, 130, 'forgive', { credits: 100, from_hold: 90, excess: 40, owed: 0, forgiven: 30 }, [0, 0]],
    ['of nothing costs nothing, and gives the hold back', 10, 0, undefined, { credits: 0, from_hold: 0, excess: 0, owed: 0, draws: [] }, [100, 0]],
  ]
  for (const [title, held, price, on_excess, expected, [available, owed]] of cases) {
    test(title, async () => {
      const { account, hold } = await holding(held)
      const body = await account.at(at('09:05:00')).capture(hold.id, { ...costing(price), ...(on_excess && { on_excess }) })
      matches(body, {
        charge: { ...expected, list_credits: price, late: false, waived: false, rounding: 0 },
        hold: { id: hold.id, status: 'captured' },
        balance: { available, held: 0, owed },
      })
      sameTime(body.charge.at, at('09:05:00'))
      assert.equal(body.charge.catalog, hold.catalog)
      assert.equal(sum(body.charge.draws, (draw) => draw.credits), Math.min(price, PLENTY))
      lawfulCharge(body.charge)
      await lawful(account.at(at('09:05:00')))
      const entry = (await account.entries('&kind=captured')).at(-1)
      assert.equal(entry.credits, held - Math.min(price, PLENTY), 'its entry shows the hold given back and the charge taken as one change')
    })
  }

  test('above the balance is refused under `reject`, and the hold stays open', async () => {
    const { account, hold, capture } = await holding(90)
    refused(await account.post(capture, { ...costing(130), on_excess: 'reject' }), 402, 'insufficient_credits', { owed: 0, shortfall: 30 })
    matches(await account.read(`/holds/${hold.id}`), { hold: { status: 'held', credits: 90 } })
    matches(await account.balance(), { available: 10, held: 90, owed: 0 })
    matches(await account.capture(hold.id, { ...costing(100), on_excess: 'reject' }), { charge: { credits: 100 }, balance: { available: 0, held: 0 } })
    await lawful(account)
  })

  test('of no usage at all captures zero credits', async () => {
    const { account, hold } = await holding(10)
    matches(await account.capture(hold.id, { model: 'gpt-oss-120b', usage: {} }),
      { charge: { credits: 0, lines: [], draws: [] }, hold: { status: 'captured' }, balance: { available: 100, held: 0, owed: 0 } })
  })

  test('happens once', async () => {
    const { account, hold, capture } = await holding(10)
    await account.capture(hold.id, costing(4))
    refused(await account.post(capture, costing(4)), 409, 'hold_not_open')
    refused(await account.post(`/holds/${hold.id}/release`), 409, 'hold_not_open')
    refused(await account.post(`/holds/${hold.id}/extend`, { ttl_seconds: 60 }), 409, 'hold_not_open')
    matches(await lawful(account), { available: 96, held: 0 })
  })

  test('may name other models, and use meters that the hold did not foresee', async () => {
    const first = await holding(10)
    matches(await first.account.capture(first.hold.id, { model: 'gpt-4o', usage: { input_tokens: 5000 } }), { charge: { credits: 7, from_hold: 7 }, balance: { available: 93 } })
    const second = await holding(10)
    matches(await second.account.capture(second.hold.id, { model: 'gpt-oss-120b', usage: { input_tokens: 5000, cached_input_tokens: 5000, output_tokens: 5000 } }),
      { charge: { credits: 3, from_hold: 3 }, balance: { available: 97 } })
    const third = await holding(10)
    matches(await third.account.capture(third.hold.id, { items: [costing(2), { model: 'flux-dev', usage: { images: 1 } }, { credits: 0.5, description: 'upload' }] }),
      { charge: { credits: 7, rounding: 0.5 }, balance: { available: 93 } })
  })

  test('keeps the first draws in burning order', async () => {
    const account = await opened(api, NINE)
    const { grant: first } = await account.grant({ kind: 'pack', credits: 10, priority: 0 })
    const { grant: second } = await account.grant({ kind: 'pack', credits: 10, priority: 1 })
    const { hold } = await account.hold(costing(20))
    assert.deepEqual(byGrant(hold.draws), { [first.id]: 10, [second.id]: 10 })
    const { charge } = await account.capture(hold.id, costing(13))
    matches(charge.draws, [{ grant: first.id, credits: 10 }, { grant: second.id, credits: 3 }])
    await lawful(account)
  })

  test('that is malformed is refused, and the hold stays open', async () => {
    const { account, hold, capture } = await holding(10)
    for (const [body, codes] of [[{ ...costing(1), on_excess: 'ignore' }, 'invalid_request'], [{ ...costing(1), ttl_seconds: 5 }, 'invalid_request'],
      [{ model: 'gpt-9', usage: {} }, 'unknown_model'], [{}, 'invalid_request'], [{ items: [] }, 'invalid_request']]) {
      refused(await account.post(capture, body), 400, codes)
    }
    matches(await account.read(`/holds/${hold.id}`), { hold: { status: 'held' } })
  })
})

describe('a release', () => {
  test('gives the credits back, once', async () => {
    const { account, hold, capture } = await holding(10)
    matches(await account.release(hold.id), { hold: { id: hold.id, status: 'released' }, balance: { available: 100, held: 0, owed: 0 } })
    refused(await account.post(`/holds/${hold.id}/release`), 409, 'hold_not_open')
    refused(await account.post(capture, costing(4)), 409, 'hold_not_open')
    matches(await lawful(account), { available: 100, held: 0 })
  })
})

describe('an extension', () => {
  test('counts from now', async () => {
    const { account, hold } = await holding(10)
    const body = answered(await account.at(at('09:10:00')).post(`/holds/${hold.id}/extend`, { ttl_seconds: 600 }))
    matches(body, { hold: { id: hold.id, status: 'held', credits: 10 }, balance: { available: 90, held: 10 } })
    sameTime(body.hold.expires_at, at('09:20:00'))
    for (const ttl_seconds of [0, 86_401, '5', 1.5]) {
      refused(await account.post(`/holds/${hold.id}/extend`, { ttl_seconds }), 400, null, { field: 'ttl_seconds' })
    }
    matches(await account.at(at('09:19:59')).capture(hold.id, costing(10)), { charge: { late: false, from_hold: 10 } })
  })
})

describe('early birds', () => {
  test('hold nothing for a core model, and are charged nothing', async () => {
    const account = await opened(api, NINE, { plan: 'free', perks: ['early_bird'] })
    const { hold, balance } = await account.hold(core(5000))
    matches(hold, { status: 'held', credits: 0, list_credits: 5000, waived: true, draws: [] })
    matches(balance, { available: 100, held: 0, owed: 0 })
    answered(await account.delete('/perks/early_bird'))
    const { charge } = await account.capture(hold.id, core(6000))
    matches(charge, { credits: 0, list_credits: 6000, waived: true, owed: 0, forgiven: 0, draws: [] })
    lawfulCharge(charge)
    matches(await account.charge(core(5)), { charge: { credits: 5, waived: false }, balance: { available: 95 } })
    await lawful(account)
  })
})

describe('the list of holds', () => {
  test('is filtered by status, and read page by page', async () => {
    const account = await opened(api, NINE)
    const made = []
    for (let n = 0; n < 6; n += 1) made.push((await account.hold({ ...costing(1), ttl_seconds: n === 5 ? 60 : 900 })).hold.id)
    await account.capture(made[0], costing(1))
    await account.release(made[1])
    const then = account.at(at('09:02:00'))
    const listed = async (query) => (await then.read(`/holds${query}`)).holds.map(({ id }) => id).sort()
    const expected = { '': made, '?status=held': made.slice(2, 5), '?status=captured': [made[0]], '?status=released': [made[1]], '?status=lapsed': [made[5]] }
    for (const [query, ids] of Object.entries(expected)) assert.deepEqual(await listed(query), [...ids].sort(), query)
    const pages = []
    for (let cursor = ''; cursor !== null;) {
      const page = await then.read(`/holds?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
      assert.ok(page.holds.length <= 2)
      pages.push(...page.holds.map(({ id }) => id))
      cursor = page.next_cursor
    }
    assert.deepEqual(pages.sort(), [...made].sort())
    refused(await then.get('/holds?status=open'), 400)
    refused(await then.get('/holds?cursor=nonsense'), 400, 'invalid_cursor')
  })

  test('does not have what was never held', async () => {
    const account = await opened(api, NINE)
    const { hold: other } = await (await opened(api, NINE)).hold(costing(1))
    for (const id of ['nothing', other.id]) {
      refused(await account.get(`/holds/${id}`), 404, 'hold_not_found')
      refused(await account.post(`/holds/${id}/capture`, costing(1)), 404, 'hold_not_found')
      refused(await account.post(`/holds/${id}/release`), 404, 'hold_not_found')
    }
    assert.deepEqual(figures(await account.balance()), { available: 100, held: 0, owed: 0 })
  })
})
