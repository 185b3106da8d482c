// Transaction history and consumption details: the journal, and the usage that it adds up to.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { Account, SERVICE_KEY, answered, core, costing, figures, lawful, matches, opened, refused, sameTime, sum } from './support.mjs'

let server, api
before(async () => {
  server = await serve({})
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const NINE = '2025-03-10T09:00:00Z'
const at = (time) => `2025-03-10T${time}Z`
const encoded = encodeURIComponent
const keyed = (groups) => Object.fromEntries(groups.map((group) => [group.key, group]))
const flux = (images) => ({ model: 'flux-dev', usage: { images } })

describe('the journal', () => {
  test('all credits can be viewed in transaction history', async () => {
    const account = await opened(api, NINE)
    const { grant } = await account.at(at('10:00:00')).grant({ kind: 'pack', credits: 50 })
    const { charge } = await account.at(at('10:01:00')).charge(costing(10))
    const { hold } = await account.at(at('10:02:00')).hold(costing(20))
    await account.at(at('10:03:00')).capture(hold.id, costing(15))
    await account.at(at('10:04:00')).refund(charge.id, { credits: 4 })
    const { hold: other } = await account.at(at('10:05:00')).hold(costing(5))
    answered(await account.at(at('10:06:00')).post(`/holds/${other.id}/extend`, { ttl_seconds: 60 }))
    await account.at(at('10:06:30')).release(other.id)
    answered(await account.at(at('10:07:00')).post(`/grants/${grant.id}/void`))
    answered(await account.at(at('10:08:00')).put('/perks/early_bird'))
    answered(await account.at(at('10:09:00')).delete('/perks/early_bird'))
    answered(await account.at(at('10:10:00')).patch({ time_zone: 'Asia/Kolkata' }))
    answered(await account.at(at('10:11:00')).post('/entitlements/file_uploads/use', { quantity: 2 }))
    answered(await account.at(at('10:12:00')).post('/entitlements/file_uploads/return', { quantity: 1 }))
    const now = account.at(at('10:13:00'))
    await now.plan('starter')

    const entries = await now.entries()
    for (const entry of entries) {
      assert.ok(Number.isInteger(entry.seq) && typeof entry.id === 'string' && typeof entry.kind === 'string' && typeof entry.credits === 'number', JSON.stringify(entry))
      sameTime(entry.at, entry.at)
    }
    assert.equal(new Set(entries.map(({ id }) => id)).size, entries.length)
    assert.equal(entries[0].kind, 'opened')
    const changes = entries.filter(({ at: time }) => Date.parse(time) > Date.parse(NINE)).map(({ kind, credits }) => [kind, credits])
    const expected = [['granted', 50], ['charged', -10], ['held', -20], ['captured', 5], ['refunded', 4], ['held', -5], ['extended', 0], ['released', 5],
      ['voided', -50], ['perk_granted', 0], ['perk_revoked', 0], ['updated', 0], ['feature_used', 0], ['feature_returned', 0]]
    assert.deepEqual(changes.slice(0, expected.length), expected)
    assert.ok(changes.slice(expected.length).some(([kind]) => kind === 'plan_changed'))
    matches(await lawful(now), { available: 100 - 10 - 15 + 4 + 200 + 2000 })
  })

  test('is newest first unless it is asked for oldest first', async () => {
    const account = await opened(api, NINE)
    for (const credits of [1, 2, 3]) await account.charge(costing(credits))
    const oldest = await account.entries()
    assert.deepEqual((await account.read('/entries')).entries, [...oldest].reverse())
    assert.deepEqual((await account.read('/entries?order=desc')).entries, [...oldest].reverse())
    assert.deepEqual((await account.read('/entries?order=asc')).entries, oldest)
    assert.equal((await account.read('/entries?order=asc')).next_cursor, null)
  })

  for (const order of ['desc', 'asc']) {
    test(`is read page by page (${order}), and neither skips nor repeats while entries are added`, async () => {
      const account = await opened(api, NINE)
      for (let n = 0; n < 10; n += 1) await account.charge(costing(1))
      const before = (await account.entries()).map(({ seq }) => seq)
      const read = []
      for (let cursor = '', added = 0; cursor !== null;) {
        const page = await account.read(`/entries?limit=3&order=${order}${cursor && `&cursor=${encoded(cursor)}`}`)
        assert.ok(page.entries.length <= 3)
        read.push(...page.entries.map(({ seq }) => seq))
        cursor = page.next_cursor
        if ((added += 1) <= 3) await account.charge(costing(1))
      }
      assert.equal(new Set(read).size, read.length, 'nothing is repeated')
      assert.deepEqual(read, [...read].sort((a, b) => (order === 'asc' ? a - b : b - a)))
      const all = (await account.entries()).map(({ seq }) => seq)
      assert.deepEqual([...read].sort((a, b) => a - b), order === 'asc' ? all : before, 'nothing is skipped')
    })
  }

  test('gives fifty entries unless asked, and two hundred at most', async () => {
    const account = await opened(api, NINE)
    for (let n = 0; n < 60; n += 1) await account.charge(costing(1))
    const page = await account.read('/entries')
    assert.equal(page.entries.length, 50)
    assert.equal(typeof page.next_cursor, 'string')
    assert.equal((await account.read('/entries?limit=1')).entries.length, 1)
    assert.ok((await account.read('/entries?limit=200')).entries.length > 60)
    for (const limit of ['0', '201', '-1', '1.5', 'all', '', '1e1']) refused(await account.get(`/entries?limit=${limit}`), 400, 'invalid_request')
    for (const order of ['up', '', 'ASC']) refused(await account.get(`/entries?order=${order}`), 400, 'invalid_request')
    for (const cursor of ['nonsense', '%00', '-1', page.next_cursor + 'x', '99999999999999999999']) {
      refused(await account.get(`/entries?cursor=${cursor === '%00' ? cursor : encoded(cursor)}`), 400, 'invalid_cursor')
    }
  })

  test('is filtered by kind, model and time', async () => {
    const account = await opened(api, NINE)
    const calls = [[at('10:00:00'), core(1)], [at('11:00:00'), flux(1)], [at('12:00:00'), core(2)], [at('13:00:00'), { items: [core(3), flux(1)] }]]
    for (const [clock, request] of calls) await account.at(clock).charge(request)
    const now = account.at(at('14:00:00'))
    const charged = async (query) => (await now.entries(`&kind=charged${query}`)).map(({ at: time }) => new Date(time).toISOString())
    const time = ([clock]) => new Date(clock).toISOString()
    assert.deepEqual(await charged(''), calls.map(time))
    assert.deepEqual(await charged('&model=kimi-k2'), [calls[0], calls[2], calls[3]].map(time))
    assert.deepEqual(await charged('&model=flux-dev'), [calls[1], calls[3]].map(time))
    assert.deepEqual(await charged(`&from=${encoded(at('11:00:00'))}&to=${encoded(at('13:00:00'))}`), [calls[1], calls[2]].map(time), 'from is inclusive, to exclusive')
    assert.deepEqual(await charged(`&model=kimi-k2&from=${encoded(at('10:00:00.001'))}`), [calls[2], calls[3]].map(time))
    assert.deepEqual(await charged(`&to=${encoded(at('09:00:00'))}`), [])
    assert.ok((await now.entries('&kind=granted')).every(({ kind }) => kind === 'granted'))
    for (const query of ['kind=paid', 'kind=', 'from=yesterday', 'to=2025-03-10', 'page=2', 'Kind=charged']) {
      refused(await now.get(`/entries?${query}`), 400, 'invalid_request')
    }
  })

  test('filtered pages add up to the filtered whole', async () => {
    const account = await opened(api, NINE)
    for (let n = 0; n < 9; n += 1) await account.charge(n % 2 ? flux(1) : core(1))
    const whole = await account.entries('&model=kimi-k2')
    const pages = []
    for (let cursor = ''; cursor !== null;) {
      const page = await account.read(`/entries?order=asc&limit=2&model=kimi-k2${cursor && `&cursor=${encoded(cursor)}`}`)
      pages.push(...page.entries)
      cursor = page.next_cursor
    }
    assert.deepEqual(pages, whole)
    assert.equal(pages.length, 5)
  })

  test('of another account is another', async () => {
    const [one, two] = [await opened(api, NINE), await opened(api, NINE)]
    await one.charge(costing(10))
    assert.equal((await two.entries('&kind=charged')).length, 0)
    assert.deepEqual(figures(await two.balance()), { available: 100, held: 0, owed: 0 })
  })
})

describe('usage', () => {
  /** Two days of calls, of all modalities. */
  async function used() {
    const account = await opened(api, NINE, { plan: 'max' })
    await account.at(at('10:00:00')).charge({ model: 'kimi-k2', usage: { input_tokens: 1000, output_tokens: 500 } }) // 0.6: 1
    const { charge } = await account.at(at('11:00:00')).charge(core(10))
    const { hold } = await account.at(at('12:00:00')).hold(costing(20))
    await account.at(at('12:01:00')).capture(hold.id, costing(15))
    await account.at(at('12:02:00')).hold({ ...costing(5), ttl_seconds: 86_400 })
    await account.at('2025-03-11T09:00:00Z').charge({ items: [{ model: 'kimi-k2', usage: { input_tokens: 1000 } }, flux(2), { model: 'bark', usage: { uses: 1 } }] }) // 18.4: 19
    await account.at('2025-03-11T10:00:00Z').charge({ model: 'wan-2.2-fast', usage: { seconds: 1.5 } }) // 10.5: 11
    await account.at('2025-03-11T11:00:00Z').refund(charge.id, { credits: 4 })
    return new Account(api, account.id, '2025-03-11T12:00:00Z')
  }

  test('by model says what each cost, and how much of it was used', async () => {
    const account = await used()
    const body = await account.read('/usage?group_by=model')
    assert.equal(body.group_by, 'model')
    const groups = keyed(body.groups)
    matches(groups, {
      'kimi-k2': { credits: 7.4, quantities: { input_tokens: 1000 + 25_000 + 1000, output_tokens: 500 } },
      'gpt-oss-120b': { credits: 15, list_credits: 15, calls: 1, quantities: { input_tokens: 75_000 } },
      'flux-dev': { credits: 8, quantities: { images: 2 } },
      bark: { credits: 10.6, quantities: { uses: 1 } },
      'wan-2.2-fast': { credits: 11, list_credits: 11, calls: 1, quantities: { seconds: 1.5 } },
    })
    assert.equal(body.groups.length, 5)
    matches(body.total, { credits: 52 })
    assert.equal(sum(body.groups, ({ credits }) => credits), 52)
  })

  test('by day and by modality adds up to the same, and to the journal', async () => {
    const account = await used()
    const days = await account.read('/usage?group_by=day')
    matches(keyed(days.groups), { '2025-03-10': { credits: 26, calls: 3 }, '2025-03-11': { credits: 26 } })
    const modalities = await account.read('/usage?group_by=modality')
    matches(keyed(modalities.groups), { text: { credits: 22.4 }, image: { credits: 8 }, audio: { credits: 10.6 }, video: { credits: 11 } })
    for (const body of [days, modalities]) {
      matches(body.total, { credits: 52 })
      assert.equal(sum(body.groups, ({ credits }) => credits), 52)
    }
    const moved = (await account.entries()).filter(({ kind }) => ['held', 'captured', 'charged', 'refunded'].includes(kind))
    assert.equal(sum(moved, ({ credits }) => credits), -52 - 5, 'five more are held')
  })

  test('is of the time that is asked for', async () => {
    const account = await used()
    const total = async (query) => (await account.read(`/usage?group_by=model${query}`)).total.credits
    assert.equal(await total(`&from=${encoded(at('11:00:00'))}`), 51)
    assert.equal(await total(`&to=${encoded(at('11:00:00'))}`), 1)
    assert.equal(await total(`&from=${encoded(at('11:00:00'))}&to=${encoded(at('12:01:00'))}`), 10)
    assert.equal(await total('&from=2025-03-11T10:30:00Z'), -4, 'refunds count when made')
    const none = await account.read('/usage?group_by=model&from=2025-03-11T11:30:00Z')
    matches(none, { groups: [], total: { credits: 0 } })
    for (const query of ['group_by=week', 'group_by=', 'group_by=model&from=yesterday', 'group_by=model&limit=5']) {
      refused(await account.get(`/usage?${query}`), 400, 'invalid_request')
    }
  })

  test('by day is by the account\'s own days', async () => {
    const account = await opened(api, NINE, { plan: 'free', time_zone: 'Asia/Kolkata' })
    await account.at(at('18:29:59.999')).charge(costing(3))
    await account.at(at('18:30:00')).charge(costing(4))
    const { groups } = await account.at(at('19:00:00')).read('/usage?group_by=day')
    matches(keyed(groups), { '2025-03-10': { credits: 3, calls: 1 }, '2025-03-11': { credits: 4, calls: 1 } })
  })

  test('of an early bird shows what it would have cost', async () => {
    const account = await opened(api, NINE, { plan: 'free', perks: ['early_bird'] })
    await account.charge(core(40))
    await account.charge({ items: [{ model: 'gpt-oss-120b', usage: { input_tokens: 2500 } }, core(2)] }) // 0.5: 1
    const { groups, total } = await account.read('/usage?group_by=model')
    matches(keyed(groups), { 'kimi-k2': { credits: 0, quantities: { input_tokens: 105_000 } }, 'gpt-oss-120b': { credits: 1, quantities: { input_tokens: 2500 } } })
    matches(total, { credits: 1, list_credits: 43 })
    assert.equal(sum(groups, ({ list_credits }) => list_credits), 43)
  })
})
