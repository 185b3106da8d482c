// User tokens: what an account's own user may do, and nobody else.

import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { Account, SERVICE_KEY, answered, costing, header, lawful, matches, opened, refused, send, unique } from './support.mjs'

let server, api
before(async () => {
  server = await serve({ vars: { ALLOWED_ORIGINS: 'https://app.example,https://other.example' } })
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const NINE = '2025-03-10T09:00:00Z'
const SECRET = 'dev-user-token-secret'
const soon = () => Math.floor(Date.now() / 1000) + 600
const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

function token(claims, { secret = SECRET, alg = 'HS256', hash = 'sha256' } = {}) {
  const signed = `${part({ alg, typ: 'JWT' })}.${part(claims)}`
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`
}

/** The account as its user sees it. */
const own = (account) => new Account(client(server, { key: token({ sub: account.id, exp: soon() }) }), account.id, account.clock)

describe('a user token', () => {
  test('reads its own account, estimates, and sets its display name', async () => {
    const account = await opened(api, NINE)
    const user = own(account)
    for (const rest of ['', '/balance', '/entries', '/usage?group_by=model', '/holds', '/entitlements', '/invitation']) await user.read(rest)
    matches(answered(await user.post('/estimate', costing(5), { idempotencyKey: null })), { credits: 5, access: { allowed: true } })
    matches(answered(await user.patch({ display_name: 'Ada' })), { account: account.id })
  })

  test('does nothing else', async () => {
    const account = await opened(api, NINE)
    const { hold } = await account.hold(costing(5))
    const { charge } = await account.charge(costing(5))
    const user = own(account)
    const refusals = [user.patch({ time_zone: 'Asia/Tokyo' }), user.patch({ display_name: 'Ada', time_zone: 'Asia/Tokyo' }), user.put('/plan', { plan: 'maker' }),
      user.put('/plan', { plan: 'maker', dry_run: true }), user.put('/perks/early_bird'), user.delete('/perks/early_bird'), user.put('', { plan: 'free' }),
      user.post('/charges', costing(1)), user.post('/holds', costing(1)), user.post('/grants', { kind: 'pack', credits: 1000 }),
      user.post(`/holds/${hold.id}/capture`, costing(0)), user.post(`/holds/${hold.id}/release`), user.post(`/charges/${charge.id}/refund`),
      user.post('/entitlements/file_uploads/use', { quantity: 1 }), user.post('/entitlements/file_uploads/return', { quantity: 1 })]
    for (const refusal of refusals) refused(await refusal, 403, 'forbidden')
    matches(await lawful(account), { available: 90, held: 5 })
  })

  test('is of no other account', async () => {
    const [mine, theirs] = [await opened(api, NINE), await opened(api, NINE)]
    const key = token({ sub: mine.id, exp: soon() })
    for (const id of [theirs.id, unique()]) {
      const stranger = new Account(client(server, { key }), id, NINE)
      for (const rest of ['', '/balance', '/entries', '/holds']) refused(await stranger.get(rest), 403, 'forbidden')
      refused(await stranger.post('/estimate', costing(1)), 403, 'forbidden')
      refused(await stranger.patch({ display_name: 'Eve' }), 403, 'forbidden')
    }
  })

  test('that is expired, unsigned, or signed by another is none', async () => {
    const account = await opened(api, NINE)
    const claims = { sub: account.id, exp: soon() }
    const good = token(claims)
    const [head, , signature] = good.split('.')
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const bad = {
      'by another secret': token(claims, { secret: 'another' }),
      expired: token({ ...claims, exp: Math.floor(Date.now() / 1000) - 600 }),
      'without exp': token({ sub: account.id }),
      'with exp in a string': token({ ...claims, exp: String(claims.exp) }),
      'not yet valid': token({ ...claims, nbf: soon() }),
      'without sub': token({ exp: claims.exp }),
      'unsigned, alg none': `${part({ alg: 'none' })}.${part(claims)}.`,
      'alg None, signed': token(claims, { alg: 'None' }),
      'of another algorithm': token(claims, { alg: 'HS512', hash: 'sha512' }),
      'of an unknown public key': `${part({ alg: 'ES256', kid: 'x' })}.${part(claims)}.${privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64url')}`,
      'with other claims': `${head}.${part({ ...claims, sub: 'someone' })}.${signature}`,
      'cut short': good.slice(0, -3),
      'in four parts': `${good}.x`,
      'no JSON': `${part('{')}.${part('{')}.x`,
    }
    answered(await send(server, 'GET', account.path(), { key: good }))
    for (const [title, key] of Object.entries(bad)) {
      const response = await send(server, 'GET', account.path(), { key })
      assert.equal(response.status, 401, `${title}: ${response.text}`)
      refused(response, 401, 'unauthenticated')
    }
  })

  test('is judged by the real clock', async () => {
    const account = await opened(api, NINE)
    const expired = token({ sub: account.id, exp: Date.parse(NINE) / 1000 + 600 })
    refused(await send(server, 'GET', account.path(), { key: expired, headers: { 'Test-Clock': NINE } }), 401, 'unauthenticated')
    const good = token({ sub: account.id, exp: soon() })
    answered(await send(server, 'GET', account.path(), { key: good, headers: { 'Test-Clock': '2099-01-01T00:00:00Z' } }))
  })
})

describe('invitations', () => {
  test('friend invitation rewards: a code rewards both, once', async () => {
    const [inviter, invited] = [await opened(api, NINE), await opened(api, NINE)]
    const { code } = await own(inviter).read('/invitation')
    assert.equal(typeof code, 'string')
    assert.equal((await inviter.read('/invitation')).code, code, 'the same code every time')
    matches(answered(await own(invited).post('/invitations/redeem', { code })), { grant: { kind: 'invitation', credits: 500 }, balance: { available: 600 } })
    matches(await invited.balance(), { available: 600 })
    matches(await inviter.balance(), { available: 600 })
    refused(await invited.post('/invitations/redeem', { code }), 409)
    refused(await inviter.post('/invitations/redeem', { code }), 409, 'own_invitation')
    matches(await inviter.read('/invitation'), { code, rewarded: 1, limit: 20 })
    matches(await invited.at('2025-03-17T08:59:59Z').balance(), { available: 600 })
    matches(await invited.at('2025-03-17T09:00:00Z').balance(), { available: 100 })
    await lawful(invited)
    await lawful(inviter)
  })
})

describe('browsers', () => {
  test('of allowed origins may call, and of others may not', async () => {
    const preflight = (origin) => send(server, 'OPTIONS', '/v1/estimate', {
      headers: { Origin: origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization,content-type' },
    })
    const allowed = await preflight('https://app.example')
    assert.ok(allowed.status === 204 || allowed.status === 200, `${allowed.status}`)
    assert.equal(header(allowed, 'access-control-allow-origin'), 'https://app.example')
    assert.match(header(allowed, 'access-control-allow-headers') ?? '', /authorization/i)
    for (const origin of ['https://evil.example', 'https://app.example.evil', 'null', 'http://app.example']) {
      assert.equal(header(await preflight(origin), 'access-control-allow-origin'), null, origin)
    }
    const refusal = await send(server, 'GET', '/v1/accounts/nobody', { headers: { Origin: 'https://other.example' } })
    refused(refusal, 401, 'unauthenticated')
    assert.equal(header(refusal, 'access-control-allow-origin'), 'https://other.example', 'a refusal can be read, too')
  })
})
