import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { must, nodes, project, readVectors } from './projects.mjs'

const REQUEST = { model: 'kimi-k2', usage: { input_tokens: 1200, output_tokens: 800 } }

let createEstimator, EdgeCreditsError, estimator, folder
before(async () => {
  folder = await project({
    'memory.mjs': `
      import { createEstimator } from 'edge-credits'
      const estimator = await createEstimator()
      const request = { model: 'claude-sonnet-4', usage: { input_tokens: 1234, output_tokens: 567 } }
      const rest = { model: 'claude-sonnet-4', usage: { input_tokens: 1234 }, usage_max: { output_tokens: 999 } }
      const many = Array.from({ length: 1000 }, (_, place) => (place % 100 ? request : rest))
      const run = (count) => {
        for (let done = 0; done < count; done += 1000) {
          estimator.estimateAll(many)
          try { estimator.estimate({ model: 'none', usage: {} }) } catch {}
        }
        for (let done = 0; done < count / 2; done++) estimator.estimate(request)
      }
      const used = () => { gc(); const { rss, arrayBuffers, external } = process.memoryUsage(); return { rss, held: arrayBuffers + external } }
      run(200_000)
      const before = used()
      run(1_000_000)
      const after = used()
      console.log(JSON.stringify({ rss: after.rss - before.rss, held: after.held - before.held }))
    `,
  })
  const entry = pathToFileURL(join(folder, 'node_modules/edge-credits/dist/index.js'));
  ({ createEstimator, EdgeCreditsError } = await import(entry))
  estimator = await createEstimator()
})

/** The code and the field of what is thrown, which must be an error of ours. */
function refusal(call) {
  try {
    return call()
  } catch (error) {
    assert.ok(error instanceof EdgeCreditsError, String(error?.stack))
    assert.equal(error.name, 'EdgeCreditsError')
    return [error.code, error.field]
  }
}
const refused = (request) => refusal(() => estimator.estimate(request))

test('what JSON cannot say is refused where it stands, and the estimator goes on', () => {
  const rows = [
    [{ model: 'kimi-k2', usage: { input_tokens: 5n } }, 'invalid_quantity', 'usage.input_tokens'],
    [{ model: 'kimi-k2', usage: { input_tokens: NaN } }, 'invalid_quantity', 'usage.input_tokens'],
    [{ model: 'kimi-k2', usage: { input_tokens: Infinity } }, 'invalid_quantity', 'usage.input_tokens'],
    [{ model: 'kimi-k2', usage: { input_tokens: -Infinity } }, 'invalid_quantity', 'usage.input_tokens'],
    [{ model: 'kimi-k2', usage: { input_tokens: '5' } }, 'invalid_quantity', 'usage.input_tokens'],
    [{ model: 'kimi-k2', usage: { input_tokens: new Number(5) } }, 'invalid_quantity', 'usage.input_tokens'],
    [{ model: 'kimi-k2', usage: { input_tokens: () => 5 } }, 'invalid_quantity', 'usage.input_tokens'],
    [{ model: 'kimi-k2', usage: { input_tokens: Symbol('five') } }, 'invalid_quantity', 'usage.input_tokens'],
    [{ model: 'kimi-k2', usage: new Map([['input_tokens', 5]]) }, 'invalid_request', 'usage'],
    [{ model: 'kimi-k2', usage: new Uint8Array(5) }, 'invalid_request', 'usage'],
    [{ model: 'kimi-k2', usage: new Date() }, 'invalid_request', 'usage'],
    [{ model: 5n, usage: {} }, 'invalid_request', 'model'],
    [{ credits: 5n, description: 'a feature' }, 'invalid_credits', 'credits'],
    [new Map(), 'invalid_request', undefined],
    [undefined, 'invalid_request', undefined],
    [5, 'invalid_request', undefined],
    [() => REQUEST, 'invalid_request', undefined],
  ]
  for (const [request, code, field] of rows) {
    assert.deepEqual(refused(request), [code, field])
    assert.equal(estimator.estimate(REQUEST).credits, 1)
  }
})

test('what refers to itself, or is nested too deeply, is refused', () => {
  const circle = { model: 'kimi-k2' }
  circle.usage = circle
  const wide = []
  for (let place = 0; place < 100; place++) wide.push(wide)
  let deep = {}
  for (let depth = 0; depth < 100_000; depth++) deep = { deep }
  for (const request of [circle, wide, { items: wide }, deep]) assert.equal(refused(request)[0], 'invalid_request')
  assert.equal(refusal(() => estimator.preview(circle, REQUEST))[0], 'invalid_account')
  assert.equal(estimator.estimate(REQUEST).credits, 1)
})

test('fields that are undefined are as good as absent, as in JSON', () => {
  const request = { ...REQUEST, usage_max: undefined, user: undefined }
  assert.deepEqual(estimator.estimate(request), estimator.estimate(REQUEST))
})

test('objects of other kinds and realms are read as JSON would write them', async () => {
  const { runInNewContext } = await import('node:vm')
  class Call {
    model = 'kimi-k2'
    usage = Object.assign(Object.create(null), { input_tokens: 1200, output_tokens: 800 })
    get user() { return 'ada' }
  }
  for (const request of [new Call(), runInNewContext(`(${JSON.stringify(REQUEST)})`), new Proxy(REQUEST, {}), Object.freeze({ ...REQUEST })]) {
    assert.deepEqual(estimator.estimate(request), estimator.estimate(REQUEST))
  }
  // What is inherited is no field.
  assert.deepEqual(refused(Object.create(REQUEST)), ['invalid_request', 'model'])
})

test('a getter may throw, or ask the same estimator, in the middle of an estimate', () => {
  const oops = new Error('oops')
  const throwing = { model: 'kimi-k2', get usage() { throw oops } }
  assert.throws(() => estimator.estimate(throwing), oops)
  assert.throws(() => estimator.estimateAll([REQUEST, throwing]), oops)
  const big = Array.from({ length: 5000 }, () => ({ model: 'flux-dev', usage: { images: 2 } }))
  const asking = {
    model: 'kimi-k2',
    usage: { get input_tokens() { return estimator.estimateAll(big).at(-1).credits * 150 }, output_tokens: 800 },
  }
  assert.deepEqual(estimator.estimate(asking), estimator.estimate(REQUEST))
  assert.deepEqual(estimator.estimateAll([REQUEST, asking, REQUEST]), Array(3).fill(estimator.estimate(REQUEST)))
})

test('text survives, whatever it is made of', () => {
  for (const description of ['🧮 Ünïcödé', '\0\u0001', '‮', 'e\u0301', '한국어']) {
    assert.equal(estimator.estimate({ credits: 1, description }).lines[0].description, description)
  }
  // Half a character is no text, and becomes what UTF-8 makes of it.
  assert.equal(estimator.estimate({ credits: 1, description: 'a\ud83d' }).lines[0].description, 'a\ufffd')
  assert.deepEqual(refused(JSON.parse('{"model":"kimi-k2","usage":{},"__proto__":1}')), ['invalid_request', '__proto__'])
})

test('a batch answers as the single estimates do, however long it is', () => {
  const cases = readVectors().cases.filter(({ call, catalog, answer }) => call === 'estimate' && catalog === 'published' && answer)
  const requests = Array.from({ length: 20 }, () => cases.map(({ request }) => request)).flat()
  const answers = estimator.estimateAll(requests)
  assert.deepEqual(answers, requests.map((request) => estimator.estimate(request)))
  assert.deepEqual(estimator.estimateAll([]), [])
})

test('a batch says which of its requests is refused', () => {
  const broken = { model: 'kimi-k2', usage: { input_tokens: -1 } }
  assert.deepEqual(refusal(() => estimator.estimateAll([REQUEST, broken, 5])), ['invalid_quantity', '[1].usage.input_tokens'])
  assert.deepEqual(refusal(() => estimator.estimateAll([REQUEST, REQUEST, null])), ['invalid_request', '[2]'])
  assert.deepEqual(refusal(() => estimator.estimateAll([REQUEST, { items: [broken] }])), ['invalid_quantity', '[1].items[0].usage.input_tokens'])
  for (const none of [REQUEST, undefined, 'kimi-k2', { length: 1 }]) {
    assert.equal(refusal(() => estimator.estimateAll(none))[0], 'invalid_request')
  }
})

test('answers are plain JSON, and new each time', () => {
  const first = estimator.estimate(REQUEST)
  assert.deepEqual(JSON.parse(JSON.stringify(first)), first)
  first.lines.length = 0
  first.credits = 0
  assert.equal(estimator.estimate(REQUEST).lines.length, 2)
})

test('the catalog cannot be changed, and opens another estimator', async () => {
  assert.throws(() => { estimator.catalog.models[0].rates[0].rate = 0 }, TypeError)
  const copy = await createEstimator({ catalog: structuredClone(estimator.catalog) })
  assert.deepEqual(copy.catalog, estimator.catalog)
  assert.deepEqual(copy.estimate(REQUEST), estimator.estimate(REQUEST))
})

test('a catalog that is none is refused, and does not spoil the package', async () => {
  const circle = {}
  circle.models = circle
  for (const catalog of [null, 5, [], {}, 'published', { increment: 0 }, { increment: 1, models: [{ id: 'a' }] }, circle]) {
    await assert.rejects(createEstimator({ catalog }), { name: 'EdgeCreditsError', code: 'invalid_catalog' })
  }
  const twice = structuredClone(estimator.catalog)
  twice.models[3].rates[0].per = 0
  await assert.rejects(createEstimator({ catalog: twice }), { code: 'invalid_catalog', field: 'models[3].rates[0].per' })
  assert.equal((await createEstimator()).estimate(REQUEST).credits, 1)
})

test('affordable says what is wrong with its arguments', () => {
  const asked = (...question) => refusal(() => estimator.affordable(...question))
  assert.equal(asked({ model: 'kimi-k2' }, 'output_tokens', 2), 5000)
  assert.equal(asked({ model: 'kimi-k2', usage: { input_tokens: 9e9 } }, 'output_tokens', 2), null)
  assert.deepEqual(asked({ model: 'kimi-k2' }, 5, 2), ['invalid_request', 'meter'])
  assert.deepEqual(asked({ model: 'kimi-k2' }, undefined, 2), ['invalid_request', 'meter'])
  assert.deepEqual(asked({ model: 'kimi-k2' }, 'minutes', 2), ['unknown_meter', 'meter'])
  assert.deepEqual(asked({ model: 'kimi-k2' }, 'output_tokens'), ['invalid_credits', 'credits'])
  assert.deepEqual(asked({ model: 'kimi-k2' }, 'output_tokens', 2n), ['invalid_credits', 'credits'])
})

test('a million estimates do not make the memory grow', async () => {
  const { rss, held } = JSON.parse(await must(nodes['Node 22'], ['--expose-gc', 'memory.mjs'], { cwd: folder }))
  assert.ok(held <= 64 * 1024, `${held} more bytes outside of the heap`)
  assert.ok(rss < 48 * 1024 * 1024, `${rss} more bytes in all`)
})
