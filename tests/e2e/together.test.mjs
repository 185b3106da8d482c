// Calls on a hot account go to its object together (scripts/worker/lane.js). Each is answered as if it had gone by itself.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { get } from 'node:http'
import { json } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { SERVICE_KEY, answered, core, costing, header, lawful, matches, opened, refused, send, sum } from './support.mjs'

const CROWD = 200
const ORIGIN = 'https://app.example'
const NINE = '2025-03-10T09:00:00Z'

let server, api
before(async () => {
  server = await serve({ front: 'bench/counting.js', vars: { ALLOWED_ORIGINS: ORIGIN, FAULTS: 'on' } })
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

/** What the module in front has counted. That is told beside the API, so that it is not held against its document. */
async function counts({ url } = server) {
  const [answer] = await once(get(`${url}/counts`), 'response')
  return json(answer)
}

/** Makes many calls at once. The second value is how many requests reached the object for them. */
async function crowd(calls) {
  const earlier = await counts()
  const answers = await Promise.all(calls.map((call) => call()))
  return [answers, (await counts()).requests - earlier.requests]
}

const times = (count, make) => Array.from({ length: count }, (_, index) => make(index))

test('many calls on an account at once take far fewer requests to its object', async () => {
  const account = await opened(api, NINE, { plan: 'max' })
  const [answers, requests] = await crowd(times(CROWD, () => () => account.post('/charges', costing(1))))
  const charges = answers.map((answer) => answered(answer, 201).charge)
  assert.equal(new Set(charges.map(({ id }) => id)).size, CROWD)
  assert.ok(requests < CROWD / 2, `${requests} requests for ${CROWD} calls`)
  matches(await lawful(account), { available: 2000 - CROWD })
})

test('a call that nobody else makes at that time is a request of its own', async () => {
  const account = await opened(api, NINE, { plan: 'max' })
  for (let count = 0; count < 10; count++) {
    const [[answer], requests] = await crowd([() => account.post('/charges', costing(1))])
    answered(answer, 201)
    assert.equal(requests, 1)
  }
})

test('balances are read together, too', async () => {
  const account = await opened(api, NINE, { plan: 'max' })
  const [answers, requests] = await crowd(times(CROWD, (index) => () => (index % 4 ? account.get('/balance') : account.post('/charges', costing(1)))))
  const available = answers.map((answer, index) => answered(answer, index % 4 ? 200 : 201)).map((body) => (body.balance ?? body).available)
  assert.ok(available.every((credits) => 2000 - CROWD / 4 <= credits && credits <= 2000))
  assert.ok(requests < CROWD / 2, `${requests} requests for ${CROWD} calls`)
  assert.equal((await account.balance()).available, 2000 - CROWD / 4)
})

test('each gets its own answer: charges, holds, captures, refusals and wrong calls side by side', async () => {
  const account = await opened(api, NINE, { plan: 'max' })
  const holds = await Promise.all(times(20, () => account.hold(costing(5))))
  const kinds = [
    [() => account.post('/charges', costing(2)), ({ status, body }) => assert.deepEqual([status, body.charge.credits], [201, 2])],
    [() => account.post('/holds', costing(3)), ({ status, body }) => assert.deepEqual([status, body.hold.credits], [201, 3])],
    [(index) => account.post(`/holds/${holds[index].hold.id}/capture`, costing(4)), ({ status, body }) => assert.deepEqual([status, body.charge.credits], [200, 4])],
    [() => account.post('/charges', costing(90_000)), (answer) => refused(answer, 402, 'insufficient_credits', { required: 90_000 })],
    [() => account.post('/charges', { model: 'gpt-9', usage: {} }), (answer) => refused(answer, 400, 'unknown_model', { field: 'model' })],
    [() => account.post('/holds/hold_999/release', {}), (answer) => refused(answer, 404, 'hold_not_found')],
    [() => account.post('/charges', undefined, { raw: '{"model":' }), (answer) => refused(answer, 400, 'invalid_json')],
    [() => account.post('/charges', undefined, { raw: Buffer.from([0x22, 0xff, 0x22]) }), (answer) => refused(answer, 400, 'invalid_json')],
    [() => account.post('/charges', undefined, { raw: ' '.repeat(70_000) }), (answer) => refused(answer, 413, 'body_too_large')],
    [() => account.post('/charges', costing(1), { idempotencyKey: null }), (answer) => refused(answer, 400, 'idempotency_key_required')],
  ]
  const calls = times(20 * kinds.length, (index) => [() => kinds[index % kinds.length][0](Math.floor(index / kinds.length)), kinds[index % kinds.length][1]])
  const [answers, requests] = await crowd(calls.map(([call]) => call))
  answers.forEach((answer, index) => calls[index][1](answer))
  assert.ok(requests < calls.length * 0.75, `${requests} requests for ${calls.length} calls`)
  matches(await lawful(account), { available: 2000 - 20 * (2 + 3 + 4), held: 20 * 3 })
})

test('bodies as long as may be go together as far as there is room', async () => {
  const account = await opened(api, NINE, { plan: 'max' })
  const raw = JSON.stringify(costing(1)).padEnd(64 * 1024, ' ')
  const [answers, requests] = await crowd(times(CROWD, () => () => account.post('/charges', undefined, { raw })))
  for (const answer of answers) answered(answer, 201)
  assert.ok(requests > CROWD / 9, `${requests} requests for ${CROWD} calls`)
  matches(await lawful(account), { available: 2000 - CROWD })
})

test('one key in many hands has one effect, and all of them one answer', async () => {
  const account = await opened(api, NINE, { plan: 'max' })
  const [idempotencyKey, other] = [randomUUID(), randomUUID()]
  const [answers] = await crowd(times(CROWD, (index) => () => account.post('/charges', costing(7), { idempotencyKey: index % 2 ? idempotencyKey : other })))
  const ids = new Set(answers.map((answer) => answered(answer, 201).charge.id))
  assert.equal(ids.size, 2)
  assert.equal(answers.filter((answer) => header(answer, 'idempotent-replayed') === null).length, 2)
  refused(await account.post('/charges', costing(8), { idempotencyKey }), 422, 'idempotency_key_reused')
  matches(await lawful(account), { available: 2000 - 14 })
})

test('what an answer says of itself is of its own request: id, origin, media type', async () => {
  const account = await opened(api, NINE, { plan: 'max' })
  const call = (index) => () =>
    send(server, 'POST', account.path('/charges'), {
      key: SERVICE_KEY,
      body: JSON.stringify(costing(index % 3 === 0 ? 90_000 : 1)),
      headers: { 'Idempotency-Key': randomUUID(), 'CF-Ray': `ray-${index}`, ...(index % 2 ? { Origin: ORIGIN } : { Origin: 'https://elsewhere.example' }) },
    })
  const [answers] = await crowd(times(CROWD, call))
  for (const [index, answer] of answers.entries()) {
    assert.equal(answer.status, index % 3 === 0 ? 402 : 201, answer.text)
    assert.equal(header(answer, 'x-request-id'), `ray-${index}`)
    assert.equal(header(answer, 'access-control-allow-origin'), index % 2 ? ORIGIN : null)
    assert.equal(header(answer, 'content-type'), index % 3 === 0 ? 'application/problem+json' : 'application/json')
    assert.equal(header(answer, 'cache-control'), 'no-store')
  }
})

test('a fault of one touches none of those that it goes with', async () => {
  const account = await opened(api, NINE, { plan: 'max' })
  const faults = ['before-write', 'in-transaction', 'storage-error']
  const isFaulty = (index) => index % 10 === 3
  const call = (index) => () =>
    account.post('/charges', costing(1), isFaulty(index) ? { headers: { 'Inject-Fault': faults[index % faults.length] } } : {})
  const [answers] = await crowd(times(CROWD, call))
  for (const [index, answer] of answers.entries()) {
    if (isFaulty(index)) refused(answer, 500, 'internal')
    else answered(answer, 201)
  }
  matches(await lawful(account), { available: 2000 - CROWD * 0.9 })
})

test('after a panic those who went together are told to try again, and do so with one effect', async () => {
  const account = await opened(api, NINE, { plan: 'max' })
  const keys = times(CROWD, () => randomUUID())
  const call = (key, fault) => () => account.post('/charges', costing(1), { idempotencyKey: key, headers: fault ? { 'Inject-Fault': fault } : {} })
  const [answers] = await crowd(keys.map((key, index) => call(key, index === 100 && 'panic-in-transaction')))
  for (const answer of answers) if (answer.status !== 201) refused(answer, 500, 'internal')
  assert.equal(answers[100].status, 500)
  for (const [index, again] of (await crowd(keys.map((key) => call(key))))[0].entries()) {
    const { charge } = answered(again, 201)
    if (answers[index].status === 201) assert.equal(charge.id, answers[index].body.charge.id)
  }
  matches(await lawful(account), { available: 2000 - CROWD })
})

test('callers who hang up leave the others theirs, and what they asked is done once or not at all', async () => {
  const account = await opened(api, NINE, { plan: 'max' })
  const keys = times(CROWD, () => randomUUID())
  const gone = (index) => index % 4 === 0
  const call = (key, index) => async () => {
    const signal = gone(index) ? AbortSignal.timeout(1 + (index % 7)) : undefined
    try {
      const answer = await fetch(server.url + account.path('/charges'), {
        method: 'POST',
        signal,
        body: JSON.stringify(costing(1)),
        headers: { 'Authorization': `Bearer ${SERVICE_KEY}`, 'Content-Type': 'application/json', 'Idempotency-Key': key, 'Test-Clock': NINE },
      })
      return { status: answer.status, body: await answer.json() }
    } catch (error) {
      assert.ok(gone(index), String(error))
      return null
    }
  }
  const [answers] = await crowd(keys.map(call))
  for (const [index, answer] of answers.entries()) if (!gone(index)) answered(answer, 201)
  // Whoever hung up asks again.
  for (const key of keys) answered(await account.post('/charges', costing(1), { idempotencyKey: key }), 201)
  matches(await lawful(account), { available: 2000 - CROWD })
})

test('two accounts do not wait for each other, and an early bird’s calls are among others', async () => {
  const [bird, plain] = [await opened(api, NINE, { plan: 'free', perks: ['early_bird'] }), await opened(api, NINE, { plan: 'max' })]
  const [answers] = await crowd(times(CROWD, (index) => () => (index % 2 ? bird : plain).post('/charges', core(3))))
  const spent = (odd) => sum(answers.filter((_, index) => index % 2 === odd), (answer) => answered(answer, 201).charge.credits)
  assert.deepEqual([spent(1), spent(0)], [0, CROWD / 2 * 3])
  await lawful(bird)
  await lawful(plain)
})

test('who was taken along and never came back goes by themselves, and what they asked is done once', async () => {
  const losing = await serve({ front: 'tests/e2e/fronts/losing.js' })
  try {
    const account = await opened(client(losing, { key: SERVICE_KEY }), NINE, { plan: 'max' })
    const start = Date.now()
    const calls = (count) => Promise.all(times(count, () => account.post('/charges', costing(1))))
    for (const answer of await calls(CROWD)) answered(answer, 201)
    assert.ok(Date.now() - start < 15_000, `nobody waits for ever: ${Date.now() - start}`)
    assert.equal((await counts(losing)).lost, 4)
    matches(await lawful(account), { available: 2000 - CROWD })

    // Nothing of it stays behind.
    const again = Date.now()
    for (const answer of await calls(CROWD)) answered(answer, 201)
    assert.ok(Date.now() - again < 4_000, `${Date.now() - again}`)
    matches(await lawful(account), { available: 2000 - 2 * CROWD })
  } finally {
    await losing.stop()
  }
})
