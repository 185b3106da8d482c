// Holds that lapse, and holds that a midnight passes over.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { SERVICE_KEY, costing, lawful, lawfulCharge, matches, opened, refused } from './support.mjs'

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

describe('a hold that is left alone', () => {
  test('lapses at its time, and not before', async () => {
    const { account, hold } = await holding(10)
    const before = account.at(at('09:14:59.999'))
    matches(await before.read(`/holds/${hold.id}`), { hold: { status: 'held' } })
    matches(await before.balance(), { available: 90, held: 10 })
    const then = account.at(at('09:15:00'))
    matches(await then.read(`/holds/${hold.id}`), { hold: { status: 'lapsed' } })
    matches(await then.balance(), { available: 100, held: 0, owed: 0 })
    refused(await then.post(`/holds/${hold.id}/release`), 409, 'hold_not_open')
    refused(await then.post(`/holds/${hold.id}/extend`, { ttl_seconds: 60 }), 409, 'hold_not_open')
    await then.charge(costing(95))
    await lawful(then)
    assert.equal((await account.entries('&kind=lapsed')).length, 1)
  })

  test('can be captured late: usage that happened is never lost', async () => {
    const { account, hold, capture } = await holding(10)
    const then = account.at(at('11:00:00'))
    const { charge, balance } = await then.capture(hold.id, costing(12))
    matches(charge, { credits: 12, late: true, owed: 0, forgiven: 0 })
    matches(balance, { available: 88, held: 0, owed: 0 })
    lawfulCharge(charge)
    refused(await then.post(capture, costing(1)), 409, 'hold_not_open')
    await lawful(then)
  })

  test('is captured late under its policy', async () => {
    for (const [on_excess, expected] of [[undefined, { owed: 30, forgiven: 0, credits: 130 }], ['owe', { owed: 30, forgiven: 0, credits: 130 }], ['forgive', { owed: 0, forgiven: 30, credits: 100 }]]) {
      const { account, hold } = await holding(10)
      const then = account.at(at('11:00:00'))
      matches(await then.capture(hold.id, { ...costing(130), ...(on_excess && { on_excess }) }), { charge: { ...expected, late: true }, balance: { available: 0, owed: expected.owed } })
      await lawful(then)
    }
    const { account, hold, capture } = await holding(10)
    const then = account.at(at('11:00:00'))
    refused(await then.post(capture, { ...costing(130), on_excess: 'reject' }), 402, 'insufficient_credits', { required: 130, available: 100, owed: 0, shortfall: 30 })
    matches(await then.capture(hold.id, { ...costing(100), on_excess: 'reject' }), { charge: { late: true, credits: 100 }, balance: { available: 0 } })
  })
})

describe('a hold across midnight', () => {
  const across = async () => {
    const account = await opened(api, NINE)
    const { hold } = await account.at(at('23:59:00')).hold(costing(40))
    const next = account.at('2025-03-11T00:01:00Z')
    matches(await next.balance(), { available: 100, held: 40, owed: 0 })
    return { hold, next }
  }

  test('made at 23:59 from daily credits can be captured at 00:01; what it releases then expires at once', async () => {
    const { hold, next } = await across()
    const { charge, balance } = await next.capture(hold.id, costing(30))
    matches(charge, { credits: 30, from_hold: 30, excess: 0, late: false, draws: [{ grant: hold.draws[0].grant, kind: 'daily', credits: 30 }] })
    matches(balance, { available: 100, held: 0, owed: 0 })
    matches(await lawful(next), { daily: { credits: 100, remaining: 100 } })
  })

  test('burns the new day\'s credits for what exceeds it', async () => {
    const { hold, next } = await across()
    matches(await next.capture(hold.id, costing(55)), { charge: { credits: 55, from_hold: 40, excess: 15 }, balance: { available: 85, held: 0 } })
    await lawful(next)
  })

  test('that is released, or lapses, gives nothing back of yesterday', async () => {
    const released = await across()
    matches(await released.next.release(released.hold.id), { balance: { available: 100, held: 0, owed: 0 } })
    await lawful(released.next)
    const lapsed = await across()
    const then = lapsed.next.at('2025-03-11T00:14:00Z')
    matches(await then.balance(), { available: 100, held: 0, owed: 0 })
    await then.charge(costing(1))
    matches(await lawful(then), { available: 99, held: 0 })
  })

  test('holds its credits even over a day that nobody looked at', async () => {
    const account = await opened(api, at('23:59:59'))
    const { hold } = await account.hold({ ...costing(100), ttl_seconds: 86_400 })
    const then = account.at('2025-03-11T23:59:58Z')
    matches(await then.capture(hold.id, costing(150)), { charge: { credits: 150, from_hold: 100, excess: 50, owed: 0, late: false }, balance: { available: 50, held: 0 } })
    await lawful(then)
  })
})
