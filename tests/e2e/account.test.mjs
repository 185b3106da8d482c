// Opening an account, reading it, and who may.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { Account, SERVICE_KEY, answered, core, costing, figures, lawful, matches, opened, refused, sameTime, send, unique } from './support.mjs'

let server, api
before(async () => {
  server = await serve({})
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const NOON = '2025-03-10T12:00:00Z'
const unopened = (clock = NOON) => new Account(api, unique(), clock)

describe('opening', () => {
  test('every new registered user gets a free trial: 100 daily credits', async () => {
    const account = unopened()
    const body = answered(await account.put('', { plan: 'free' }), 201)
    matches(body, {
      account: account.id, plan: 'free', pending_plan: null, time_zone: 'UTC', perks: [],
      balance: { account: account.id, available: 100, held: 0, owed: 0, daily: { credits: 100, remaining: 100 } },
    })
    sameTime(body.opened_at, NOON)
    sameTime(body.period.start, NOON)
    sameTime(body.period.end, '2025-04-10T12:00:00Z')
    sameTime(body.balance.as_of, NOON)
    sameTime(body.balance.daily.refreshes_at, '2025-03-11T00:00:00Z')
    matches(body.balance.grants, [{ kind: 'daily', category: 'promo', credits: 100, remaining: 100, held: 0 }])
    sameTime(body.balance.grants[0].expires_at, '2025-03-11T00:00:00Z')
    assert.deepEqual(await account.read(), body, 'reading it says the same')
    assert.deepEqual(await account.balance(), body.balance)
    await lawful(account)
  })

  test('opening the same again changes nothing, and anything else is a conflict', async () => {
    const account = await opened(api, NOON, { plan: 'starter', time_zone: 'Asia/Kolkata' })
    await account.charge(costing(50))
    const before = await account.entries()
    const same = answered(await account.at('2025-03-10T13:00:00Z').put('', { plan: 'starter', time_zone: 'Asia/Kolkata' }))
    matches(same, { account: account.id, plan: 'starter', balance: { available: 2250 } })
    sameTime(same.opened_at, NOON)
    for (const other of [{ plan: 'free', time_zone: 'Asia/Kolkata' }, { plan: 'starter', time_zone: 'Europe/Paris' },
      { plan: 'starter', time_zone: 'Asia/Kolkata', perks: ['early_bird'] }, { plan: 'starter', time_zone: 'Asia/Kolkata', since: '2024-01-01T00:00:00Z' }]) {
      refused(await account.put('', other), 409, 'account_exists')
    }
    assert.deepEqual(await account.entries(), before)
  })

  const allowances = [['free', 100], ['starter', 2300], ['maker', 4300], ['plus', 700], ['pro', 1300], ['max', 2000]]
  for (const [plan, available] of allowances) {
    test(`an account opens on ${plan} with ${available} credits`, async () => {
      const account = await opened(api, NOON, { plan })
      matches(await account.read(), { plan, balance: { available } })
      await lawful(account)
    })
  }

  test('a month is counted from `since`, so that old members keep their day', async () => {
    const account = await opened(api, '2025-03-20T08:00:00Z', { plan: 'plus', since: '2024-01-15T10:00:00Z' })
    const { period, opened_at, balance } = await account.read()
    sameTime(period.start, '2025-03-15T10:00:00Z')
    sameTime(period.end, '2025-04-15T10:00:00Z')
    sameTime(opened_at, '2025-03-20T08:00:00Z')
    assert.equal(balance.available, 700)
    assert.equal(balance.daily, null, 'a legacy plan has no daily credits')
  })

  test('an early bird is marked from the start', async () => {
    const account = await opened(api, NOON, { plan: 'free', perks: ['early_bird'] })
    const { perks } = await account.read()
    assert.equal(perks.length, 1)
    assert.ok(JSON.stringify(perks).includes('early_bird'))
    matches(await account.charge(core(5)), { charge: { credits: 0, waived: true, list_credits: 5 } })
  })

  const bad = [
    ['no plan', {}, 'invalid_request'],
    ['an unknown plan', { plan: 'platinum' }, 'unknown_plan', 'plan'],
    ['a plan in capitals', { plan: 'Free' }, 'unknown_plan', 'plan'],
    ['a plan that is no string', { plan: 1 }, ['invalid_request', 'unknown_plan'], 'plan'],
    ['an unknown time zone', { plan: 'free', time_zone: 'Mars/Olympus' }, 'invalid_time_zone', 'time_zone'],
    ['an empty time zone', { plan: 'free', time_zone: '' }, 'invalid_time_zone', 'time_zone'],
    ['an offset for a time zone', { plan: 'free', time_zone: '+02:00' }, 'invalid_time_zone', 'time_zone'],
    ['a time zone that climbs', { plan: 'free', time_zone: '../../etc/passwd' }, 'invalid_time_zone', 'time_zone'],
    ['an unknown perk', { plan: 'free', perks: ['night_owl'] }, 'unknown_perk'],
    ['perks that are no list', { plan: 'free', perks: 'early_bird' }, 'invalid_request'],
    ['a since that is no time', { plan: 'free', since: 'yesterday' }, 'invalid_request', 'since'],
    ['an unknown field', { plan: 'free', credits: 1e6 }, 'invalid_request', 'credits'],
    ['a list', [], ['invalid_request', 'invalid_json']],
  ]
  for (const [title, body, codes, field] of bad) {
    test(`opening with ${title} is refused, and opens nothing`, async () => {
      const account = unopened()
      refused(await account.put('', body), 400, codes, field ? { field } : {})
      refused(await account.get(), 404, 'account_not_found')
    })
  }
})

describe('account ids', () => {
  test('ids of every allowed character, and of 128, are different accounts', async () => {
    const tail = unique('A-Z.a_z:0@9')
    for (const id of [tail, tail.toUpperCase(), tail.toLowerCase(), tail.padEnd(128, 'x')]) {
      const account = new Account(api, id, NOON)
      matches(answered(await account.put('', { plan: 'free' }), 201), { account: id })
    }
  })

  test('an id is percent-decoded', async () => {
    const id = unique('some@one')
    answered(await api.at(NOON).put(`/v1/accounts/${id.replace('@', '%40')}`, { plan: 'free' }), 201)
    matches(answered(await api.at(NOON).get(`/v1/accounts/${id}`)), { account: id })
  })

  test('other ids are refused', async () => {
    for (const id of ['x'.repeat(129), 'a%20b', 'a%2Fb', '%C3%BC', 'a*b', 'a%00b', 'a%0Ab', '%ff', 'a+b', 'a~b']) {
      refused(await api.at(NOON).put(`/v1/accounts/${id}`, { plan: 'free' }), 400, 'invalid_account_id')
      refused(await api.at(NOON).get(`/v1/accounts/${id}/balance`), 400, 'invalid_account_id')
    }
  })

  test('an account that was never opened is not found, whatever is asked of it', async () => {
    const account = unopened()
    for (const rest of ['', '/balance', '/entries', '/usage', '/holds', '/entitlements', '/holds/h']) {
      refused(await account.get(rest), 404, 'account_not_found')
    }
    refused(await account.patch({ time_zone: 'Europe/Paris' }), 404, 'account_not_found')
    refused(await account.put('/plan', { plan: 'starter' }), 404, 'account_not_found')
    refused(await account.put('/perks/early_bird'), 404, 'account_not_found')
    refused(await account.delete('/perks/early_bird'), 404, 'account_not_found')
    const posts = [['/charges', costing(1)], ['/holds', costing(1)], ['/estimate', costing(1)], ['/grants', { kind: 'pack', credits: 1 }],
      ['/holds/h/capture', costing(1)], ['/holds/h/release', {}], ['/charges/c/refund', {}], ['/grants/g/void', {}],
      ['/entitlements/file_uploads/use', { quantity: 1 }]]
    for (const [rest, body] of posts) refused(await account.post(rest, body), 404, 'account_not_found')
  })
})

describe('who may call', () => {
  test('no credentials, or bad ones, open nothing', async () => {
    const account = await opened(api, NOON)
    for (const authorization of [undefined, 'Bearer', 'Bearer ', 'Bearer wrong', 'Bearer dev-service-ke', 'Bearer dev-service-keys',
      'Bearer DEV-SERVICE-KEY', 'Basic ZGV2LXNlcnZpY2Uta2V5', 'dev-service-key', 'Bearer a.b.c', 'Bearer dev-service-key,dev-service-key']) {
      const headers = authorization === undefined ? {} : { Authorization: authorization }
      refused(await send(server, 'GET', account.path('/balance'), { headers }), 401, 'unauthenticated')
      refused(await send(server, 'PUT', account.path('/plan'), { headers, body: '{"plan":"maker"}' }), 401, 'unauthenticated')
    }
    matches(await account.read(), { plan: 'free' })
  })

  test('several service keys may be in use, and without a test clock time is the real one', async () => {
    const other = await serve({ vars: { SERVICE_KEYS: 'one,,two', TEST_CLOCK: null } })
    try {
      const path = `/v1/accounts/${unique()}`
      const before = Date.now()
      answered(await client(other, { key: 'one' }).put(path, { plan: 'free' }), 201)
      const balance = answered(await client(other, { key: 'two' }).get(`${path}/balance`))
      assert.ok(Math.abs(Date.parse(balance.as_of) - before) < 60_000)
      for (const key of ['', 'dev-service-key', 'one,two', ',']) {
        refused(await send(other, 'GET', path, { headers: { Authorization: `Bearer ${key}` } }), 401, 'unauthenticated')
      }
      for (const clock of [NOON, 'yesterday']) {
        refused(await send(other, 'GET', `${path}/balance`, { key: 'one', headers: { 'Test-Clock': clock } }), 400, 'test_clock_disabled')
      }
    } finally {
      await other.stop()
    }
  })

  test('a test clock is a time, in any offset', async () => {
    const account = await opened(api, NOON)
    sameTime((await account.at('2025-03-10T16:30:00.250+02:00').balance()).as_of, '2025-03-10T14:30:00.250Z')
    for (const clock of ['yesterday', '2025-03-10', '2025-02-30T00:00:00Z', '2025-03-10T12:00:00', '1741608000']) {
      refused(await send(server, 'GET', account.path('/balance'), { key: SERVICE_KEY, headers: { 'Test-Clock': clock } }), 400)
    }
  })
})

describe('changing', () => {
  test('the time zone and the display name can be changed, and nothing else', async () => {
    const account = await opened(api, NOON, { plan: 'free', perks: ['early_bird'] })
    matches(answered(await account.patch({ time_zone: 'America/New_York' })), { account: account.id, time_zone: 'America/New_York', plan: 'free' })
    const name = unique('Ada')
    matches(answered(await account.patch({ display_name: name })), { account: account.id, time_zone: 'America/New_York' })
    assert.ok(JSON.stringify(answered(await send(server, 'GET', '/v1/memorial-wall'))).includes(name), 'the wall names who chose to be named')
    for (const [body, codes] of [[{ plan: 'maker' }, 'invalid_request'], [{ perks: [] }, 'invalid_request'], [{ display_name: 5 }, 'invalid_request'],
      [{ time_zone: 'Nowhere' }, 'invalid_time_zone'], [{ time_zone: 'Europe/Paris', colour: 1 }, 'invalid_request']]) {
      refused(await account.patch(body), 400, codes)
    }
    matches(await account.read(), { time_zone: 'America/New_York', plan: 'free' })
  })

  test('unknown query parameters are refused', async () => {
    const account = await opened(api, NOON)
    for (const rest of ['?x=1', '/balance?x=1', '/balance?At=2025', '/holds?x=1', '/entries?x=1', '/usage?group_by=model&x=1', '/entitlements?x=1']) {
      refused(await account.get(rest), 400, 'invalid_request')
    }
  })
})

test('reads never write', async () => {
  const account = await opened(api, NOON, { plan: 'starter' })
  await account.hold({ ...costing(5), ttl_seconds: 60 })
  const journal = await account.entries()
  for (const clock of ['2025-03-10T12:30:00Z', '2025-03-12T00:00:00Z', '2025-09-01T00:00:00Z']) {
    const later = account.at(clock)
    for (const rest of ['', '/balance', '/holds', '/entries', '/usage?group_by=model', '/entitlements']) await later.read(rest)
    answered(await later.post('/estimate', costing(5), { idempotencyKey: null }))
    matches(await later.put('/plan', { plan: 'maker', dry_run: true }), { status: 200 })
    assert.deepEqual(await later.entries(), journal)
    lawfulAt(await later.balance(), clock)
  }
  const { charge } = await account.at('2025-03-10T12:10:00Z').charge(costing(1))
  sameTime(charge.at, '2025-03-10T12:10:00Z', 'nor do reads move the account\'s clock')
})

function lawfulAt(balance, clock) {
  sameTime(balance.as_of, clock)
  matches(figures(balance), { available: 2300, held: 0, owed: 0 })
}

describe('the estimate of an account', () => {
  test('shows expected consumption before each generation, and what it would leave', async () => {
    const account = await opened(api, NOON)
    const request = { model: 'gpt-4o', usage: { input_tokens: 5000 } }
    const body = answered(await account.post('/estimate', request, { idempotencyKey: null }))
    matches(body, {
      credits: 7, list_credits: 7, waived: false, access: { allowed: true }, draws: [{ kind: 'daily', credits: 7 }],
      balance_after: { available: 93, held: 0, owed: 0 },
      affordable: { input_tokens: 71_428, output_tokens: 66_428 },
    })
    matches(await account.charge(request), { charge: { credits: body.credits, draws: body.draws }, balance: body.balance_after })
  })

  test('says so where the credits do not suffice', async () => {
    const account = await opened(api, NOON)
    const body = answered(await account.post('/estimate', costing(101), { idempotencyKey: null }))
    matches(body, { credits: 101, access: { allowed: false, code: 'insufficient_credits' }, draws: [], balance_after: { available: 100, held: 0, owed: 0 } })
    const free = await opened(api, NOON, { plan: 'free', perks: ['early_bird'] })
    matches(answered(await free.post('/estimate', core(5000), { idempotencyKey: null })),
      { credits: 0, list_credits: 5000, waived: true, access: { allowed: true }, draws: [], balance_after: { available: 100 } })
  })
})
