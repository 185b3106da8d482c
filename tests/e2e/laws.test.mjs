// A long random walk over three accounts. Whatever is asked, the laws of the balance and the journal hold.
// SEED=n walks another way; a failure names the seed and the step.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { Account, SERVICE_KEY, answered, core, costing, figures, lawful, lawfulBalance, lawfulCharge, lawfulJournal, matches, opened, sum, unique } from './support.mjs'

let server, api
before(async () => {
  server = await serve({})
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const SEED = Number(process.env.SEED ?? 20250310)
const STEPS = 100
const START = Date.parse('2025-03-08T09:00:00Z')
const HOUR = 3_600_000

/** Mulberry32: small, seeded, and good enough for a walk. */
function randomness(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (bound) => Math.floor(next() * bound)
  return { next, below, pick: (list) => list[below(list.length)], chance: (share) => next() < share }
}

function request({ below, pick }) {
  const call = () => pick([
    costing(below(60)), core(below(60)), { model: 'flux-1.1-pro', usage: { images: below(8) } },
    { model: 'seedance-1-lite', usage: { seconds: below(9000) / 1000 } }, { model: 'gpt-4o', usage: { input_tokens: below(20_000), cached_input_tokens: below(9000), output_tokens: below(5000) } },
    { model: 'bark', usage: { uses: below(4) } }, { model: 'claude-opus-4.1', usage: { output_tokens: below(9000) } },
  ])
  return below(4) ? call() : { items: [call(), call(), { credits: below(3_000_000) / 1e6, description: 'upload' }].slice(0, 2 + below(2)) }
}

/** The next command of a walk: a path, a body, and what to remember of its answer. */
function command(random, known, now) {
  const { below, pick, chance } = random
  const time = (hours) => new Date(now + hours * HOUR).toISOString()
  const hold = () => pick(known.holds) ?? 'none'
  const charge = () => pick(known.charges) ?? 'none'
  const policy = (list) => (chance(0.3) ? {} : { on_excess: pick(list) })
  const commands = [
    [22, () => ['POST', '/charges', { ...request(random), ...policy(['reject', 'forgive', 'owe', 'reject']) }]],
    [16, () => ['POST', '/holds', { ...request(random), ttl_seconds: pick([1, 60, 900, 7200, 86_400]) }]],
    [14, () => ['POST', `/holds/${hold()}/capture`, { ...request(random), ...policy(['reject', 'forgive', 'owe']) }]],
    [6, () => ['POST', `/holds/${hold()}/release`, {}]],
    [3, () => ['POST', `/holds/${hold()}/extend`, { ttl_seconds: 1 + below(86_400) }]],
    [12, () => ['POST', `/charges/${charge()}/refund`, chance(0.5) ? {} : { credits: below(30_000_000) / 1e6 }]],
    [12, () => ['POST', '/grants', {
      kind: pick(['bonus', 'pack', 'invitation', 'promotion', 'adjustment']), credits: 1 + below(200_000_000) / 1e6, priority: below(101),
      ...(chance(0.3) && { scope: [pick(['advanced', 'multimodal', 'video', 'image'])] }), ...(chance(0.2) && { effective_at: time(1 + below(40)) }),
      ...(chance(0.5) && { expires_at: time(41 + below(100)) }),
    }]],
    [4, () => ['POST', `/grants/${pick(known.grants) ?? 'none'}/void`, {}]],
    [5, () => ['PUT', '/plan', { plan: pick(['free', 'starter', 'maker', 'free', 'plus']), effective: pick(['now', 'now', 'period_end']) }]],
    [3, () => ['PATCH', '', { time_zone: pick(['UTC', 'Asia/Kolkata', 'America/New_York', 'Pacific/Chatham', 'Pacific/Kiritimati']) }]],
    [2, () => [pick(['PUT', 'DELETE']), '/perks/early_bird', undefined]],
    [4, () => ['POST', `/entitlements/file_uploads/${pick(['use', 'return'])}`, { quantity: 1 + below(40) }]],
  ]
  let ticket = below(commands.reduce((total, [weight]) => total + weight, 0))
  return commands.find(([weight]) => (ticket -= weight) < 0)[1]()
}

const send = (account, [method, rest, body]) =>
  account.caller.request(method, account.path(rest), { body, ...(method === 'POST' && { idempotencyKey: unique('key') }) })

function remember(known, { hold, charge, grant }) {
  if (hold && !known.holds.includes(hold.id)) known.holds.push(hold.id)
  if (charge) known.charges.push(charge.id)
  if (grant && !known.grants.includes(grant.id)) known.grants.push(grant.id)
}

/** What every answer must be, by itself. */
function lawfulAnswer(response, before) {
  const { status, body } = response
  assert.ok([200, 201, 400, 402, 403, 404, 409].includes(status), `${status}: ${JSON.stringify(body)}`)
  if (status === 402) {
    assert.equal(body.code, 'insufficient_credits')
    assert.equal(body.owed, before.owed)
    assert.ok(body.available >= 0 && body.available <= sum([before.available, before.held]))
    const short = sum([body.required, body.owed, -body.available])
    assert.ok(body.shortfall === short || (short < 0 && body.shortfall === 0), 'shortfall = required + owed - available')
    assert.ok(short > 0 || body.owed > 0, `refused for nothing: ${JSON.stringify(body)}`)
  }
  if (body.charge && body.charge.credits !== undefined) {
    lawfulCharge(body.charge)
    for (const draw of body.charge.draws) assert.ok(draw.credits > 0, 'an empty draw')
  }
}

for (const [plan, opening] of [['free', {}], ['max', { time_zone: 'America/New_York', since: '2024-12-31T22:30:00-05:00' }], ['maker', { perks: ['early_bird'] }]]) {
  test(`the laws hold at every step of a walk from ${plan}`, async (context) => {
    const random = randomness(SEED + plan.length)
    const account = await opened(api, new Date(START).toISOString(), { plan, ...opening })
    const known = { holds: [], charges: [], grants: [] }
    const journal = new Map((await account.entries()).map((entry) => [entry.seq, entry]))
    const outcomes = {}
    let now = START
    for (let step = 0; step < STEPS; step += 1) {
      now += random.chance(0.3) ? random.below(20 * HOUR) : random.below(600_000)
      const then = new Account(api, account.id, new Date(now).toISOString())
      const asked = command(random, known, now)
      const before = await then.balance()
      const response = await send(then, asked)
      try {
        lawfulAnswer(response, before)
        const balance = await then.balance()
        lawfulBalance(balance)
        if (response.status < 300) {
          remember(known, response.body)
          if (response.body.balance) matches(balance, figures(response.body.balance))
        } else {
          assert.deepEqual(balance, before, 'a refusal changes nothing')
        }
        for (const entry of (await then.read('/entries?limit=100')).entries) {
          const seen = journal.get(entry.seq)
          if (seen) assert.deepEqual(entry, seen, 'an entry never changes')
          journal.set(entry.seq, entry)
        }
        const entries = [...journal.values()].sort((one, other) => one.seq - other.seq)
        const written = lawfulJournal(entries)
        if (response.status < 300 && Date.parse(entries.at(-1).at) === now) assert.equal(written, balance.available, 'the journal adds up to what is available')
      } catch (error) {
        error.message = `seed ${SEED}, step ${step}, ${then.clock}: ${JSON.stringify(asked)} answered ${response.status} ${JSON.stringify(response.body)}\n${error.message}`
        throw error
      }
      outcomes[response.status] = (outcomes[response.status] ?? 0) + 1
    }
    context.diagnostic(`outcomes ${JSON.stringify(outcomes)}, ${journal.size} entries`)
    const last = new Account(api, account.id, new Date(now).toISOString())
    answered(await last.post('/grants', { kind: 'pack', credits: 1 }), 201)
    await lawful(last)
  })
}

test('looking more often never changes an answer', async () => {
  const walk = async (looking) => {
    const random = randomness(SEED)
    const glance = randomness(SEED + 1)
    const account = await opened(api, new Date(START).toISOString(), { plan: 'starter', time_zone: 'Europe/Paris' })
    const answers = []
    let now = START
    for (let step = 0; step < 40; step += 1) {
      const from = now
      now += random.below(30 * HOUR)
      if (looking) {
        const between = new Account(api, account.id, new Date(from + Math.floor(glance.next() * (now - from))).toISOString())
        await between.balance()
        answered(await between.patch({ display_name: `${step}` }))
        answered(await between.post('/entitlements/file_uploads/use', { quantity: 1 }))
      }
      const then = new Account(api, account.id, new Date(now).toISOString())
      const body = { ...costing(random.below(700)), on_excess: random.pick(['owe', 'forgive', 'reject']) }
      const { status } = await then.post('/charges', body)
      const { available, held, owed, grants } = await then.balance()
      answers.push([then.clock, status, available, held, owed, grants.map(({ kind, remaining }) => [kind, remaining])])
    }
    await lawful(new Account(api, account.id, new Date(now).toISOString()))
    return answers
  }
  assert.deepEqual(await walk(true), await walk(false))
})
