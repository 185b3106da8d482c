// Stripe's events, signed by Stripe's own library: packs bought and given back, subscriptions begun, changed and ended.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import Stripe from 'stripe'
import { client, serve } from './harness.mjs'
import { answered, costing, lawful, matches, opened, refused, send, unique } from './support.mjs'

const NINE = '2025-03-10T09:00:00Z'
const SECRET = 'whsec_dev'
const PRICES = { price_maker: 'maker', price_starter: 'starter', price_pack: 'pack-2000' }
const stripe = new Stripe('sk_test_none')

let server, api
before(async () => {
  server = await serve({ vars: { STRIPE_PRICES: JSON.stringify(PRICES) } })
  api = client(server)
})
after(() => server?.stop())

const id = (prefix) => `${prefix}_${unique('').slice(1).replaceAll('-', '')}`
const event = (type, object, created = 1_741_600_000) => ({ id: id('evt'), object: 'event', api_version: '2025-01-27', livemode: false, type, created, data: { object } })

const sign = (payload, options = {}) => stripe.webhooks.generateTestHeaderString({ payload, secret: SECRET, ...options })

function deliver(what, { signature, payload = JSON.stringify(what, null, 2), clock = NINE } = {}) {
  const headers = { 'Stripe-Signature': signature ?? sign(payload), 'Test-Clock': clock }
  return send(server, 'POST', '/v1/webhooks/stripe', { body: payload, headers })
}
const handled = async (what, options) => assert.deepEqual(answered(await deliver(what, options)), { received: true, handled: true })
const ignored = async (what, reason, options) => assert.deepEqual(answered(await deliver(what, options)), { received: true, handled: false, ignored: reason })

/** A checkout of a pack, and what can happen to its money. */
function purchase(account, { pack = 'pack-1000', payment = id('pi'), ...more } = {}) {
  const charge = { id: id('ch'), object: 'charge', payment_intent: payment, amount: 1000, amount_refunded: 1000, refunded: true, status: 'succeeded' }
  const session = { id: id('cs'), object: 'checkout.session', mode: 'payment', status: 'complete', payment_status: 'paid', client_reference_id: account.id,
    payment_intent: payment, subscription: null, metadata: { pack }, ...more }
  return {
    payment,
    session,
    completed: () => event('checkout.session.completed', session),
    refunded: (figures = {}) => event('charge.refunded', { ...charge, ...figures }),
    disputed: () => event('charge.dispute.created', { id: id('dp'), object: 'dispute', charge: charge.id, payment_intent: payment, amount: 1000, status: 'needs_response' }),
    lost: () => event('charge.dispute.closed', { id: id('dp'), object: 'dispute', charge: charge.id, payment_intent: payment, amount: 1000, status: 'lost' }),
    won: () => event('charge.dispute.closed', { id: id('dp'), object: 'dispute', charge: charge.id, payment_intent: payment, amount: 1000, status: 'won' }),
  }
}

/** A subscription: `at` is when Stripe made the event. */
function subscription(account, { plan = 'starter', sub = id('sub'), metadata = { account: account?.id, plan } } = {}) {
  const object = (more) => ({ id: sub, object: 'subscription', status: 'active', cancel_at_period_end: false, metadata, items: { object: 'list', data: [] }, ...more })
  return {
    sub,
    completed: (at, more = {}) => event('checkout.session.completed', { id: id('cs'), object: 'checkout.session', mode: 'subscription', status: 'complete',
      payment_status: 'paid', client_reference_id: account?.id ?? null, payment_intent: null, subscription: sub, metadata: { plan }, ...more }, at),
    created: (at, more) => event('customer.subscription.created', object(more), at),
    updated: (at, more) => event('customer.subscription.updated', object(more), at),
    deleted: (at, more) => event('customer.subscription.deleted', object({ status: 'canceled', ...more }), at),
    invoice: (at) => event('invoice.paid', { id: id('in'), object: 'invoice', subscription: sub, billing_reason: 'subscription_cycle', amount_paid: 999, status: 'paid' }, at),
  }
}

const planOf = async (account) => (await account.read()).plan

describe('an event', () => {
  test('that Stripe signed is received', async () => {
    assert.deepEqual(answered(await deliver(event('customer.created', { id: 'cus_1', items: 7 }))), { received: true, handled: false })
  })

  test('that nobody signed, another signed, or somebody changed is refused', async () => {
    const payload = JSON.stringify(event('customer.created', { id: 'cus_1' }))
    const signature = sign(payload)
    const now = Math.floor(Date.now() / 1000)
    const bad = ['', 'nonsense', 't=1', `t=${now}`, `t=${now},v1=`, `v1=${signature.split('v1=')[1]}`, signature.replace(/t=\d+/, `t=${now - 9}`),
      sign(payload, { secret: 'whsec_another' }), sign(`${payload} `), signature.slice(0, -1), signature.replace('v1=', 'v0='),
      sign(payload, { timestamp: now - 400 }), sign(payload, { timestamp: now + 400 })]
    for (const signature of bad) refused(await deliver(null, { payload, signature }), 400, 'invalid_signature')
    refused(await deliver(null, { payload: payload.replace('cus_1', 'cus_2'), signature }), 400, 'invalid_signature')
    const unsigned = await send(server, 'POST', '/v1/webhooks/stripe', { body: payload, key: 'dev-service-key' })
    refused(unsigned, 400, 'invalid_signature')
    refused(await deliver(null, { payload: '{"id":' }), 400, 'invalid_json')
    refused(await send(server, 'GET', '/v1/webhooks/stripe'), 405, 'method_not_allowed')
  })

  test('may carry several signatures, and be a little old', async () => {
    const payload = JSON.stringify(event('customer.created', { id: 'cus_1' }))
    const now = Math.floor(Date.now() / 1000)
    const mine = createHmac('sha256', SECRET).update(`${now}.${payload}`).digest('hex')
    answered(await deliver(null, { payload, signature: `t=${now},v1=${'0'.repeat(64)},v1=${mine},v0=${mine}` }))
    answered(await deliver(null, { payload, signature: sign(payload, { timestamp: now - 250 }) }))
  })
})

describe('individual credit packages', () => {
  test('are published with what they cost', async () => {
    const { packs } = answered(await api.get('/v1/catalog'))
    assert.deepEqual(packs.map(({ id, credits, price_cents, valid_days }) => [id, credits, price_cents, valid_days]),
      [['pack-100', 100, 100, 90], ['pack-500', 500, 500, 90], ['pack-1000', 1000, 1000, 90], ['pack-2000', 2000, 2000, 90]])
  })

  test('become credits when they are paid, for 90 days', async () => {
    const account = await opened(api, NINE)
    const bought = purchase(account)
    await handled(bought.completed())
    const { grants, available } = await account.balance()
    assert.equal(available, 1100)
    matches(grants.find((grant) => grant.kind === 'pack'), { category: 'paid', credits: 1000, remaining: 1000, scope: null, effective_at: NINE, expires_at: '2025-06-08T09:00:00Z' })
    await lawful(account)
  })

  test('are named by the metadata or by their price, for the account of either field', async () => {
    const account = await opened(api, NINE)
    await handled(purchase(account, { pack: 'pack-100', client_reference_id: null, metadata: { pack: 'pack-100', account: account.id } }).completed())
    await handled(purchase(account, { metadata: {}, line_items: { data: [{ price: { id: 'price_pack', object: 'price' } }] } }).completed())
    await handled(purchase(account, { pack: 'pack-500', payment_intent: { id: id('pi'), object: 'payment_intent' } }).completed())
    matches(await account.balance(), { available: 2700 })
  })

  test('are granted once, however often and in how many events it is told', async () => {
    const account = await opened(api, NINE)
    const bought = purchase(account)
    const first = bought.completed()
    await Promise.all(Array.from({ length: 10 }, (_, index) => handled(index % 2 ? first : bought.completed())))
    await handled(first, { clock: '2025-03-20T09:00:00Z' })
    await handled(event('checkout.session.async_payment_succeeded', bought.session))
    matches(await account.balance(), { available: 1100 })
    assert.equal((await account.entries('&kind=granted')).filter((entry) => entry.grant.kind === 'pack').length, 1)
  })

  test('wait for money that is on the way', async () => {
    const account = await opened(api, NINE)
    const bought = purchase(account, { payment_status: 'unpaid' })
    await ignored(bought.completed(), 'unpaid')
    matches(await account.balance(), { available: 100 })
    await handled(event('checkout.session.async_payment_succeeded', { ...bought.session, payment_status: 'paid' }))
    matches(await account.balance(), { available: 1100 })
  })

  test('that cannot be granted are told again later', async () => {
    const account = { id: unique() }
    const bought = purchase(account)
    refused(await deliver(bought.completed()), 404, 'account_not_found')
    answered(await api.put(`/v1/accounts/${account.id}`, { plan: 'free' }, { clock: NINE }), 201)
    await handled(bought.completed())
    matches(answered(await api.get(`/v1/accounts/${account.id}/balance`, { clock: NINE })), { available: 1100 })
    refused(await deliver(purchase(account, { pack: 'pack-7' }).completed()), 400, 'unknown_pack')
    await ignored(purchase(account, { metadata: {} }).completed(), 'no_pack')
    await ignored(purchase({ id: null }).completed(), 'no_account')
    await ignored(purchase({ id: 'no account' }).completed(), 'no_account')
  })
})

describe('a refund or a dispute', () => {
  test('voids what is left of the pack, and nothing else', async () => {
    for (const back of ['refunded', 'disputed', 'lost']) {
      const account = await opened(api, NINE)
      const bought = purchase(account)
      await handled(bought.completed())
      // It is burned later, since it expires later.
      await handled(purchase(account, { pack: 'pack-500' }).completed(), { clock: '2025-03-10T09:00:01Z' })
      await account.charge(costing(300))
      const { hold } = await account.hold(costing(400))
      await handled(bought[back]())
      matches(await account.balance(), { available: 500, held: 400 })
      await account.release(hold.id)
      matches(await lawful(account), { available: 500, held: 0 })
    }
  })

  test('has its effect once, and outlives a redelivered checkout', async () => {
    const account = await opened(api, NINE)
    const bought = purchase(account)
    await handled(bought.completed())
    for (const back of [bought.refunded(), bought.refunded(), bought.disputed(), bought.lost()]) await handled(back)
    await ignored(bought.completed(), 'refunded')
    matches(await account.balance(), { available: 100 })
    assert.equal((await account.entries('&kind=voided')).length, 1)
    await lawful(account)
  })

  test('may come before the checkout', async () => {
    const account = await opened(api, NINE)
    for (const back of ['refunded', 'disputed']) {
      const bought = purchase(account)
      await handled(bought[back]())
      await ignored(bought.completed(), 'refunded')
    }
    matches(await account.balance(), { available: 100 })
  })

  test('at the same time as the checkout leaves nothing', async () => {
    const account = await opened(api, NINE)
    await Promise.all(Array.from({ length: 20 }, async () => {
      const bought = purchase(account)
      const events = [bought.completed(), bought.refunded(), bought.completed()]
      await Promise.all(events.map(async (one) => answered(await deliver(one))))
    }))
    matches(await lawful(account), { available: 100 })
  })

  test('of a part, and a dispute that was won, leave the credits', async () => {
    const account = await opened(api, NINE)
    const bought = purchase(account)
    await handled(bought.completed())
    await ignored(bought.refunded({ amount_refunded: 200, refunded: false }), 'partial_refund')
    assert.deepEqual(answered(await deliver(bought.won())), { received: true, handled: false })
    matches(await account.balance(), { available: 1100 })
  })
})

describe('a subscription', () => {
  test('puts the account on its plan, changes it, and ends on the free one', async () => {
    const account = await opened(api, NINE)
    const subscribed = subscription(account)
    await handled(subscribed.completed(100))
    assert.equal(await planOf(account), 'starter')
    matches(await account.balance(), { available: 2300 })
    await handled(purchase(account, { pack: 'pack-500' }).completed())
    await handled(subscribed.updated(200, { metadata: { account: account.id, plan: 'maker' } }))
    assert.equal(await planOf(account), 'maker')
    await handled(subscribed.deleted(300))
    assert.equal(await planOf(account), 'free')
    matches((await account.balance()).grants.find((grant) => grant.kind === 'pack'), { remaining: 500 })
    await lawful(account)
  })

  test('is known by its price, and then needs no metadata', async () => {
    const account = await opened(api, NINE)
    const subscribed = subscription(account, { plan: undefined, metadata: {} })
    await handled(subscribed.completed(100, { metadata: {} }))
    assert.equal(await planOf(account), 'free', 'the session does not say what was subscribed to')
    const at = (price) => ({ items: { object: 'list', data: [{ id: 'si_1', price: { id: price } }] } })
    await handled(subscribed.created(100, at('price_starter')))
    assert.equal(await planOf(account), 'starter')
    await handled(subscribed.updated(200, { ...at('price_maker'), metadata: { plan: 'starter' } }))
    assert.equal(await planOf(account), 'maker', 'what is paid for counts, not what was once written')
  })

  test('grants a renewed period\'s credits once, with the account\'s own period', async () => {
    const account = await opened(api, NINE)
    const subscribed = subscription(account)
    await handled(subscribed.completed(100))
    for (let index = 0; index < 3; index += 1) await handled(subscribed.invoice(100))
    matches(await account.balance(), { available: 2300 })
    const later = account.at('2025-04-10T09:00:00Z')
    for (let index = 0; index < 3; index += 1) await handled(subscribed.invoice(200), { clock: later.clock })
    matches(await later.balance(), { available: 2300 })
    assert.equal((await later.balance()).grants.filter((grant) => grant.kind === 'monthly').length, 1)
  })

  test('stands as its latest event says, in whatever order they come', async () => {
    const orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    const final = []
    for (const order of orders) {
      const account = await opened(api, NINE)
      const subscribed = subscription(account)
      const events = [subscribed.completed(100), subscribed.updated(200, { metadata: { plan: 'maker' } }), subscribed.updated(300, { metadata: { plan: 'starter' } })]
      for (const index of order) answered(await deliver(events[index]))
      for (const index of order) answered(await deliver(events[index]))
      final.push(await planOf(account))
      await lawful(account)
    }
    assert.deepEqual(final, orders.map(() => 'starter'))
  })

  test('that has ended stays ended', async () => {
    for (const order of [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]]) {
      const account = await opened(api, NINE)
      const subscribed = subscription(account, { metadata: { plan: 'starter' } })
      const events = [subscribed.completed(100), subscribed.updated(200), subscribed.deleted(200)]
      for (const index of order) answered(await deliver(events[index]))
      assert.equal(await planOf(account), 'free', `in the order ${order}`)
    }
  })

  test('beside another leaves the account the one that is left', async () => {
    const account = await opened(api, NINE)
    const [one, two] = [subscription(account), subscription(account, { plan: 'maker' })]
    await handled(one.completed(100))
    await handled(two.completed(200))
    await handled(one.deleted(300))
    assert.equal(await planOf(account), 'maker')
    await handled(two.deleted(400))
    assert.equal(await planOf(account), 'free')
  })

  test('whose payment is late stays, and one that is unpaid pays for nothing until it is paid', async () => {
    const account = await opened(api, NINE)
    const subscribed = subscription(account)
    await handled(subscribed.completed(100))
    await handled(subscribed.updated(200, { status: 'past_due' }))
    assert.equal(await planOf(account), 'starter')
    await handled(subscribed.updated(300, { status: 'unpaid' }))
    assert.equal(await planOf(account), 'free')
    await handled(subscribed.updated(400))
    assert.equal(await planOf(account), 'starter')
    matches(await account.balance(), { available: 2300 }, 'a period\'s credits come once')
  })

  test('to a legacy plan cannot be begun, and one that is left cannot be entered again', async () => {
    const account = await opened(api, NINE)
    await ignored(subscription(account, { plan: 'pro' }).completed(100), 'plan_transition_forbidden')
    assert.equal(await planOf(account), 'free')
    const member = await opened(api, NINE, { plan: 'plus' })
    const legacy = subscription(member, { plan: 'plus' })
    await handled(legacy.updated(100))
    assert.equal(await planOf(member), 'plus')
    await handled(subscription(member, { plan: 'maker' }).completed(200))
    assert.equal(await planOf(member), 'maker')
    await ignored(legacy.updated(300), 'plan_transition_forbidden')
    assert.equal(await planOf(member), 'maker')
  })

  test('of nobody, or to an unknown plan, changes nothing', async () => {
    const account = await opened(api, NINE)
    await ignored(subscription(null, { metadata: {} }).deleted(100), 'no_account')
    await ignored(subscription(account, { plan: undefined, metadata: { account: account.id } }).updated(100), 'no_plan')
    refused(await deliver(subscription(account, { plan: 'platinum' }).completed(100)), 400, 'unknown_plan')
    assert.equal(await planOf(account), 'free')
  })
})
