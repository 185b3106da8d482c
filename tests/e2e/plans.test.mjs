// Plans, how they are changed, perks, and entitlements.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { SERVICE_KEY, answered, core, costing, lawful, lawfulCharge, matches, opened, refused, sameTime } from './support.mjs'

let server, api
before(async () => {
  server = await serve({})
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const NINE = '2025-03-10T09:00:00Z'
const TEN = '2025-03-10T10:00:00Z'
const NEXT_DAY = '2025-03-11T00:00:00Z'
const PERIOD_END = '2025-04-10T09:00:00Z'
const MIB = 1024 * 1024

const PLANS = [
  // plan, daily, monthly, file uploads, MiB a file
  ['free', 100, 0, 100, 5],
  ['starter', 300, 2000, 200, 10],
  ['maker', 300, 4000, 500, 20],
  ['plus', 0, 700, 200, 10],
  ['pro', 0, 1300, 500, 20],
  ['max', 0, 2000, 1000, 20],
]

describe('a plan', () => {
  for (const [plan, daily, monthly, uploads, size] of PLANS) {
    test(`${plan} gives ${daily} credits a day, ${monthly} a month, ${uploads} files of ${size} MiB`, async () => {
      const account = await opened(api, NINE, { plan })
      const balance = await account.balance()
      const given = balance.grants.map(({ kind, category, credits }) => [kind, category, credits]).sort()
      assert.deepEqual(given, [...(daily ? [['daily', 'promo', daily]] : []), ...(monthly ? [['monthly', 'paid', monthly]] : [])])
      if (daily) matches(balance.daily, { credits: daily, remaining: daily })
      else assert.equal(balance.daily, null)
      const month = balance.grants.find(({ kind }) => kind === 'monthly')
      if (month) sameTime(month.expires_at, PERIOD_END)
      sameTime((await account.read()).period.end, PERIOD_END, 'every account has a period')
      matches((await account.read('/entitlements')).features, {
        file_uploads: { type: 'limit', limit: uploads, used: 0, remaining: uploads },
        max_file_bytes: { type: 'static', value: size * MIB },
      })
      matches(await account.at(PERIOD_END).balance(), { available: daily + monthly })
    })
  }
})

describe('a change of plan', () => {
  const legacy = ['plus', 'pro', 'max']
  const current = ['free', 'starter', 'maker']

  test('is possible to every current plan, at any time', async () => {
    for (const from of [...legacy, ...current]) {
      for (const to of current) {
        const account = await opened(api, NINE, { plan: from })
        matches(await account.at(TEN).plan(to), { plan: to, pending_plan: null })
        await lawful(account.at(TEN))
      }
    }
  })

  test('once switched to new packages, you cannot switch back to old packages', async () => {
    for (const to of legacy) {
      const account = await opened(api, NINE, { plan: 'max' })
      await account.plan('starter')
      for (const options of [{}, { effective: 'period_end' }, { dry_run: true }]) {
        refused(await account.put('/plan', { plan: to, ...options }), 409, 'plan_transition_forbidden')
      }
      const never = await opened(api, NINE, { plan: to === 'plus' ? 'pro' : 'plus' })
      refused(await never.put('/plan', { plan: to }), 409, 'plan_transition_forbidden')
      matches(await account.read(), { plan: 'starter', pending_plan: null })
    }
  })

  test('that is malformed is refused', async () => {
    const account = await opened(api, NINE)
    for (const [body, codes, field] of [[{ plan: 'gold' }, 'unknown_plan', 'plan'], [{}, 'invalid_request'], [{ plan: 'maker', effective: 'later' }, 'invalid_request', 'effective'],
      [{ plan: 'maker', dry_run: 'yes' }, 'invalid_request', 'dry_run'], [{ plan: 'maker', when: 'now' }, 'invalid_request', 'when']]) {
      refused(await account.put('/plan', body), 400, codes, field ? { field } : {})
    }
    matches(await account.read(), { plan: 'free' })
  })

  test('to the present plan changes nothing', async () => {
    const account = await opened(api, NINE, { plan: 'starter' })
    await account.charge(costing(500))
    matches(await account.plan('starter'), { plan: 'starter', balance: { available: 1800 } })
    matches(await account.at(NEXT_DAY).balance(), { available: 2100 })
  })

  test('upwards during the day tops the daily credits up by the difference', async () => {
    const account = await opened(api, NINE)
    await account.charge(costing(60))
    matches(await account.plan('starter'), { balance: { available: 240 + 2000, daily: { remaining: 240 } } })
    await lawful(account)
    matches(await account.at(NEXT_DAY).balance(), { available: 2300, daily: { credits: 300, remaining: 300 } })
  })

  test('to and fro never gives more than the plan\'s daily credits in one day, nor its monthly ones twice in a period', async () => {
    const account = await opened(api, NINE)
    await account.charge(costing(100))
    const steps = [['starter', 2200], ['free', 2200], ['starter', 2200], ['maker', 6200], ['starter', 6200], ['free', 6200], ['maker', 6200], ['free', 6200]]
    for (const [plan, available] of steps) matches(await account.plan(plan), { plan, balance: { available } }, plan)
    await lawful(account)
    matches(await account.at(NEXT_DAY).balance(), { available: 6100, daily: { credits: 100, remaining: 100 } })
    const later = account.at('2025-04-09T09:00:00Z')
    matches(await later.plan('starter'), { balance: { available: 6300 } })
    await lawful(later)
    matches(await account.at(PERIOD_END).balance(), { available: 2300 })
  })

  test('leaves today\'s daily grant as it is, and the monthly credits until the period ends', async () => {
    const account = await opened(api, NINE, { plan: 'maker' })
    matches(await account.plan('free'), { balance: { available: 4300, daily: { remaining: 300 } } })
    matches(await account.at(NEXT_DAY).balance(), { available: 4100 })
    matches(await account.at('2025-04-10T08:59:59Z').balance(), { available: 4100 })
    matches(await account.at(PERIOD_END).balance(), { available: 100 })
  })

  test('from a plan without daily credits gives the day\'s grant at once, whole', async () => {
    const account = await opened(api, NINE, { plan: 'plus' })
    await account.charge(costing(300))
    matches(await account.plan('free'), { balance: { available: 400 + 100, daily: { credits: 100, remaining: 100 } } })
    matches(await account.plan('starter'), { balance: { available: 400 + 300 + 2000, daily: { remaining: 300 } } })
    await lawful(account)
    matches(await account.at(PERIOD_END).balance(), { available: 2300 })
  })

  test('to free keeps what was bought', async () => {
    const account = await opened(api, NINE, { plan: 'maker' })
    await account.grant({ kind: 'pack', credits: 500 })
    await account.plan('free', { effective: 'period_end' })
    matches(await account.at('2025-07-01T12:00:00Z').read(), { plan: 'free', pending_plan: null, balance: { available: 600 } })
  })

  test('pays what is owed with what it gives', async () => {
    const account = await opened(api, NINE)
    await account.charge({ ...costing(1100), on_excess: 'owe' })
    matches(await account.plan('starter'), { balance: { available: 1200, owed: 0 } })
    await lawful(account)
  })
})

describe('a change of plan at the end of the period', () => {
  test('is pending until then, and comes by itself', async () => {
    const account = await opened(api, NINE, { plan: 'starter' })
    const body = await account.plan('free', { effective: 'period_end' })
    matches(body, { plan: 'starter', balance: { available: 2300 } })
    assert.ok(JSON.stringify(body.pending_plan).includes('free'))
    matches(await account.at('2025-04-10T08:59:59.999Z').read(), { plan: 'starter', balance: { available: 2300 } })
    matches(await account.at(PERIOD_END).read(), { plan: 'free', pending_plan: null })
    const then = account.at('2025-04-11T12:00:00Z')
    matches(await then.read(), { plan: 'free', balance: { available: 100 } })
    matches(await then.read('/entitlements'), { features: { file_uploads: { limit: 100 } } })
    await then.charge(costing(100))
    await lawful(then)
  })

  test('upwards gives that plan\'s credits then', async () => {
    const account = await opened(api, NINE)
    await account.plan('starter', { effective: 'period_end' })
    matches(await account.at('2025-04-10T08:59:59Z').balance(), { available: 100 })
    matches(await account.at(PERIOD_END).read(), { plan: 'starter', balance: { available: 2300 } })
    const then = account.at(PERIOD_END)
    await then.charge(costing(2300))
    await lawful(then)
  })

  test('is replaced by a second, and cancelled by naming the present plan', async () => {
    const account = await opened(api, NINE, { plan: 'starter' })
    await account.plan('free', { effective: 'period_end' })
    assert.ok(JSON.stringify((await account.plan('maker', { effective: 'period_end' })).pending_plan).includes('maker'))
    matches(await account.plan('starter'), { plan: 'starter', pending_plan: null })
    matches(await account.at(PERIOD_END).read(), { plan: 'starter', balance: { available: 2300 } })
    await account.plan('free', { effective: 'period_end' })
    matches(await account.plan('maker'), { plan: 'maker', pending_plan: null })
    matches(await account.at(PERIOD_END).read(), { plan: 'maker', balance: { available: 4300 } })
  })
})

describe('a dry run', () => {
  test('shows the account as it would be, and changes nothing', async () => {
    const account = await opened(api, NINE)
    await account.charge(costing(60))
    const [before, journal] = [await account.read(), await account.entries()]
    matches(await account.plan('starter', { dry_run: true }), { account: account.id, plan: 'starter', balance: { available: 2240 } })
    const pending = await account.plan('maker', { dry_run: true, effective: 'period_end' })
    assert.ok(JSON.stringify(pending.pending_plan).includes('maker'))
    assert.deepEqual(await account.read(), before)
    assert.deepEqual(await account.entries(), journal)
    matches(await account.plan('starter', { dry_run: false }), { plan: 'starter', balance: { available: 2240 } })
  })
})

describe('early birds', () => {
  const CORE = ['claude-sonnet-4', 'claude-3.7-sonnet-thinking', 'kimi-k2', 'gpt-4o', 'gpt-4.1', 'gemini-2.5-pro', 'gemini-2.5-flash',
    'deepseek-v3-0324', 'deepseek-r1-0528', 'grok-4', 'qwen3-coder']
  const METERS = [['input_tokens', 5000], ['images', 1], ['seconds', 1], ['uses', 1]]
  const bird = (plan = 'free') => opened(api, NINE, { plan, perks: ['early_bird'] })

  test('core models support unlimited calls, no credit consumption, and other models burn credits as for anyone', async () => {
    const account = await bird('max')
    const { models } = answered(await api.get('/v1/catalog'))
    const free = []
    for (const id of Array.isArray(models) ? models.map((model) => model.id) : Object.keys(models)) {
      for (const [meter, quantity] of METERS) {
        const response = await account.post('/estimate', { model: id, usage: { [meter]: quantity } }, { idempotencyKey: null })
        if (response.status === 400) continue // Not this model's meter.
        const { waived, credits, list_credits } = answered(response)
        assert.ok(list_credits > 0)
        assert.equal(credits, waived ? 0 : list_credits, id)
        if (waived) free.push(id)
      }
    }
    assert.deepEqual([...free].sort(), [...CORE].sort())
    assert.deepEqual([...(await account.read('/entitlements')).unlimited_models].sort(), [...CORE].sort())
    assert.deepEqual((await (await opened(api, NINE)).read('/entitlements')).unlimited_models, [])
  })

  test('a free call is recorded all the same, with what it would have cost', async () => {
    const account = await bird()
    await account.charge(costing(100))
    const { charge, balance } = await account.charge(core(7))
    matches(charge, { credits: 0, list_credits: 7, waived: true, owed: 0, draws: [], lines: [{ model: 'kimi-k2', quantity: 17_500, rate: 2, credits: 7 }] })
    matches(balance, { available: 0 })
    lawfulCharge(charge)
    assert.equal((await account.entries('&kind=charged')).at(-1).credits, 0)
    matches(await account.charge({ items: [core(3), { model: 'grok-4', usage: { output_tokens: 1 } }] }), { charge: { credits: 0, list_credits: 4, waived: true } })
  })

  test('in a workflow of both, the core models are left out and the rest is rounded once', async () => {
    const account = await bird()
    const items = [core(1), { model: 'claude-opus-4', usage: { input_tokens: 1000 } }, { credits: 0.3, description: 'upload' }]
    const { charge } = await account.charge({ items })
    matches(charge, { credits: 11, list_credits: 12, waived: false, rounding: 0.1, lines: [{ waived: true, credits: 1 }, { credits: 10.6 }, { credits: 0.3 }] })
    assert.ok(!charge.lines[1].waived && !charge.lines[2].waived)
    lawfulCharge(charge)
    await lawful(account)
  })

  test('the perk is granted and revoked, whatever the plan', async () => {
    const account = await opened(api, NINE, { plan: 'pro' })
    matches(await account.charge(core(5)), { charge: { credits: 5, waived: false } })
    for (const again of [1, 2]) {
      const { perks } = answered(await account.put('/perks/early_bird'))
      assert.ok(perks.length === 1 && JSON.stringify(perks).includes('early_bird'), `time ${again}`)
    }
    matches(await account.charge(core(5)), { charge: { credits: 0, waived: true } })
    await account.plan('free')
    matches(await account.charge(core(5)), { charge: { credits: 0, waived: true } })
    for (const again of [1, 2]) assert.deepEqual(answered(await account.delete('/perks/early_bird')).perks, [], `time ${again}`)
    matches(await account.charge(core(5)), { charge: { credits: 5, waived: false } })
    refused(await account.put('/perks/night_owl'), 400, 'unknown_perk')
    await lawful(account)
  })
})
