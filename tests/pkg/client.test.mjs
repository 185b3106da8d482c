// The client against the real Worker, over a network that can be made to fail: a proxy that loses requests and answers.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { serve } from '../e2e/harness.mjs'
import { project } from './projects.mjs'

const HUNDRED_TOKENS = { model: 'gpt-oss-120b', usage: { input_tokens: 100 } }

let server, network, EdgeCredits, EdgeCreditsError, createEstimator, credits, account
before(async () => {
  const folder = await project({})
  const entry = (name) => import(pathToFileURL(join(folder, `node_modules/edge-credits/dist/${name}.js`)));
  ({ EdgeCredits, EdgeCreditsError } = await entry('client'));
  ({ createEstimator } = await entry('index'))
  server = await serve()
  network = await openNetwork()
})
after(async () => {
  network?.close()
  await server?.stop()
})

let count = 0
beforeEach(async () => {
  network.faults = []
  network.sent = []
  credits = client()
  account = `ada-${++count}`
  await credits.openAccount(account, { plan: 'free' })
  network.sent = []
})

const client = (options) => new EdgeCredits({ baseUrl: network.url, token: 'dev-service-key', backoffMs: 5, ...options })
const failed = (promise) => promise.then(() => assert.fail('it succeeded'), (error) => {
  assert.ok(error instanceof EdgeCreditsError, String(error.stack))
  return error
})

/** A proxy in front of the Worker. Each of its `faults` spoils one request; then it lets everything pass. */
async function openNetwork() {
  const proxy = createServer(async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const { method, url, headers } = request
    const body = Buffer.concat(chunks)
    network.sent.push({ method, path: url, key: headers['idempotency-key'], authorization: headers.authorization, body: String(body) })
    const fault = network.faults.shift()
    if (fault === 'lost request') return request.socket.destroy()
    if (fault === 'silence') return
    if (fault?.status) return response.writeHead(fault.status, fault.headers).end(fault.body ?? 'out of order')
    const { host, connection, 'content-length': length, ...passed } = headers
    const answer = await fetch(server.url + url, { method, headers: passed, body: body.length > 0 ? body : undefined })
    const text = await answer.text()
    if (fault === 'lost answer') return request.socket.destroy()
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') }).end(text)
  })
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${proxy.address().port}`, faults: [], sent: [],
    close: () => { proxy.closeAllConnections(); proxy.close() },
  }
}

test('the client calls every part of the API', async () => {
  assert.equal(typeof (await credits.health()).version, 'string')
  assert.equal((await credits.catalog()).models.length, 37)
  const { in_force } = await credits.catalogs()
  const inForce = await credits.catalogByHash(in_force)
  assert.equal(inForce.hash, in_force)
  assert.equal((await credits.publishCatalog({ catalog: inForce, effective_at: '2099-01-01T00:00:00Z' })).hash, in_force)
  assert.equal((await credits.estimate(HUNDRED_TOKENS)).credits, 1)
  assert.equal((await credits.account(account)).balance.available, 100)
  assert.equal((await credits.updateAccount(account, { display_name: 'Ada' })).display_name, 'Ada')
  assert.equal((await credits.changePlan(account, { plan: 'starter', dry_run: true })).plan, 'starter')
  assert.deepEqual((await credits.grantPerk(account, 'early_bird')).perks, ['early_bird'])
  assert.deepEqual((await credits.revokePerk(account, 'early_bird')).perks, [])
  assert.equal((await credits.balance(account)).available, 100)
  assert.equal((await credits.preview(account, HUNDRED_TOKENS)).access.allowed, true)

  const { hold } = await credits.hold(account, { ...HUNDRED_TOKENS, ttl_seconds: 60 })
  assert.equal((await credits.extend(account, hold.id, { ttl_seconds: 600 })).hold.id, hold.id)
  assert.equal((await credits.holds(account, { status: 'held' })).holds.length, 1)
  assert.equal((await credits.release(account, hold.id)).hold.status, 'released')
  const { charge } = await credits.charge(account, { ...HUNDRED_TOKENS, on_excess: 'owe' })
  assert.equal((await credits.refund(account, charge.id)).refund.credits, 1)
  const { grant } = await credits.grant(account, { kind: 'pack', credits: 12.5 })
  assert.equal((await credits.voidGrant(account, grant.id)).balance.available, 100)

  assert.ok((await credits.grants(account)).grants.some(({ id }) => id === grant.id))

  const all = []
  for await (const entry of credits.allEntries(account, { limit: 2, order: 'asc' })) all.push(entry.seq)
  assert.deepEqual(all, all.map((_, place) => place + 1))
  assert.equal((await credits.verifyEntries(account)).verified, true)
  assert.equal((await credits.usage(account, { group_by: 'model' })).total.credits, 0)
  const { code } = await credits.invitation(account)
  assert.equal((await failed(credits.redeemInvitation(account, code))).code, 'own_invitation')
  await credits.offerPromotion('SPRING', { credits: 5 })
  assert.equal((await credits.redeemPromotion(account, 'SPRING')).grant.credits, 5)
  assert.ok(await credits.promotion('SPRING'))
  assert.ok(await credits.memorialWall())
  assert.equal((await credits.useFeature(account, 'file_uploads', 3)).feature.used, 3)
  assert.equal((await credits.returnFeature(account, 'file_uploads')).feature.used, 2)
  assert.equal((await credits.entitlements(account)).features.file_uploads.remaining, 98)
  assert.equal((await credits.setSpendLimits(account, { day: 50 })).spend_limits.day.limit, 50)
  assert.equal((await credits.setSpendLimits(account, {})).spend_limits.day, null)
  const alert = { id: 'low', type: 'available_below', credits: 20 }
  assert.deepEqual((await credits.setAlerts(account, [alert])).alerts, [{ ...alert, crossed_by: null }])
  assert.equal((await credits.alerts(account)).alerts[0].id, 'low')
})

test('a preview in the browser is the estimate of the Worker', async () => {
  await credits.grant(account, { kind: 'bonus', credits: 7.5, scope: ['image'], priority: 1 })
  await credits.hold(account, HUNDRED_TOKENS)
  const estimator = await createEstimator({ catalog: await credits.catalog() })
  const fetched = await credits.account(account)
  for (const request of [HUNDRED_TOKENS, { model: 'flux-dev', usage: { images: 9 } }, { model: 'veo-3', usage: { seconds: 5.5 } }]) {
    assert.deepEqual(estimator.preview(fetched, request), await credits.preview(account, request))
    assert.deepEqual(estimator.preview(fetched.balance, request), await credits.preview(account, request))
    assert.deepEqual(estimator.estimate(request), await credits.estimate(request))
  }
  const limited = await credits.setSpendLimits(account, { day: 20, month: 500 })
  for (const request of [HUNDRED_TOKENS, { model: 'flux-dev', usage: { images: 9 } }]) {
    assert.deepEqual(estimator.preview(limited, request), await credits.preview(account, request))
  }
  assert.equal(estimator.preview(limited, { model: 'flux-dev', usage: { images: 9 } }).access.code, 'spend_limit_reached')
})

test('a refusal says its code, its status, its field and the figures', async () => {
  const short = await failed(credits.charge(account, { model: 'veo-3', usage: { seconds: 1 } }))
  assert.deepEqual([short.code, short.status, short.required, short.available, short.owed, short.shortfall], ['insufficient_credits', 402, 840, 100, 0, 740])
  const wrong = await failed(credits.estimate({ model: 'veo-3', usage: { seconds: -1 } }))
  assert.deepEqual([wrong.code, wrong.status, wrong.field], ['invalid_quantity', 400, 'usage.seconds'])
  assert.equal((await failed(credits.account('nobody'))).code, 'account_not_found')
  assert.equal((await failed(client({ token: 'wrong' }).account(account))).status, 401)
  assert.equal(network.sent.length, 4, 'and nothing is sent again')
})

test('an answer that is lost is asked for again, under the same key, and happens once', async () => {
  network.faults = ['lost answer', 'lost request', 'lost answer']
  const { charge, balance } = await credits.charge(account, HUNDRED_TOKENS)
  assert.equal(charge.credits, 1)
  assert.equal(balance.available, 99)
  assert.equal(network.sent.length, 4)
  assert.equal(new Set(network.sent.map(({ key }) => key)).size, 1)
  assert.equal((await credits.balance(account)).available, 99)
})

test('calls have keys of their own, or the caller\'s', async () => {
  await credits.charge(account, HUNDRED_TOKENS)
  await credits.charge(account, HUNDRED_TOKENS)
  await credits.charge(account, HUNDRED_TOKENS, { idempotencyKey: 'mine' })
  await credits.charge(account, HUNDRED_TOKENS, { idempotencyKey: 'mine' })
  assert.equal(new Set(network.sent.map(({ key }) => key)).size, 3)
  assert.equal((await credits.balance(account)).available, 97)
  assert.equal((await failed(credits.charge(account, { model: 'flux-dev', usage: { images: 1 } }, { idempotencyKey: 'mine' }))).code, 'idempotency_key_reused')
})

test('a server in trouble is asked again, but not for ever', async () => {
  network.faults = [{ status: 503 }, { status: 502, body: '<html>' }, { status: 500 }]
  assert.equal((await credits.account(account)).plan, 'free')
  assert.equal(network.sent.length, 4)

  network.faults = Array(9).fill({ status: 503, body: '<html>' })
  const error = await failed(credits.account(account))
  assert.deepEqual([error.code, error.status], ['unexpected_answer', 503])
  assert.equal(network.faults.length, 5)

  network.faults = Array(9).fill('lost request')
  const lost = await failed(client({ retries: 0 }).account(account))
  assert.deepEqual([lost.code, lost.status], ['network_error', undefined])
  assert.ok(lost.cause instanceof Error)
})

test('a server that names a time is left in peace until then', async () => {
  network.faults = [{ status: 429, headers: { 'retry-after': '1' } }]
  const began = Date.now()
  await credits.account(account)
  assert.ok(Date.now() - began >= 990)
  network.faults = [{ status: 429, headers: { 'retry-after': '3600' } }]
  assert.equal((await failed(credits.account(account))).status, 429)
})

test('a server that never answers is given up, and a caller may give up earlier', async () => {
  network.faults = ['silence', 'silence']
  assert.equal((await failed(client({ timeoutMs: 50, retries: 1 }).account(account))).code, 'network_error')
  network.faults = ['silence']
  const reason = new Error('the user left')
  const abort = new AbortController()
  setTimeout(() => abort.abort(reason), 50)
  await assert.rejects(credits.account(account, { signal: abort.signal }), reason)
})

test('a token may be a function, which is asked each time', async () => {
  let asked = 0
  const api = client({ token: async () => (++asked === 1 ? 'stale' : 'dev-service-key') })
  assert.equal((await failed(api.account(account))).status, 401)
  assert.equal((await api.account(account)).plan, 'free')
})

test('a metered call holds the ceiling, captures what was used and gives back the rest', async () => {
  const request = { model: 'gpt-oss-120b', usage: { input_tokens: 5000 }, usage_max: { output_tokens: 200_000 } }
  const { result, charge, hold, balance } = await credits.metered(account, request, async (hold) => {
    assert.equal(hold.credits, 41)
    assert.equal((await credits.balance(account)).available, 59)
    return { text: 'hello', usage: { input_tokens: 5000, output_tokens: 10_000 } }
  }, { ttl_seconds: 60 })
  assert.equal(result.text, 'hello')
  assert.deepEqual([charge.credits, hold.status, balance.available, balance.held], [3, 'captured', 97, 0])
})

test('a metered call captures what providers report, by their own marks or by a named format', async () => {
  const used = async (result, options) => {
    const { charge } = await credits.metered(account, HUNDRED_TOKENS, () => result, options)
    return charge.lines.map(({ meter, quantity }) => `${meter} ${quantity}`).join(', ')
  }
  const chat = { id: 'chatcmpl-1', object: 'chat.completion', model: 'gpt-4o-2024-08-06', choices: [], usage: { prompt_tokens: 9, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 4 } } }
  const expected = 'input_tokens 5, cached_input_tokens 4, output_tokens 3'
  assert.equal(await used(chat), expected)
  assert.equal(await used({ ...chat, object: 'chat.completion.chunk' }), expected)
  assert.equal(await used({ id: 'resp_1', object: 'response', usage: { input_tokens: 9, output_tokens: 3, input_tokens_details: { cached_tokens: 4 } } }), expected)
  assert.equal(await used({ id: 'msg_1', type: 'message', usage: { input_tokens: 5, cache_read_input_tokens: 4, output_tokens: 3 } }), expected)
  assert.equal(await used({ candidates: [], usageMetadata: { promptTokenCount: 9, cachedContentTokenCount: 4, candidatesTokenCount: 3 } }), expected)
  assert.equal(await used({ usage: chat.usage }, { usage_format: 'openai' }), expected)
  assert.equal(await used({ usage: chat.usage, usage_format: 'openai' }), expected)
  assert.equal(await used({ model: 'gpt-oss-120b', usage: { output_tokens: 8 } }), 'output_tokens 8')
  assert.equal(await used({ items: [{ model: 'gpt-oss-120b', usage: { output_tokens: 8 } }] }), 'output_tokens 8')
  assert.equal(await used('hello', { usage: (text) => ({ usage: { output_tokens: text.length } }) }), 'output_tokens 5')
})

test('a metered call that fails gives its hold back', async () => {
  const oops = new Error('the model is down')
  await assert.rejects(credits.metered(account, HUNDRED_TOKENS, () => Promise.reject(oops)), oops)
  const { available, held } = await credits.balance(account)
  assert.deepEqual([available, held], [100, 0])
})

test('a metered call that is not allowed is not made', async () => {
  let made = false
  const error = await failed(credits.metered(account, { model: 'veo-3', usage: { seconds: 1 } }, () => { made = true; return { usage: {} } }))
  assert.deepEqual([error.code, made], ['insufficient_credits', false])
})

test('a capture is not lost to a network that fails for long', async () => {
  const { charge } = await credits.metered(account, HUNDRED_TOKENS, () => {
    network.faults = ['lost answer', 'lost request', { status: 503 }, 'lost answer', 'lost request', 'lost request']
    return { usage: { input_tokens: 5000 } }
  })
  assert.equal(charge.credits, 1)
  assert.equal((await credits.balance(account)).available, 99)
})

test('a capture that fails for good can be made later with what its error has', async () => {
  const error = await failed(client({ captureRetries: 1 }).metered(account, HUNDRED_TOKENS, () => {
    network.faults = ['lost answer', 'lost request']
    return { text: 'hello', usage: { input_tokens: 5000 } }
  }))
  assert.equal(error.code, 'network_error')
  assert.equal(error.result.text, 'hello')
  const { request, idempotencyKey } = error.capture
  const { charge } = await credits.capture(account, error.hold.id, request, { idempotencyKey })
  assert.equal(charge.credits, 1)
  assert.equal((await credits.balance(account)).available, 99)
})

test('a call that tells no usage leaves its hold open, and says so', async () => {
  for (const result of [undefined, 'hello', {}, { usage: null }, { usage: 5 }]) {
    const error = await failed(credits.metered(account, HUNDRED_TOKENS, () => result))
    assert.equal(error.code, 'usage_missing')
    assert.equal((await credits.readHold(account, error.hold.id)).hold.status, 'held')
    await credits.release(account, error.hold.id)
  }
})
