// The Worker's prices, held to the vectors that the core and the npm package are held to: the same answer everywhere.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { answered, refused } from './support.mjs'

const { catalogs, cases } = JSON.parse(readFileSync(new URL('../vectors/vectors.json', import.meta.url), 'utf8'))
const TOO_DEEP = 'nested too deeply'

let server, api
before(async () => {
  server = await serve()
  api = client(server)
})
after(() => server?.stop())

const estimates = (name) => cases.filter(({ call, catalog }) => call === 'estimate' && catalog === name)

/** Every estimate of a catalog is what its vector says, by the catalog of this hash. */
async function holds(name, hash) {
  const vectors = estimates(name)
  const has = (member) => vectors.some((vector) => member in vector)
  assert.ok(vectors.length >= 300 && has('answer') && has('refusal'))
  for (const { request, answer, refusal } of vectors) {
    // On the wire such a value is not even read.
    if (refusal?.detail === TOO_DEEP) {
      const { detail } = refused(await api.post('/v1/estimate', request, { idempotencyKey: null }), 400, ['invalid_json'])
      assert.ok(detail.includes(TOO_DEEP), detail)
      continue
    }
    const { status, body } = await api.post('/v1/estimate', request, { idempotencyKey: null })
    const { code, detail, field = null } = body
    const found = status === 200 ? { answer: body } : { status, refusal: { code, detail, field } }
    const expected = answer ? { answer: { ...answer, catalog: hash } } : { status: 400, refusal }
    assert.deepEqual(found, expected, JSON.stringify(request))
  }
}

test('the Worker answers every estimate of the published catalog as its vector says', async () => {
  const { hash } = answered(await api.get('/v1/catalog'))
  assert.equal(hash, catalogs.published.hash)
  await holds('published', hash)
})

test('the Worker answers every estimate of another catalog as its vector says, once that is published', async () => {
  const published = answered(await api.get('/v1/catalog'))
  const { source } = catalogs.thirds
  // What accounts may refer to has to stay. The perks' models are not of this catalog.
  const perks = published.perks.map((perk) => ({ ...perk, models: [] }))
  const { hash } = answered(await api.put('/v1/catalogs', { catalog: { ...published, ...source, perks } }), 201)
  await holds('thirds', hash)
})
