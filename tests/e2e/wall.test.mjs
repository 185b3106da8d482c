// The memorial wall: early birds who want to be named, in the order in which they joined, and nobody else.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { client, serve } from './harness.mjs'
import { Account, answered, opened, refused, send, unique } from './support.mjs'

const NINE = '2025-03-10T09:00:00Z'
const EARLY_BIRD = { plan: 'free', perks: ['early_bird'] }

let server, api
before(async () => {
  server = await serve()
  api = client(server)
})
after(() => server?.stop())

const wall = async () => answered(await send(server, 'GET', '/v1/memorial-wall')).early_birds
const names = async () => (await wall()).map((bird) => bird.display_name)
const named = async (account, name) => answered(await account.patch({ display_name: name }))

describe('the memorial wall', () => {
  test('is empty at first, and public', async () => {
    const response = await send(server, 'GET', '/v1/memorial-wall')
    assert.deepEqual(answered(response), { early_birds: [] })
    assert.match(response.headers.get('cache-control'), /public/)
    const unchanged = await send(server, 'GET', '/v1/memorial-wall', { headers: { 'If-None-Match': response.headers.get('etag') } })
    assert.equal(unchanged.status, 304)
    refused(await send(server, 'GET', '/v1/memorial-wall?limit=1'), 400, 'invalid_request')
    refused(await send(server, 'POST', '/v1/memorial-wall', { body: '{}' }), 405, 'method_not_allowed')
  })

  test('names early birds who chose a name, in the order in which they joined', async () => {
    const late = await opened(api, '2025-05-01T00:00:00Z', EARLY_BIRD)
    const early = await opened(api, NINE, { ...EARLY_BIRD, since: '2023-01-02T03:04:05Z' })
    const middle = await opened(api, NINE)
    const stranger = await opened(api, NINE)
    const silent = await opened(api, NINE, EARLY_BIRD)
    await named(late, 'Late')
    await named(early, 'Early')
    await named(stranger, 'Stranger')
    assert.deepEqual(await names(), ['Early', 'Late'])
    answered(await middle.put('/perks/early_bird'))
    assert.deepEqual(await names(), ['Early', 'Late'], 'no name was chosen yet')
    await named(middle, 'Middle 🐦')
    assert.deepEqual(await wall(), [
      { display_name: 'Early', since: '2023-01-02T03:04:05Z' },
      { display_name: 'Middle 🐦', since: NINE },
      { display_name: 'Late', since: '2025-05-01T00:00:00Z' },
    ])
    const text = JSON.stringify(await wall())
    for (const account of [late, early, middle, stranger, silent]) assert.ok(!text.includes(account.id), 'no account is named')

    await named(early, 'Earliest')
    answered(await stranger.put('/perks/early_bird'))
    answered(await late.delete('/perks/early_bird'))
    await named(middle, null)
    assert.deepEqual(await names(), ['Earliest', 'Stranger'])
    answered(await late.put('/perks/early_bird'))
    assert.deepEqual(await names(), ['Earliest', 'Stranger', 'Late'], 'who comes back takes the old place')
  })

  test('has what an account was promised, though the server crashed', { timeout: 120_000 }, async (t) => {
    const crashing = await serve()
    t.after(() => crashing.stop())
    const there = client(crashing)
    const birds = await Promise.all(Array.from({ length: 24 }, () => opened(there, NINE, EARLY_BIRD)))
    const chosen = new Set()
    for (let round = 0; round < 4; round += 1) {
      const under_way = birds.slice(round * 6, round * 6 + 6).map((account) => account.patch({ display_name: account.id }).catch(() => {}))
      await sleep(3 + 4 * round)
      await crashing.kill()
      await Promise.all(under_way)
      await crashing.restart()
    }
    for (const account of birds) {
      if ((await account.read()).display_name !== null) chosen.add(account.id)
    }
    let shown
    for (let tries = 0; tries < 60; tries += 1) {
      shown = new Set((await send(crashing, 'GET', '/v1/memorial-wall')).body.early_birds.map((bird) => bird.display_name))
      if (shown.size === chosen.size) break
      await sleep(500)
    }
    assert.deepEqual([...shown].sort(), [...chosen].sort())
  })

  test('changes nothing for an account that nobody opened', async () => {
    refused(await new Account(api, unique(), NINE).put('/perks/early_bird'), 404, 'account_not_found')
  })
})
