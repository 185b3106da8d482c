// What time does to a balance: days, months, zones, and silence.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { SERVICE_KEY, after as later, answered, core, costing, lawful, matches, opened, refused, sameTime } from './support.mjs'

let server, api
before(async () => {
  server = await serve({})
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const NINE = '2025-03-10T09:00:00Z'

describe('a credit day', () => {
  test('daily credits automatically refresh and do not accumulate to the next day', async () => {
    const account = await opened(api, NINE)
    for (const clock of ['2025-03-11T00:00:00Z', '2025-03-15T12:00:00Z', '2025-12-31T23:59:59Z']) {
      matches(await account.at(clock).balance(), { available: 100, daily: { credits: 100, remaining: 100 } })
    }
    const then = account.at('2025-03-15T12:00:00Z')
    matches(await then.charge(costing(60)), { balance: { available: 40 } })
    matches(await account.at('2025-03-16T00:00:00Z').balance(), { available: 100 })
    await lawful(then)
  })

  test('ends at midnight, to the millisecond', async () => {
    const account = await opened(api, NINE)
    await account.charge(costing(60))
    const before = account.at('2025-03-10T23:59:59.999Z')
    matches(await before.balance(), { available: 40, daily: { credits: 100, remaining: 40 } })
    sameTime((await before.balance()).daily.refreshes_at, '2025-03-11T00:00:00Z')
    refused(await before.post('/charges', costing(41)), 402, 'insufficient_credits', { available: 40 })
    const midnight = account.at('2025-03-11T00:00:00.000Z')
    matches(await midnight.balance(), { available: 100, daily: { credits: 100, remaining: 100 } })
    sameTime((await midnight.balance()).daily.refreshes_at, '2025-03-12T00:00:00Z')
    await midnight.charge(costing(100))
    matches(await lawful(midnight), { available: 0 })
  })

  const zones = [
    // zone, a moment, the midnight after it, the one after that
    ['UTC', '2025-03-10T09:00:00Z', '2025-03-11T00:00:00Z', '2025-03-12T00:00:00Z'],
    ['Asia/Kolkata', '2025-03-10T09:00:00Z', '2025-03-10T18:30:00Z', '2025-03-11T18:30:00Z'],
    ['Asia/Kathmandu', '2025-03-10T09:00:00Z', '2025-03-10T18:15:00Z', '2025-03-11T18:15:00Z'],
    ['America/New_York', '2025-03-09T04:59:00Z', '2025-03-09T05:00:00Z', '2025-03-10T04:00:00Z'], // 23 hours
    ['America/New_York', '2025-11-02T03:59:00Z', '2025-11-02T04:00:00Z', '2025-11-03T05:00:00Z'], // 25 hours
    ['Pacific/Chatham', '2025-04-05T10:00:00Z', '2025-04-05T10:15:00Z', '2025-04-06T11:15:00Z'],
    ['Pacific/Kiritimati', '2025-06-10T09:00:00Z', '2025-06-10T10:00:00Z', '2025-06-11T10:00:00Z'],
    ['America/Sao_Paulo', '2018-11-03T12:00:00Z', '2018-11-04T03:00:00Z', '2018-11-05T02:00:00Z'], // a midnight that the zone skips
    ['Africa/Cairo', '2024-04-25T12:00:00Z', '2024-04-25T22:00:00Z', '2024-04-26T21:00:00Z'],
    ['America/Havana', '2024-11-02T12:00:00Z', '2024-11-03T04:00:00Z', '2024-11-04T05:00:00Z'], // a midnight that comes twice
    ['Pacific/Apia', '2011-12-29T12:00:00Z', '2011-12-30T10:00:00Z', '2011-12-31T10:00:00Z'], // a day that the zone skips
  ]
  for (const [time_zone, clock, midnight, following] of zones) {
    test(`in ${time_zone} the day of ${clock} ends at ${midnight}, and the next at ${following}`, async () => {
      const account = await opened(api, clock, { plan: 'free', time_zone })
      await account.charge(costing(100))
      const days = [[clock, midnight], [midnight, following]]
      for (const [start, end] of days) {
        for (const moment of [start, later(start, 1), later(end, -0.001)]) {
          sameTime((await account.at(moment).balance()).daily.refreshes_at, end, `at ${moment}`)
        }
        matches(await account.at(later(end, -0.001)).balance(), { available: 0 })
        matches(await account.at(end).charge(costing(100)), { balance: { available: 0 } })
      }
      await lawful(account.at(following))
    })
  }

  test('days on which nothing happened leave no entries', async () => {
    const account = await opened(api, NINE)
    const then = account.at('2026-03-10T09:00:00Z')
    await then.charge(costing(1))
    const entries = await then.entries()
    assert.ok(entries.length < 12, `${entries.length} entries for two days with something in them`)
    matches(await lawful(then), { available: 99 })
  })
})

describe('a month', () => {
  test('old members keep their monthly automatic credit distribution', async () => {
    const account = await opened(api, '2025-01-15T10:00:00Z', { plan: 'plus' })
    await account.charge(costing(200))
    matches(await account.at('2025-02-15T09:59:59.999Z').balance(), { available: 500, daily: null })
    matches(await account.at('2025-02-15T10:00:00Z').balance(), { available: 700, daily: null })
    matches(await account.at('2025-08-01T00:00:00Z').charge(costing(700)), { balance: { available: 0 } })
    matches(await account.at('2025-08-15T10:00:00Z').balance(), { available: 700 })
    await lawful(account.at('2025-08-01T00:00:00Z'))
  })

  test('each package includes daily credit refresh and monthly bonus credits', async () => {
    const account = await opened(api, '2025-01-15T10:00:00Z', { plan: 'starter' })
    await account.charge(costing(1000))
    matches(await account.at('2025-01-16T00:00:00Z').balance(), { available: 1600, daily: { remaining: 300 } })
    matches(await account.at('2025-02-15T09:59:59Z').balance(), { available: 1600 })
    matches(await account.at('2025-02-15T10:00:00Z').balance(), { available: 2300 })
  })

  const anchors = [
    ['2025-01-31T12:00:00Z', 'UTC', ['2025-02-28T12:00:00Z', '2025-03-31T12:00:00Z', '2025-04-30T12:00:00Z', '2025-05-31T12:00:00Z']],
    ['2024-01-31T12:00:00Z', 'UTC', ['2024-02-29T12:00:00Z', '2024-03-31T12:00:00Z', '2024-04-30T12:00:00Z']],
    ['2024-02-29T00:00:00Z', 'UTC', ['2024-03-29T00:00:00Z', '2024-04-29T00:00:00Z']],
    ['2025-02-01T04:00:00Z', 'America/New_York', ['2025-03-01T04:00:00Z', '2025-04-01T03:00:00Z', '2025-05-01T03:00:00Z', '2025-06-01T03:00:00Z']],
    ['2024-12-31T20:00:00Z', 'Asia/Kolkata', ['2025-01-31T20:00:00Z', '2025-02-28T20:00:00Z']],
  ]
  for (const [start, time_zone, ends] of anchors) {
    test(`that began at ${start} in ${time_zone} is renewed on that local day and time, or the month's last`, async () => {
      const account = await opened(api, start, { plan: 'max', time_zone })
      for (const [index, end] of ends.entries()) {
        const begin = index ? ends[index - 1] : start
        for (const moment of [begin, later(end, -0.001)]) {
          const { period } = await account.at(moment).read()
          sameTime(period.start, begin, `at ${moment}`)
          sameTime(period.end, end, `at ${moment}`)
        }
        await account.at(later(end, -0.001)).charge(costing(2000))
        matches(await account.at(end).balance(), { available: 2000 })
      }
    })
  }

  test('keeps the zone in which it began', async () => {
    const account = await opened(api, '2025-01-15T10:00:00Z', { plan: 'plus', time_zone: 'America/New_York' })
    answered(await account.patch({ time_zone: 'Asia/Tokyo' }))
    sameTime((await account.at('2025-04-01T00:00:00Z').read()).period.end, '2025-04-15T09:00:00Z', 'five in the morning in New York, in summer')
  })
})

describe('a change of time zone', () => {
  for (const [time_zone, following] of [['Pacific/Kiritimati', '2025-06-11T10:00:00Z'], ['Pacific/Honolulu', '2025-06-11T10:00:00Z'], ['Asia/Kolkata', '2025-06-11T18:30:00Z']]) {
    test(`to ${time_zone} takes effect at the next refresh`, async () => {
      const account = await opened(api, '2025-06-10T09:00:00Z')
      await account.charge(costing(100))
      const then = account.at('2025-06-10T10:30:00Z')
      matches(answered(await then.patch({ time_zone })), { time_zone, balance: { available: 0 } })
      sameTime((await then.balance()).daily.refreshes_at, '2025-06-11T00:00:00Z')
      matches(await account.at('2025-06-10T23:59:59.999Z').balance(), { available: 0 })
      const midnight = account.at('2025-06-11T00:00:00Z')
      matches(await midnight.balance(), { available: 100 })
      sameTime((await midnight.balance()).daily.refreshes_at, following)
      await midnight.charge(costing(100))
      matches(await account.at(later(following, -0.001)).balance(), { available: 0 })
      matches(await account.at(following).balance(), { available: 100 })
      await lawful(midnight)
    })
  }

  test('never yields a second refresh, however often it is changed', async () => {
    const account = await opened(api, '2025-06-10T00:30:00Z')
    await account.charge(costing(100))
    const zones = ['Pacific/Kiritimati', 'Pacific/Pago_Pago', 'Asia/Tokyo', 'America/Los_Angeles', 'UTC', 'Pacific/Apia', 'Europe/Paris', 'Asia/Kolkata']
    for (let hour = 1; hour < 24; hour += 1) {
      const then = account.at(`2025-06-10T${String(hour).padStart(2, '0')}:15:00Z`)
      answered(await then.patch({ time_zone: zones[hour % zones.length] }))
      matches(await then.balance(), { available: 0 })
    }
    matches(await account.at('2025-06-11T00:00:00Z').balance(), { available: 100 })
  })

  test('and back again leaves the days as they were', async () => {
    const account = await opened(api, '2025-06-10T09:00:00Z')
    answered(await account.patch({ time_zone: 'Asia/Tokyo' }))
    answered(await account.patch({ time_zone: 'UTC' }))
    for (const [clock, refresh] of [['2025-06-10T16:00:00Z', '2025-06-11T00:00:00Z'], ['2025-06-11T16:00:00Z', '2025-06-12T00:00:00Z']]) {
      sameTime((await account.at(clock).balance()).daily.refreshes_at, refresh)
    }
  })
})

describe('silence', () => {
  test('of years is caught up with at once', async () => {
    const account = await opened(api, '2015-01-31T09:00:00Z', { plan: 'starter', time_zone: 'America/New_York' })
    await account.charge(costing(2300))
    const then = account.at('2025-06-15T12:00:00Z')
    matches(await then.balance(), { available: 2300, held: 0, owed: 0, daily: { remaining: 300 } })
    matches(await then.charge(costing(2300)), { balance: { available: 0 } })
    matches(await lawful(then), { available: 0 })
  })

  test('with a debt counts every day of it', async () => {
    const account = await opened(api, '2024-01-01T09:00:00Z')
    await account.charge({ ...costing(30_100), on_excess: 'owe' })
    matches(await account.at('2024-10-26T12:00:00Z').balance(), { available: 0, owed: 100 })
    const then = account.at('2024-10-27T12:00:00Z')
    matches(await then.balance(), { available: 0, owed: 0 })
    matches(await account.at('2024-10-28T00:00:00Z').balance(), { available: 100, owed: 0 })
    await then.charge(costing(0))
    matches(await lawful(then), { available: 0, owed: 0 })
  })
})

describe('the balance of the past', () => {
  test('is what would have been answered then', async () => {
    const account = await opened(api, NINE)
    await account.at('2025-03-10T10:00:00Z').charge(costing(30))
    await account.at('2025-03-10T11:00:00Z').hold(costing(20))
    await account.at('2025-03-14T10:00:00Z').grant({ kind: 'pack', credits: 50 })
    const now = account.at('2025-03-15T10:00:00Z')
    const past = [
      ['2025-03-10T09:00:00Z', 100, 0], ['2025-03-10T09:59:59.999Z', 100, 0], ['2025-03-10T10:30:00Z', 70, 0], ['2025-03-10T11:10:00Z', 50, 20],
      ['2025-03-10T11:20:00Z', 70, 0], ['2025-03-10T23:59:59.999Z', 70, 0], ['2025-03-11T00:00:00Z', 100, 0], ['2025-03-12T12:00:00Z', 100, 0],
      ['2025-03-14T09:59:59Z', 100, 0], ['2025-03-14T10:00:01Z', 150, 0], ['2025-03-15T10:00:00Z', 150, 0],
    ]
    for (const [at, available, held] of past) {
      const balance = await now.read(`/balance?at=${encodeURIComponent(at)}`)
      matches(balance, { account: account.id, available, held, owed: 0 }, at)
      sameTime(balance.as_of, at)
    }
    matches(await now.read(`/balance?at=${encodeURIComponent('2025-03-10T12:30:00+02:00')}`), { available: 70 })
  })

  test('is refused before the opening, in the future, and at what is no time', async () => {
    const account = await opened(api, NINE)
    const now = account.at('2025-03-12T10:00:00Z')
    for (const at of ['2025-03-10T08:59:59.999Z', '1970-01-01T00:00:00Z', '2025-03-12T10:00:00.001Z', 'yesterday', '', '2025-03-11']) {
      refused(await now.get(`/balance?at=${encodeURIComponent(at)}`), 400, 'invalid_request')
    }
  })
})

test('the account\'s clock never runs backwards', async () => {
  const account = await opened(api, NINE)
  const next = account.at('2025-03-11T09:00:00Z')
  await next.charge(costing(30))
  const before = account.at('2025-03-10T10:00:00Z')
  const balance = await before.balance()
  matches(balance, { available: 70 })
  sameTime(balance.as_of, '2025-03-11T09:00:00Z')
  const { charge } = await before.charge(core(30))
  sameTime(charge.at, '2025-03-11T09:00:00Z')
  const { hold } = await before.hold({ ...costing(10), ttl_seconds: 60 })
  sameTime(hold.expires_at, '2025-03-11T09:01:00Z')
  matches(await lawful(next), { available: 30, held: 10 })
})
