// Periodic promotional activities: credits for whoever knows a code while it lasts, once an account.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { client, serve } from './harness.mjs'
import { answered, lawful, matches, opened, refused, send, unique } from './support.mjs'

const NINE = '2025-03-10T09:00:00Z'

let server, api
before(async () => {
  server = await serve()
  api = client(server)
})
after(() => server?.stop())

const newCode = () => `SPRING-${unique('').slice(1, 9).toUpperCase()}`
async function offered(terms, through = api) {
  const code = newCode()
  answered(await through.put(`/v1/promotions/${code}`, terms), 201)
  return code
}
const redeem = (account, code, options) => account.post('/promotions/redeem', { code }, options)
const redeemed = async (code, through = api) => answered(await through.get(`/v1/promotions/${code}`)).redeemed

describe('a promotion', () => {
  test('is offered, read and changed by administrators', async () => {
    const code = newCode()
    const terms = { credits: 250, starts_at: NINE, ends_at: '2025-03-20T00:00:00Z', limit: 5, scope: ['video', 'image'], valid_days: 14 }
    const shown = { code, ...terms, redeemed: 0 }
    assert.deepEqual(answered(await api.put(`/v1/promotions/${code}`, terms), 201), shown)
    assert.deepEqual(answered(await api.put(`/v1/promotions/${code.toLowerCase()}`, terms)), shown)
    assert.deepEqual(answered(await api.get(`/v1/promotions/${code}`)), shown)
    matches(answered(await api.put(`/v1/promotions/${code}`, { credits: 10 })), { credits: 10, starts_at: null, ends_at: null, limit: null, scope: null, valid_days: null })
    refused(await api.get('/v1/promotions/NOBODY'), 404, 'promotion_not_found')
    refused(await send(server, 'PUT', `/v1/promotions/${code}`, { body: '{"credits":1}' }), 401, 'unauthenticated')
  })

  test('with impossible terms is none', async () => {
    const bad = [[{}, 'credits'], [{ credits: 0 }, 'credits'], [{ credits: '5' }, 'credits'], [{ credits: 5, limit: 0 }, 'limit'], [{ credits: 5, limit: 1.5 }, 'limit'],
      [{ credits: 5, valid_days: 0 }, 'valid_days'], [{ credits: 5, scope: ['nothing'] }, 'scope'], [{ credits: 5, scope: [] }, 'scope'],
      [{ credits: 5, starts_at: 'soon' }, 'starts_at'], [{ credits: 5, starts_at: NINE, ends_at: NINE }, 'ends_at'], [{ credits: 5, more: 1 }, 'more']]
    for (const [terms, field] of bad) refused(await api.put(`/v1/promotions/${newCode()}`, terms), 400, undefined, { field })
    refused(await api.put('/v1/promotions/no', { credits: 5 }), 400, 'invalid_request', { field: 'code' })
  })

  test('gives its credits once an account', async () => {
    const account = await opened(api, NINE)
    const code = await offered({ credits: 250, scope: ['video'], valid_days: 14 })
    const idempotencyKey = unique('key')
    const first = await redeem(account, ` ${code.toLowerCase()} `, { idempotencyKey })
    matches(answered(first), { grant: { kind: 'promotion', category: 'promo', credits: 250, remaining: 250, scope: ['video'],
      effective_at: NINE, expires_at: '2025-03-24T09:00:00Z' }, balance: { available: 350 } })
    const again = await redeem(account, ` ${code.toLowerCase()} `, { idempotencyKey })
    assert.deepEqual(again.body, first.body)
    refused(await redeem(account, code), 409, 'promotion_already_redeemed')
    refused(await redeem(account, newCode()), 404, 'promotion_not_found')
    refused(await redeem(account, code, { idempotencyKey: null }), 400, 'idempotency_key_required')
    answered(await redeem(account, await offered({ credits: 1 })))
    assert.equal(await redeemed(code), 1)
    matches(await lawful(account), { available: 351 })
  })

  test('is open from its start until, but not at, its end', async () => {
    const account = await opened(api, NINE)
    const code = await offered({ credits: 250, starts_at: '2025-03-11T00:00:00Z', ends_at: '2025-03-12T00:00:00Z' })
    const at = async (clock) => (await redeem(account.at(clock), code)).body.code
    assert.equal(await at('2025-03-10T23:59:59Z'), 'promotion_not_open')
    assert.equal(await at('2025-03-12T00:00:00Z'), 'promotion_not_open')
    const other = await opened(api, NINE)
    matches(answered(await redeem(other.at('2025-03-11T00:00:00Z'), code)), { grant: { expires_at: null } })
    assert.equal(await redeemed(code), 1)
  })

  test('is redeemed as often as its limit says, however many try at once', async () => {
    const code = await offered({ credits: 250, limit: 7 })
    const accounts = await Promise.all(Array.from({ length: 20 }, () => opened(api, NINE)))
    const answers = (await Promise.all(accounts.map((account) => Promise.all([redeem(account, code), redeem(account, code)])))).flat()
    const codes = answers.filter((answer) => answer.status !== 200).map((answer) => answer.body.code)
    assert.equal(answers.length - codes.length, 7)
    assert.ok(codes.every((code) => ['promotion_exhausted', 'promotion_already_redeemed'].includes(code)), `${codes}`)
    assert.equal(await redeemed(code), 7)
    const balances = await Promise.all(accounts.map(lawful))
    assert.deepEqual(balances.map((balance) => balance.available).sort().reverse(), [...Array(7).fill(350), ...Array(13).fill(100)])
  })

  test('that a crash interrupts counts whom it rewarded', { timeout: 150_000 }, async (t) => {
    const crashing = await serve()
    t.after(() => crashing.stop())
    const there = client(crashing)
    const code = await offered({ credits: 250 }, there)
    const accounts = await Promise.all(Array.from({ length: 32 }, () => opened(there, NINE)))
    for (let round = 0; round < 4; round += 1) {
      const under_way = accounts.slice(round * 8, round * 8 + 8).map((account) => redeem(account, code).catch(() => {}))
      await Promise.race(under_way)
      await crashing.kill()
      await Promise.all(under_way)
      await crashing.restart()
    }
    let got, counted
    for (let tries = 0; tries < 40; tries += 1) {
      got = (await Promise.all(accounts.map((account) => account.balance()))).filter((balance) => balance.available === 350).length
      counted = await redeemed(code, there)
      if (got === counted) break
      await sleep(500)
    }
    assert.equal(got, counted)
    for (const account of accounts) {
      const answer = await redeem(account, code)
      assert.ok([200, 409].includes(answer.status), JSON.stringify(answer.body))
      matches(await lawful(account), { available: 350 })
    }
    assert.equal(await redeemed(code, there), 32)
  })
})
