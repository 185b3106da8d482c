// Alerts: thresholds whose crossing is posted, signed, at least once and with one id, to the one receiver there is.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook, WebhookVerificationError } from 'standardwebhooks'
import { complaint } from '../openapi/contract.mjs'
import { client, serve } from './harness.mjs'
import { Account, answered, costing, lawful, matches, opened, refused, unique } from './support.mjs'

const NINE = '2025-03-10T09:00:00Z'
const secret = (letter) => `whsec_${Buffer.from(letter.repeat(32)).toString('base64')}`
const [OLD, NEW, OTHER] = ['o', 'n', 'x'].map(secret)
const LOW = { id: 'low', type: 'available_below', credits: 20 }
const DEAR = { id: 'dear', type: 'spent_today_above', credits: 50 }
/** The first try is at once, the second five seconds later. */
const SECOND_TRY_MS = 12_000

/** A receiver of alerts, at any free port unless one is named. `answer` says what it answers to each post; null is nothing at all. */
async function receiver({ answer = () => 204, port = 0 } = {}) {
  const posts = []
  const paths = []
  const state = { posts, paths, answer }
  const http = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    paths.push(request.url)
    const post = { body, headers: request.headers, account: JSON.parse(body || '{"data":{}}').data.account }
    const status = state.answer(post)
    posts.push({ ...post, status })
    if (status === null) return
    response.writeHead(status, status === 302 ? { Location: '/elsewhere' } : {}).end()
  })
  http.listen(port, '127.0.0.1')
  await once(http, 'listening')
  const of = (account) => posts.filter((post) => post.account === account.id)
  return Object.assign(state, {
    url: `http://127.0.0.1:${http.address().port}/alerts`,
    of,
    /** The posts about an account, once there are so many. */
    async wait(account, count, ms = SECOND_TRY_MS) {
      for (const end = Date.now() + ms; of(account).length < count && Date.now() < end;) await sleep(20)
      assert.ok(of(account).length >= count, `${of(account).length} of ${count} posts about ${account.id}`)
      return of(account)
    },
    stop() {
      http.closeAllConnections()
      return new Promise((resolve) => http.close(resolve))
    },
  })
}

/** The event of a post, if its signature is good. It is as the API's document says. */
function verified({ body, headers }, key = NEW) {
  const event = new Webhook(key).verify(body, headers)
  assert.equal(complaint('#/components/schemas/AlertEvent', event), null)
  return event
}
/** Long enough for a post that should not come to have come. */
const quiet = () => sleep(700)

/** An account with these alerts. */
async function watched(api, alerts = [LOW], opening) {
  const account = await opened(api, NINE, opening)
  answered(await account.put('/alerts', { alerts }))
  return account
}

describe('an alert', () => {
  let server, api, inbox
  before(async () => {
    inbox = await receiver()
    server = await serve({ vars: { ALERT_WEBHOOK_URL: inbox.url, ALERT_WEBHOOK_SECRET: `${OLD}, ${NEW}` } })
    api = client(server)
  })
  after(async () => {
    await server?.stop()
    await inbox?.stop()
  })

  test('is posted when it is crossed, with the standard headers, signed with every secret', async () => {
    const account = await watched(api, [LOW, DEAR])
    await account.charge(costing(80))
    const { charge, balance } = await account.charge(costing(1))
    const [dear, low] = await inbox.wait(account, 2)
    assert.equal(low.headers['content-type'], 'application/json')
    assert.match(low.headers['webhook-id'], /^msg_[0-9a-f]{32}$/)
    assert.ok(Math.abs(Date.now() / 1000 - low.headers['webhook-timestamp']) < 60)
    assert.equal(low.headers['webhook-signature'].split(' ').length, 2)
    for (const key of [OLD, NEW]) {
      assert.deepEqual(verified(low, key), {
        type: 'alert.available_below', timestamp: NINE,
        data: { account: account.id, alert: LOW, entry: charge.id.replace('charge', 'entry'), balance },
      })
    }
    matches(verified(dear), { type: 'alert.spent_today_above', data: { alert: DEAR, spent_today: 80, balance: { available: 20 } } })
    assert.throws(() => verified(low, OTHER), WebhookVerificationError)
    assert.throws(() => verified({ ...low, body: low.body.replace('19', '18') }), WebhookVerificationError)
    assert.throws(() => verified({ ...low, headers: { ...low.headers, 'webhook-id': 'msg_0' } }), WebhookVerificationError)
    matches(await account.read('/alerts'), { alerts: [{ ...LOW, crossed_by: 'entry_5' }, { ...DEAR, crossed_by: 'entry_4' }] })
  })

  test('is told once for a crossing, though its request comes again and again', async () => {
    const account = await watched(api)
    const key = { idempotencyKey: unique('key') }
    const charges = await Promise.all(Array.from({ length: 20 }, () => account.post('/charges', costing(85), key)))
    for (const response of charges) answered(response, 201)
    await inbox.wait(account, 1)
    answered(await account.post('/charges', costing(85), key), 201)
    refused(await account.post('/charges', costing(85)), 402, 'insufficient_credits')
    await quiet()
    assert.equal(inbox.of(account).length, 1)
  })

  test('is told once, though fifty charges cross it together', async () => {
    const account = await watched(api, [LOW, DEAR])
    await Promise.all(Array.from({ length: 50 }, () => account.charge(costing(2))))
    await inbox.wait(account, 2)
    await quiet()
    assert.deepEqual(inbox.of(account).map((post) => verified(post).data.alert.id).sort(), ['dear', 'low'])
    await lawful(account)
  })

  test('is told again once available was back, and the next day', async () => {
    const account = await watched(api, [LOW, DEAR])
    for (const day of [10, 11, 12]) await account.at(`2025-03-${day}T10:00:00Z`).charge(costing(90))
    const posts = await inbox.wait(account, 6)
    await quiet()
    assert.equal(inbox.of(account).length, 6)
    assert.equal(new Set(posts.map(({ headers }) => headers['webhook-id'])).size, 6)
    matches(posts.map((post) => verified(post).timestamp.slice(8, 10)), ['10', '10', '11', '11', '12', '12'])
  })

  test('is of the caller\'s choice, and where it goes is not', async () => {
    const account = await watched(api, [])
    const url = 'http://127.0.0.1:1/steal'
    refused(await account.put('/alerts', { alerts: [{ ...LOW, url }] }), 400, 'invalid_request', { field: 'alerts[0].url' })
    refused(await account.put('/alerts', { alerts: [LOW], url }), 400, 'invalid_request', { field: 'url' })
    refused(await account.put('/alerts', { alerts: [LOW, LOW] }), 400, 'invalid_request', { field: 'alerts[1].id' })
    refused(await account.put('/alerts', { alerts: [{ ...LOW, credits: 0 }] }), 400, 'invalid_credits')
    assert.deepEqual(await account.read('/alerts'), { alerts: [] })
    assert.deepEqual(answered(await account.put('/alerts', { alerts: [LOW] })), { alerts: [{ ...LOW, crossed_by: null }] })
    assert.deepEqual(answered(await account.put('/alerts', { alerts: [LOW] })), { alerts: [{ ...LOW, crossed_by: null }] })
    assert.deepEqual((await account.entries('&kind=updated')).map(({ alerts }) => alerts), [[LOW]])
    const charging = new Account(client(server, { key: 'nobody' }), account.id, NINE)
    refused(await charging.put('/alerts', { alerts: [] }), 401, 'unauthenticated')
    refused(await new Account(api, unique(), NINE).put('/alerts', { alerts: [] }), 404, 'account_not_found')
    refused(await new Account(api, unique(), NINE).get('/alerts'), 404, 'account_not_found')
  })
})

describe('where the receiver fails', () => {
  let server, api, inbox
  before(async () => {
    inbox = await receiver()
    server = await serve({ vars: { ALERT_WEBHOOK_URL: inbox.url, ALERT_WEBHOOK_SECRET: NEW } })
    api = client(server)
  })
  after(async () => {
    await server?.stop()
    await inbox?.stop()
  })

  test('an alert is posted again under the same id, and no more once it was taken', async () => {
    const [first, second] = [await watched(api), await watched(api)]
    inbox.answer = ({ account }) => (account === first.id && inbox.of(first).length === 0 ? 500 : 200)
    await first.charge(costing(90))
    await second.charge(costing(90))
    await inbox.wait(second, 1, 3_000)
    const posts = await inbox.wait(first, 2)
    assert.deepEqual(posts.map(({ status }) => status), [500, 200])
    assert.equal(posts[0].headers['webhook-id'], posts[1].headers['webhook-id'])
    assert.equal(posts[0].body, posts[1].body)
    posts.forEach((post) => verified(post))
    await quiet()
    assert.equal(inbox.of(first).length, 2)
    assert.match(server.log, /the alert msg_[0-9a-f]+ is not told yet: the receiver answered 500/)
  })

  test('a redirect is not followed', async () => {
    const account = await watched(api)
    inbox.answer = ({ account: of }) => (of === account.id && inbox.of(account).length === 0 ? 302 : 200)
    await account.charge(costing(90))
    assert.deepEqual((await inbox.wait(account, 2)).map(({ status }) => status), [302, 200])
    assert.ok(inbox.paths.every((path) => path === '/alerts'))
  })

  test('an alert of which the receiver wants no more is given up', async () => {
    const account = await watched(api)
    inbox.answer = () => 410
    await account.charge(costing(90))
    await inbox.wait(account, 1)
    await sleep(6_000)
    assert.equal(inbox.of(account).length, 1)
    assert.match(server.log, /is given up: the receiver answered 410/)
  })

  test('nobody waits for it but the alarm', async () => {
    const account = await watched(api)
    inbox.answer = () => null
    const start = Date.now()
    await account.charge(costing(90))
    await inbox.wait(account, 1)
    for (let count = 0; count < 5; count += 1) await account.charge(costing(1))
    assert.ok(Date.now() - start < 4_000)
  })

  test('an alert that a power cut kept from being posted is posted after it, once', async () => {
    const account = await watched(api)
    await inbox.stop()
    await account.charge(costing(90))
    await server.kill()
    // The same place again, since the deployment names it.
    const later = await receiver({ port: Number(new URL(inbox.url).port) })
    await server.restart()
    try {
      const [post] = await later.wait(account, 1, 30_000)
      matches(verified(post), { data: { account: account.id, alert: LOW, balance: { available: 10 } } })
      await quiet()
      assert.equal(new Set(later.of(account).map(({ headers }) => headers['webhook-id'])).size, 1)
      matches(await lawful(account), { available: 10 })
    } finally {
      await later.stop()
    }
  })
})

describe('where something of ours fails', () => {
  test('an alert is posted if its entry is written, and not if it is not', async () => {
    const inbox = await receiver()
    const server = await serve({ vars: { ALERT_WEBHOOK_URL: inbox.url, ALERT_WEBHOOK_SECRET: NEW, FAULTS: 'on' } })
    try {
      const api = client(server)
      for (const [fault, posts] of [['before-write', 0], ['in-transaction', 0], ['storage-error', 0], ['after-write', 1]]) {
        const account = await watched(api)
        const key = { idempotencyKey: unique('key') }
        const response = await account.post('/charges', costing(90), { ...key, headers: { 'Inject-Fault': fault } })
        refused(response, 500, 'internal')
        await quiet()
        assert.equal(inbox.of(account).length, posts, fault)
        answered(await account.post('/charges', costing(90), key), 201)
        await inbox.wait(account, 1)
        await quiet()
        assert.equal(inbox.of(account).length, 1, fault)
      }
    } finally {
      await server.stop()
      await inbox.stop()
    }
  })
})

describe('where no receiver is configured as it must be', () => {
  const configured = async (vars, run) => {
    const server = await serve({ vars })
    try {
      const account = await watched(client(server))
      await account.charge(costing(90))
      await quiet()
      await run(server, account)
    } finally {
      await server.stop()
    }
  }

  test('an alert is noted, and nobody is told', () =>
    configured({}, async (server, account) => {
      matches(await account.read('/alerts'), { alerts: [{ id: 'low', crossed_by: 'entry_4' }] })
      assert.doesNotMatch(server.log, /alert/)
    }))

  test('nothing is posted without a signature, nor without TLS to another machine', async () => {
    const inbox = await receiver()
    try {
      for (const missing of [null, '', 'plain', 'whsec_c2hvcnQ=']) {
        await configured({ ALERT_WEBHOOK_URL: inbox.url, ALERT_WEBHOOK_SECRET: missing }, (server) =>
          assert.match(server.log, /ALERT_WEBHOOK_SECRET has no secret/))
      }
      assert.deepEqual(inbox.posts, [])
      await configured({ ALERT_WEBHOOK_URL: 'http://192.0.2.1/alerts', ALERT_WEBHOOK_SECRET: NEW }, (server) =>
        assert.match(server.log, /ALERT_WEBHOOK_URL is no https URL/))
    } finally {
      await inbox.stop()
    }
  })
})
