// Entitlements: limited features, counted.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { SERVICE_KEY, answered, lawful, matches, opened, refused } from './support.mjs'

let server, api
before(async () => {
  server = await serve({})
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const NINE = '2025-03-10T09:00:00Z'

describe('entitlements', () => {
  const use = (account, quantity, what = 'use', feature = 'file_uploads') => account.post(`/entitlements/${feature}/${what}`, { quantity })
  const uploads = async (account) => (await account.read('/entitlements')).features.file_uploads

  test('support for uploading 100 files, and not one more', async () => {
    const account = await opened(api, NINE)
    matches(answered(await use(account, 60)), { feature: { limit: 100, used: 60, remaining: 40 }, balance: { available: 100, held: 0, owed: 0 } })
    refused(await use(account, 41), 403, 'entitlement_exhausted')
    matches(answered(await use(account, 40)), { feature: { used: 100, remaining: 0 } })
    refused(await use(account, 1), 403, 'entitlement_exhausted')
    matches(answered(await use(account, 10, 'return')), { feature: { used: 90, remaining: 10 } })
    refused(await use(account, 91, 'return'), 400)
    matches(await uploads(account), { type: 'limit', limit: 100, used: 90, remaining: 10 })
    matches(await lawful(account), { available: 100 })
    matches(await uploads(account.at('2026-01-01T00:00:00Z')), { used: 90, remaining: 10 }, 'limits never reset by themselves')
  })

  test('follow the plan, and keep what was used', async () => {
    const account = await opened(api, NINE, { plan: 'maker' })
    answered(await use(account, 300))
    await account.plan('free')
    matches(await uploads(account), { limit: 100, used: 300, remaining: 0 })
    refused(await use(account, 1), 403, 'entitlement_exhausted')
    matches(answered(await use(account, 250, 'return')), { feature: { used: 50, remaining: 50 } })
    await account.plan('starter')
    matches(await uploads(account), { limit: 200, used: 50, remaining: 150 })
  })

  test('are used in whole quantities of limited features', async () => {
    const account = await opened(api, NINE)
    for (const quantity of [-1, 0.5, '1', null]) refused(await use(account, quantity), 400, null, { field: 'quantity' })
    refused(await account.post('/entitlements/file_uploads/use', { count: 1 }), 400, 'invalid_request')
    refused(await use(account, 1, 'use', 'teleports'), 400, 'unknown_feature')
    refused(await use(account, 1, 'use', 'max_file_bytes'), 400)
    refused(await use(account, 1, 'return', 'teleports'), 400, 'unknown_feature')
    matches(await uploads(account), { used: 0 })
  })

  test('are used by whoever comes first', async () => {
    const account = await opened(api, NINE)
    const statuses = (await Promise.all(Array.from({ length: 12 }, () => use(account, 10)))).map(({ status }) => status).sort()
    assert.deepEqual(statuses, [...Array(10).fill(200), 403, 403])
    matches(await uploads(account), { used: 100, remaining: 0 })
  })
})
