// Live balances: a WebSocket tells the balance at once and after every change.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { client, serve } from './harness.mjs'
import { Account, SERVICE_KEY, answered, costing, matches, opened, refused, send, unique } from './support.mjs'

const NINE = '2025-03-10T09:00:00Z'

let server, api
before(async () => {
  server = await serve({ vars: { ALLOWED_ORIGINS: 'https://app.example' } })
  api = client(server)
})
after(() => server?.stop())

/** A user's token, good until so many seconds. */
function tokenOf(sub, exp) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, exp })}`
  return `${signed}.${createHmac('sha256', 'dev-user-token-secret').update(signed).digest('base64url')}`
}

const asUser = (account, exp) => ({ headers: { Authorization: `Bearer ${tokenOf(account, exp)}` } })

/** An open socket, and what it was told so far. `next` waits for one more message. */
async function watch(account, { headers = { Authorization: `Bearer ${SERVICE_KEY}` }, protocols } = {}) {
  const clock = account.clock ? { 'Test-Clock': account.clock } : {}
  const url = `${server.url.replace('http', 'ws')}${account.path('/live')}`
  const socket = new WebSocket(url, { headers: { ...headers, ...clock }, ...(protocols ? { protocols } : {}) })
  const told = []
  let wake = () => {}
  socket.addEventListener('message', ({ data }) => {
    told.push(data === 'pong' ? data : JSON.parse(data))
    wake()
  })
  await Promise.race([once(socket, 'open'), once(socket, 'error').then(([error]) => { throw new Error(`no socket: ${error.message}`) })])
  let read = 0
  const next = async () => {
    for (let tries = 0; told.length <= read; tries += 1) {
      assert.ok(tries < 50, 'nothing was told for five seconds')
      await Promise.race([new Promise((resolve) => (wake = resolve)), sleep(100)])
    }
    return told[read++]
  }
  return { socket, next, told, unread: () => told.length - read, close: () => { socket.close(); return once(socket, 'close') } }
}

describe('a live balance', () => {
  test('is told at once, and after every change', async () => {
    const account = await opened(api, NINE)
    const live = await watch(account)
    assert.deepEqual(await live.next(), await account.balance(), 'in the shape of GET balance')
    const { hold } = await account.hold(costing(30))
    matches(await live.next(), { account: account.id, available: 70, held: 30, owed: 0 })
    await account.capture(hold.id, costing(20))
    matches(await live.next(), { available: 80, held: 0 })
    await account.grant({ kind: 'pack', credits: 1000 })
    assert.deepEqual(await live.next(), await account.balance())
    refused(await account.post('/charges', costing(5000)), 402)
    await account.balance()
    answered(await account.post('/estimate', costing(1), { idempotencyKey: null }))
    await sleep(200)
    assert.equal(live.unread(), 0, 'what changes nothing is not told')
    await live.close()
  })

  test('is told to everyone who watches, and to nobody else', async () => {
    const [account, other] = [await opened(api, NINE), await opened(api, NINE)]
    const [one, two, stranger] = [await watch(account), await watch(account), await watch(other)]
    for (const live of [one, two, stranger]) await live.next()
    await account.charge(costing(1))
    for (const live of [one, two]) matches(await live.next(), { available: 99 })
    await one.close()
    await account.charge(costing(1))
    matches(await two.next(), { available: 98 })
    await two.close()
    await account.charge(costing(1))
    await sleep(100)
    assert.equal(stranger.unread(), 0)
    await stranger.close()
  })

  test('ends with the token that opened it', async () => {
    const account = await opened(api)
    const now = Math.floor(Date.now() / 1000)
    // Half a minute of leeway is nearly over for the one, and not for the other.
    const [brief, lasting] = [await watch(account, asUser(account.id, now - 28)), await watch(account, asUser(account.id, now + 60))]
    for (const live of [brief, lasting]) await live.next()
    await account.charge(costing(1))
    matches(await brief.next(), { available: 99 })
    await sleep(2500)
    const closed = once(brief.socket, 'close')
    await account.charge(costing(1))
    assert.equal((await closed)[0].code, 1008)
    assert.equal(brief.unread(), 0)
    for (const available of [99, 98]) matches(await lasting.next(), { available })
    await lasting.close()
  })

  test('tells what another account brings', async () => {
    const [ada, bob] = [await opened(api, NINE), await opened(api, NINE)]
    const live = await watch(ada)
    await live.next()
    const { code } = await ada.read('/invitation')
    answered(await bob.post('/invitations/redeem', { code }))
    matches(await live.next(), { available: 600 })
    await live.close()
  })

  test('stays open while the object sleeps', { timeout: 60_000 }, async () => {
    const account = await opened(api, NINE)
    const live = await watch(account)
    await live.next()
    live.socket.send('ping')
    assert.equal(await live.next(), 'pong')
    // The runtime puts an object that nobody calls to sleep after ten seconds.
    await sleep(12_000)
    await account.charge(costing(1))
    matches(await live.next(), { available: 99 })
    live.socket.send('anything else is passed over')
    await account.charge(costing(1))
    matches(await live.next(), { available: 98 })
    await live.close()
  })

  test('is for those who may read the account', async () => {
    const account = await opened(api, NINE)
    const key = { key: SERVICE_KEY }
    refused(await send(server, 'GET', account.path('/live'), key), 426, 'upgrade_required')
    refused(await send(server, 'GET', account.path('/live')), 401, 'unauthenticated')
    refused(await send(server, 'POST', account.path('/live'), { ...key, body: '{}' }), 405, 'method_not_allowed')
    await assert.rejects(watch(account, { headers: {} }))
    await assert.rejects(watch(account, { headers: { Authorization: 'Bearer nobody' } }))
    await assert.rejects(watch(new Account(api, unique(), NINE)))
  })

  test('takes a browser\'s token as a subprotocol, and says so', async () => {
    const account = await opened(api, NINE)
    const protocol = `bearer.${tokenOf(account.id, Math.floor(Date.now() / 1000) + 600)}`
    // A browser tells where its page comes from, too.
    const live = await watch(account, { headers: { Origin: 'https://app.example' }, protocols: [protocol] })
    assert.equal(live.socket.protocol, protocol)
    matches(await live.next(), { account: account.id, available: 100 })
    await live.close()
  })
})
