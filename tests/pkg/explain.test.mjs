// Charges of the real Worker's journal, priced again by the package.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { serve } from '../e2e/harness.mjs'
import { project } from './projects.mjs'

const START = '2027-03-10T12:00:00Z'
const LATER = '2027-03-10T13:00:00Z'
const CORE = 'kimi-k2' // An early bird's calls of it cost nothing.

let server, credits, estimator, createEstimator, entries
before(async () => {
  const folder = await project({})
  const entry = (name) => import(pathToFileURL(join(folder, `node_modules/edge-credits/dist/${name}.js`)))
  const { EdgeCredits } = await entry('client');
  ({ createEstimator } = await entry('index'))
  estimator = await createEstimator()
  server = await serve()
  credits = new EdgeCredits({ baseUrl: server.url, token: 'dev-service-key' })
  await live()
})
after(() => server?.stop())

const at = (clock) => ({ headers: { 'Test-Clock': clock } })

/** Charges of every kind there is, made by one early bird and one who is none. */
async function live() {
  const [bird, cat] = ['bird', 'cat']
  await credits.openAccount(bird, { plan: 'free', perks: ['early_bird'] }, at(START))
  await credits.openAccount(cat, { plan: 'free' }, at(START))
  const captured = async (account, request, used, { then = START, ...options } = {}) => {
    const { hold } = await credits.hold(account, request, at(START))
    await credits.capture(account, hold.id, { ...used, ...options }, at(then))
  }
  const core = { model: CORE, usage: { input_tokens: 1234, output_tokens: 567 } }
  const images = { model: 'flux-dev', usage: { images: 2 } }
  const flat = { credits: 0.25, description: 'a document' }
  const workflow = { items: [core, images, flat, { model: 'veo-3', usage: {} }] }
  for (const account of [bird, cat]) {
    await credits.charge(account, core, at(START))
    await credits.charge(account, workflow, at(START))
    await credits.charge(account, { items: [core, { model: 'flux-dev', usage: {} }] }, at(START))
    await credits.charge(account, { model: CORE, usage: {} }, at(START))
    await credits.charge(account, flat, at(START))
    await captured(account, images, { model: 'flux-dev', usage: { images: 1 } })
    await captured(account, core, { model: CORE, usage: { output_tokens: 99_999 } })
    await captured(account, images, images, { then: LATER })
    await captured(account, images, { items: [images, core] })
    await captured(account, images, { model: 'flux-dev', usage: {} })
    await captured(account, images, { model: 'flux-dev', usage: { images: 90 } }, { on_excess: 'forgive' })
  }
  await captured(cat, { model: CORE, usage: {} }, { model: CORE, usage: { output_tokens: 5 } }, { on_excess: 'owe' })
  entries = []
  for (const account of [bird, cat]) {
    for await (const entry of credits.allEntries(account, { order: 'asc' }, at(LATER))) entries.push(entry)
  }
}

const charges = () => entries.filter(({ charge }) => charge)
const thrown = (entry, by = estimator) => {
  try {
    assert.fail(`it answered ${JSON.stringify(by.explain(entry))}`)
  } catch (error) {
    return error
  }
}

test('every charge of the Worker is what it states', async () => {
  assert.equal(charges().length, 23)
  for (const { seq, charge } of charges()) {
    assert.deepEqual(estimator.explain(entries.find((entry) => entry.charge === charge)), {
      credits: charge.credits + charge.forgiven,
      list_credits: charge.list_credits,
      waived: charge.waived,
      lines: charge.lines,
      rounding: charge.rounding,
      catalog: charge.catalog,
      agrees: true,
    }, `entry ${seq}`)
  }
  // There are some of each.
  const has = (test) => charges().some(({ charge, kind }) => test(charge, kind))
  assert.ok(has(({ waived }) => waived) && has(({ forgiven }) => forgiven > 0) && has(({ owed }) => owed > 0))
  assert.ok(has(({ late }) => late) && has(({ lines }) => lines.length === 0) && has((_, kind) => kind === 'captured'))
  for (const account of ['bird', 'cat']) assert.equal((await credits.verifyEntries(account, {}, at(LATER))).verified, true)
})

test('a charge that was tampered with does not agree', () => {
  const changed = (value) => {
    switch (typeof value) {
      case 'number': return [value + 1]
      case 'boolean': return [!value]
      default: return []
    }
  }
  /** All entries that differ from this one in one figure of what its price is made of. */
  const tampered = (entry) => {
    const { charge } = entry
    const figures = ['credits', 'list_credits', 'forgiven', 'owed', 'rounding', 'waived']
      .flatMap((name) => changed(charge[name]).map((value) => ({ ...charge, [name]: value })))
    const parts = ['lines', 'draws'].flatMap((list) => charge[list].flatMap((part, place) => (
      Object.entries(part).flatMap(([name, value]) => changed(value).map((other) => (
        { ...charge, [list]: charge[list].with(place, { ...part, [name]: other }) }
      )))
    )))
    return [...figures, ...parts].map((charge) => ({ ...entry, charge }))
  }
  let count = 0
  for (const entry of charges().filter(({ charge }) => charge.models.every(({ model }) => !entryIsForeign(model, charge)))) {
    for (const other of tampered(entry)) {
      count++
      assert.equal(estimator.explain(other).agrees, false, JSON.stringify(other))
    }
  }
  assert.ok(count > 200, String(count))
  // A perk that was not there, and a line that was taken away.
  const bird = charges().find(({ charge }) => charge.waived)
  const models = bird.charge.models.map((called) => ({ ...called, waived: false }))
  assert.equal(estimator.explain({ ...bird, charge: { ...bird.charge, models } }).agrees, false)
  assert.equal(estimator.explain({ ...bird, charge: { ...bird.charge, lines: bird.charge.lines.slice(1) } }).agrees, false)
})

/** Whether a capture used a model that its hold did not name. */
function entryIsForeign(model, charge) {
  const { kind, hold } = entries.find((entry) => entry.charge === charge)
  return kind === 'captured' && !hold.models.some((held) => held.model === model)
}

test('what a later catalog may have priced is not judged', () => {
  const entry = charges().find(({ charge }) => charge.models.some(({ model }) => entryIsForeign(model, charge)))
  assert.equal(estimator.explain({ ...entry, charge: { ...entry.charge, rounding: 0.5 } }).agrees, null)
})

test('an entry is explained by the catalog that it names, which the Worker has', async () => {
  const entry = charges()[0]
  const other = await createEstimator({ catalog: { ...estimator.catalog, increment: 0.01 } })
  const error = thrown(entry, other)
  assert.deepEqual([error.name, error.code, error.field], ['EdgeCreditsError', 'unknown_catalog', 'charge.catalog'])
  assert.ok(error.message.includes(`GET /v1/catalogs/${entry.charge.catalog}`), error.message)
  const right = await createEstimator({ catalog: await credits.catalogByHash(entry.charge.catalog) })
  assert.equal(right.explain(entry).agrees, true)
})

test('what charges nothing, or is no entry, says so', () => {
  for (const entry of entries.filter(({ charge }) => !charge)) {
    const { code, field, detail } = thrown(entry)
    assert.deepEqual([code, field], ['invalid_entry', 'kind'])
    assert.ok(detail.includes(`\`${entry.kind}\` entry`), detail)
  }
  const entry = charges().find(({ kind }) => kind === 'captured')
  const circle = {}
  circle.circle = circle
  const rows = [
    [undefined, undefined], [5, undefined], [[], undefined], [circle, undefined], [{}, 'kind'], [{ kind: 5 }, 'kind'],
    [{ kind: 'charged' }, 'charge'], [{ ...entry, hold: undefined }, 'hold'],
    [{ ...entry, charge: { ...entry.charge, credits: '5' } }, 'charge.credits'],
    [{ ...entry, charge: { ...entry.charge, lines: {} } }, 'charge.lines'],
    [{ ...entry, charge: { ...entry.charge, lines: [{ ...entry.charge.lines[0], meter: 'minutes' }] } }, 'charge.lines[0].meter'],
  ]
  for (const [none, field] of rows) {
    const error = thrown(none)
    assert.deepEqual([error.code, error.field], ['invalid_entry', field])
  }
  const unknown = { ...entry, charge: { ...entry.charge, lines: [{ ...entry.charge.lines[0], model: 'none' }] } }
  assert.deepEqual([thrown(unknown).code, thrown(unknown).field], ['unknown_model', 'charge.lines[0].model'])
})
