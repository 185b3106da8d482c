// Published catalogs: operators change prices and plans without a deploy, from an instant, and nothing that was priced
// before changes.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { after as later, answered, lawful, matches, opened, refused, send } from './support.mjs'

const CALL = { model: 'gpt-oss-120b', usage: { input_tokens: 50_000 } }

// Each test has a Worker of its own: what one publishes is in force for all.
let server, api
async function fresh(t, options) {
  server = await serve(options)
  api = client(server)
  t.after(() => server.stop())
  return answered(await api.get('/v1/catalog'))
}

const dearer = (catalog, times = 2) => ({
  ...catalog,
  models: catalog.models.map((model) => ({ ...model, rates: model.rates.map((rate) => ({ ...rate, rate: rate.rate * times })) })),
})
const publish = (catalog, effective_at, through = api) =>
  through.put('/v1/catalogs', { catalog, ...(effective_at ? { effective_at } : {}) })
const priced = async (clock, through = api) => answered(await (clock ? through.at(clock) : through).post('/v1/estimate', CALL, { idempotencyKey: null })).credits

describe('a published catalog', () => {
  test('is in force from its instant on, at the edge and in every account', async (t) => {
    const bundled = await fresh(t)
    const noon = '2027-03-10T12:00:00Z'
    const [before, then] = [later(noon, -1), noon]
    const account = await opened(api, '2027-03-10T08:00:00Z')
    const published = answered(await publish(dearer(bundled), noon), 201)
    matches(published, { version: 1, effective_at: noon })
    assert.notEqual(published.hash, bundled.hash)

    assert.deepEqual([await priced(), await priced(before), await priced(then)], [10, 10, 20])
    assert.equal((await account.at(before).charge(CALL)).charge.credits, 10)
    const { charge } = await account.at(then).charge(CALL)
    matches(charge, { credits: 20, catalog: published.hash })
    assert.equal(answered(await api.at(then).get('/v1/catalog')).hash, published.hash)
    assert.equal(answered(await api.at(before).get('/v1/catalog')).hash, bundled.hash)
    await lawful(account.at(then))
    assert.equal((await account.at(then).read('/entries/verify')).verified, true)
  })

  test('leaves open holds at the price that they were made at', async (t) => {
    const bundled = await fresh(t)
    const start = '2027-03-10T11:50:00Z'
    const account = await opened(api, start)
    const { hold } = await account.hold(CALL)
    answered(await publish(dearer(bundled), later(start, 300)), 201)
    const after = account.at(later(start, 600))
    const { charge } = await after.capture(hold.id, CALL)
    matches(charge, { credits: 10, catalog: bundled.hash })
    assert.equal((await after.charge(CALL)).charge.credits, 20)
    assert.equal((await after.read('/entries/verify')).verified, true)
  })

  test('takes effect at once without an instant, and a later one replaces it', async (t) => {
    const bundled = await fresh(t)
    answered(await publish(dearer(bundled, 3)), 201)
    assert.equal(await priced(), 30)
    matches(answered(await publish(bundled), 201), { version: 2, hash: bundled.hash })
    assert.equal(await priced(), 10)
    const list = answered(await api.get('/v1/catalogs'))
    assert.equal(list.in_force, bundled.hash)
    assert.deepEqual(list.catalogs.map(({ version }) => version), [2, 1])
  })

  test('is published once, however often it is said', async (t) => {
    const bundled = await fresh(t)
    const noon = '2027-03-10T12:00:00Z'
    const first = answered(await publish(dearer(bundled), noon), 201)
    const parallel = await Promise.all(Array.from({ length: 10 }, () => publish(dearer(bundled), noon)))
    for (const again of parallel) assert.deepEqual(answered(again), first)
    assert.equal(answered(await api.get('/v1/catalogs')).catalogs.length, 1)
  })

  test('gives the days that begin in it their allowance', async (t) => {
    const bundled = await fresh(t)
    const account = await opened(api, '2027-03-10T08:00:00Z')
    const plans = bundled.plans.map((plan) => (plan.id === 'free' ? { ...plan, daily: 150 } : plan))
    answered(await publish({ ...bundled, plans }, '2027-03-11T09:00:00Z'), 201)
    const available = async (clock) => (await account.at(clock).balance()).available
    assert.deepEqual(
      [await available('2027-03-11T08:59:59Z'), await available('2027-03-11T23:59:59Z'), await available('2027-03-12T00:00:00Z')],
      [100, 100, 150],
    )
  })

  test('adds models without a deploy, and takes them away', async (t) => {
    const bundled = await fresh(t)
    const rates = bundled.models.find(({ id }) => id === 'kimi-k2')
    const model = { ...rates, id: 'kimi-k3', name: 'Kimi K3' }
    const call = { model: 'kimi-k3', usage: { input_tokens: 5_000 } }
    const estimate = () => api.post('/v1/estimate', call, { idempotencyKey: null })
    refused(await estimate(), 400, 'unknown_model')
    answered(await publish({ ...bundled, models: [...bundled.models, model] }), 201)
    assert.equal(answered(await estimate()).credits, 2)
    const account = await opened(api)
    const { hold } = await account.hold(call)
    answered(await publish(bundled), 201)
    refused(await estimate(), 400, 'unknown_model')
    assert.equal((await account.capture(hold.id, call)).charge.credits, 2)
  })

  test('outlives the process', async (t) => {
    const bundled = await fresh(t)
    const account = await opened(api)
    const { hash } = answered(await publish(dearer(bundled)), 201)
    await server.restart()
    assert.equal(await priced(), 20)
    matches((await account.charge(CALL)).charge, { credits: 20, catalog: hash })
  })
})

describe('a catalog by its hash', () => {
  test('is what it was, for ever', async (t) => {
    const bundled = await fresh(t)
    const { hash } = answered(await publish(dearer(bundled), '2027-03-10T12:00:00Z'), 201)
    const response = await send(server, 'GET', `/v1/catalogs/${hash}`)
    assert.equal(answered(response).hash, hash)
    assert.equal(response.headers.get('etag'), `"${hash}"`)
    assert.match(response.headers.get('cache-control'), /immutable/)
    assert.deepEqual(answered(await send(server, 'GET', `/v1/catalogs/${bundled.hash}`)), bundled)
    const unchanged = await send(server, 'GET', `/v1/catalogs/${hash}`, { headers: { 'If-None-Match': `"${hash}"` } })
    assert.equal(unchanged.status, 304)
  })

  test('that nobody published is not found', async (t) => {
    await fresh(t)
    for (const hash of ['0'.repeat(64), 'x', '%2F', '']) refused(await send(server, 'GET', `/v1/catalogs/${hash}`), 404, 'catalog_not_found')
  })
})

describe('a catalog that cannot be published', () => {
  test('changes nothing, and the answer says where it is wrong', async (t) => {
    const bundled = await fresh(t)
    const lacking = (list, keep) => ({ ...bundled, [list]: bundled[list].filter(keep) })
    const rate = structuredClone(bundled)
    rate.models[2].rates[0].rate = -1
    const rows = [
      [{}, 'invalid_request', 'catalog'],
      [{ catalog: bundled, effective: 1 }, 'invalid_request', 'effective'],
      [{ catalog: 'published' }, 'invalid_catalog', 'catalog'],
      [{ catalog: {} }, 'invalid_catalog', undefined],
      [{ catalog: rate }, 'invalid_catalog', 'catalog.models[2].rates[0].rate'],
      [{ catalog: lacking('plans', ({ id }) => id !== 'max') }, 'invalid_catalog', 'catalog.plans'],
      [{ catalog: { ...bundled, perks: [] } }, 'invalid_catalog', 'catalog.perks'],
      [{ catalog: { ...bundled, packs: [] } }, 'invalid_catalog', 'catalog.packs'],
      [{ catalog: bundled, effective_at: '2020-01-01T00:00:00Z' }, 'invalid_request', 'effective_at'],
      [{ catalog: bundled, effective_at: 'tomorrow' }, 'invalid_request', 'effective_at'],
      [{ catalog: bundled, effective_at: 5 }, 'invalid_request', 'effective_at'],
    ]
    for (const [body, code, field] of rows) {
      refused(await api.put('/v1/catalogs', body), 400, code, field === undefined ? {} : { field })
    }
    assert.deepEqual(answered(await api.get('/v1/catalogs')), { in_force: bundled.hash, catalogs: [] })
  })

  test('cannot make one go away that was announced', async (t) => {
    const bundled = await fresh(t)
    answered(await publish(dearer(bundled), '2027-05-01T00:00:00Z'), 201)
    const plans = [...bundled.plans, { ...bundled.plans[0], id: 'trial', name: 'Trial' }]
    refused(await publish({ ...bundled, plans }, '2027-04-01T00:00:00Z'), 400, 'invalid_catalog', { field: 'catalog.plans' })
    answered(await publish({ ...bundled, plans }, '2027-06-01T00:00:00Z'), 201)
  })

  test('is refused to all but administrators', async (t) => {
    const bundled = await fresh(t, { vars: { SERVICE_KEYS: 'dev-service-key,board:read:read-key,meter:charge:charge-key' } })
    const body = JSON.stringify({ catalog: bundled })
    for (const [key, status, code] of [[undefined, 401, 'unauthenticated'], ['read-key', 403, 'forbidden'], ['charge-key', 403, 'forbidden']]) {
      refused(await send(server, 'PUT', '/v1/catalogs', { body, key }), status, code)
      refused(await send(server, 'GET', '/v1/catalogs', { key }), status, code)
    }
    refused(await send(server, 'POST', '/v1/catalogs', { body, key: 'dev-service-key' }), 405)
  })
})
