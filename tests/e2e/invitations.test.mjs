// Friend invitations: a code rewards both sides, once, and whatever crashes in between.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { client, serve } from './harness.mjs'
import { Account, answered, lawful, matches, opened, refused, unique } from './support.mjs'

const NINE = '2025-03-10T09:00:00Z'

let server, api
before(async () => {
  server = await serve()
  api = client(server)
})
after(() => server?.stop())

const codeOf = async (account) => (await account.read('/invitation')).code
const redeem = (account, code, options) => account.post('/invitations/redeem', { code }, options)
const rewards = (entries) => entries.filter((entry) => entry.kind === 'granted' && entry.grant.kind === 'invitation')

/** Resolves when an inviter's balance has changed on the disk. */
async function watch(server, inviter) {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}${inviter.path('/live')}`, { headers: { Authorization: 'Bearer dev-service-key' } })
  socket.addEventListener('error', () => {})
  await once(socket, 'message')
  return { rewarded: once(socket, 'message'), close: () => socket.close() }
}

describe('an invitation', () => {
  test('has a code that is always the same and tells nothing', async () => {
    const [ada, bob] = [await opened(api, NINE), await opened(api, NINE)]
    const invitation = await ada.read('/invitation')
    assert.match(invitation.code, /^[0-9A-HJKMNP-TV-Z]{12}$/)
    matches(invitation, { rewarded: 0, limit: 20 })
    matches(await ada.at('2026-01-01T00:00:00Z').read('/invitation'), invitation)
    assert.notEqual(await codeOf(bob), invitation.code)
    refused(await new Account(api, unique(), NINE).get('/invitation'), 404, 'account_not_found')
  })

  test('rewards both with 500 credits for 7 days, as of the redeeming request', async () => {
    const [ada, bob] = [await opened(api, NINE), await opened(api, NINE)]
    const code = await codeOf(ada)
    const noon = bob.at('2025-03-10T12:00:00Z')
    const reward = { kind: 'invitation', category: 'promo', credits: 500, remaining: 500, scope: null,
      effective_at: '2025-03-10T12:00:00Z', expires_at: '2025-03-17T12:00:00Z' }
    matches(answered(await redeem(noon, code)), { grant: reward, balance: { available: 600 } })
    for (const account of [ada, bob]) {
      const [entry, ...more] = rewards(await account.entries())
      assert.deepEqual(more, [])
      matches(entry, { at: '2025-03-10T12:00:00Z', credits: 500, grant: reward })
      matches(await account.at('2025-03-17T11:59:59Z').balance(), { available: 600 })
      matches(await account.at('2025-03-17T12:00:00Z').balance(), { available: 100 })
      await lawful(account)
    }
    matches(await ada.read('/invitation'), { rewarded: 1 })
    matches(await bob.read('/invitation'), { rewarded: 0 })
  })

  test('names neither account to the other', async () => {
    const [ada, bob] = [await opened(api, NINE), await opened(api, NINE)]
    answered(await redeem(bob, await codeOf(ada)))
    assert.ok(!JSON.stringify(await ada.entries()).includes(bob.id))
    assert.ok(!JSON.stringify(await bob.entries()).includes(ada.id))
  })

  test('is read as people write it', async () => {
    const [ada, bob] = [await opened(api, NINE), await opened(api, NINE)]
    const code = (await codeOf(ada)).toLowerCase().replaceAll('0', 'o').replaceAll('1', 'l')
    answered(await redeem(bob, ` ${code.slice(0, 4)}-${code.slice(4)}`))
  })

  test('is redeemed once, by another, while it lasts', async () => {
    const [ada, bob, eve] = [await opened(api, NINE), await opened(api, NINE), await opened(api, NINE)]
    const [code, other] = [await codeOf(ada), await codeOf(eve)]
    refused(await redeem(bob, code, { idempotencyKey: null }), 400, 'idempotency_key_required')
    for (const unknown of ['ZZZZZZZZZZZZ', 'short', '']) refused(await redeem(bob, unknown), 404, 'invitation_not_found')
    refused(await bob.post('/invitations/redeem', {}), 400, 'invalid_request', { field: 'code' })
    refused(await bob.post('/invitations/redeem', { code: 7 }), 400, 'invalid_request', { field: 'code' })
    refused(await redeem(ada, code), 409, 'own_invitation')
    refused(await redeem(new Account(api, unique(), NINE), code), 404, 'account_not_found')
    answered(await redeem(bob, code))
    for (const second of [code, other]) refused(await redeem(bob, second), 409, 'invitation_already_redeemed')
    matches(await ada.balance(), { available: 600 })
    matches(await eve.balance(), { available: 100 })
    await lawful(bob)
  })

  test('is answered again under its key, and refused under that key for anything else', async () => {
    const [ada, bob] = [await opened(api, NINE), await opened(api, NINE)]
    const code = await codeOf(ada)
    const idempotencyKey = unique('key')
    const first = await redeem(bob, code, { idempotencyKey })
    const again = await redeem(bob, code, { idempotencyKey })
    assert.deepEqual(answered(again), answered(first))
    assert.equal(again.headers.get('idempotent-replayed'), 'true')
    refused(await redeem(bob, 'ZZZZZZZZZZZZ', { idempotencyKey }), 422, 'idempotency_key_reused')
    matches(await ada.read('/invitation'), { rewarded: 1 })
  })

  test('counts once, however many requests redeem it at once', async () => {
    const [ada, bob] = [await opened(api, NINE), await opened(api, NINE)]
    const code = await codeOf(ada)
    const idempotencyKey = unique('key')
    const same = await Promise.all(Array.from({ length: 8 }, () => redeem(bob, code, { idempotencyKey })))
    for (const answer of same) assert.deepEqual(answered(answer), same[0].body)
    const others = await Promise.all(Array.from({ length: 8 }, () => redeem(bob, code)))
    for (const answer of others) refused(answer, 409, 'invitation_already_redeemed')
    matches(await ada.balance(), { available: 600 })
    matches(await bob.balance(), { available: 600 })
  })

  test('rewards its owner 20 times, though 30 redeem it at once', async () => {
    const ada = await opened(api, NINE)
    const code = await codeOf(ada)
    const invited = await Promise.all(Array.from({ length: 30 }, () => opened(api, NINE)))
    const answers = await Promise.all(invited.map((account) => redeem(account, code)))
    const refusals = answers.filter((answer) => answer.status !== 200)
    assert.equal(refusals.length, 10)
    for (const refusal of refusals) refused(refusal, 409, 'invitation_exhausted')
    matches(await ada.read('/invitation'), { code, rewarded: 20, limit: 20 })
    matches(await lawful(ada), { available: 100 + 20 * 500 })
    for (const [index, account] of invited.entries()) {
      matches(await account.balance(), { available: answers[index].status === 200 ? 600 : 100 })
      // Whoever came too late may be invited by another.
    }
    const late = invited[answers.findIndex((answer) => answer.status !== 200)]
    answered(await redeem(late, await codeOf(invited[0] === late ? invited[1] : invited[0])))
  })

  test('of two who invite each other at once rewards both twice', async () => {
    const [ada, bob] = [await opened(api, NINE), await opened(api, NINE)]
    const codes = [await codeOf(ada), await codeOf(bob)]
    const answers = await Promise.all([redeem(ada, codes[1]), redeem(bob, codes[0])])
    for (const answer of answers) answered(answer)
    for (const account of [ada, bob]) matches(await lawful(account), { available: 1100 })
  })
})

describe('a crash between the two rewards', () => {
  test('loses neither, and gives neither twice', { timeout: 170_000 }, async (t) => {
    const crashing = await serve()
    t.after(() => crashing.stop())
    const there = client(crashing)
    const inviters = await Promise.all(Array.from({ length: 4 }, () => opened(there, NINE)))
    const codes = await Promise.all(inviters.map(codeOf))
    const invited = []
    let answers = 0
    for (let round = 0; round < 8; round += 1) {
      const guests = await Promise.all(Array.from({ length: 8 }, () => opened(there, NINE)))
      invited.push(...guests.map((account, index) => ({ account, by: index % 4 })))
      // The server dies when an inviter has just been rewarded: of those it was rewarded for, some are not yet.
      const { rewarded, close } = await watch(crashing, inviters[round % 4])
      let answered_now = 0
      const under_way = guests.map(async (account, index) => {
        await sleep(index * round)
        await redeem(account, codes[index % 4])
        answered_now += 1
      })
      await Promise.race([rewarded, Promise.allSettled(under_way)])
      await crashing.kill()
      await Promise.allSettled(under_way)
      close()
      answers += answered_now
      await crashing.restart()
    }
    t.diagnostic(`${answers} of ${invited.length} redemptions were answered before the crash`)

    const standing = async () => {
      const guests = await Promise.all(invited.map(async ({ account, by }) => ({ by, rewards: rewards(await account.entries()).length })))
      const hosts = await Promise.all(inviters.map(async (account) => rewards(await account.entries()).length))
      return { guests, hosts, of: hosts.map((_, host) => guests.filter(({ by, rewards }) => by === host && rewards > 0).length) }
    }
    // What a crash left is finished by the accounts themselves, without a further request.
    let now
    for (let tries = 0; tries < 40; tries += 1) {
      now = await standing()
      if (now.hosts.every((count, host) => count === now.of[host])) break
      await sleep(500)
    }
    assert.deepEqual(now.hosts, now.of, 'every inviter was rewarded for those who were rewarded, and for nobody else')
    for (const { rewards } of now.guests) assert.ok(rewards <= 1, 'nobody is rewarded twice')
    assert.ok(now.hosts.some((count) => count > 0), 'some redemptions came to an end')
    for (const account of inviters) await lawful(account)

    // Whoever got no answer and tries again ends where the others are.
    for (const { account, by } of invited.slice(0, 24)) {
      const answer = await redeem(account, codes[by])
      assert.ok([200, 409].includes(answer.status), JSON.stringify(answer.body))
      await lawful(account)
    }
    now = await standing()
    assert.deepEqual(now.hosts, now.of)
  })
})
